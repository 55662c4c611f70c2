#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A kernel that panics ends the run: with status 12 where it can tell so, with status 8 when panic=-1 makes it reset the machine.

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machines import check, encode, guest_image, run

parser = argparse.ArgumentParser(description="Lets the kernel panic, with and without a pvpanic device.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

kernel, initramfs = guest_image("--vmlinux", "--modules", "pvpanic-mmio")


def boot(devices):
    command = encode("ls /sys/bus/platform/drivers/pvpanic-mmio; echo c >/proc/sysrq-trigger")
    return run(options.vitrine, "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--no-reboot", *devices,
               "--append", f"console=ttyS0 panic=-1 vitrine.run={command}")  # fmt: skip


with ThreadPoolExecutor(2) as pool:
    told, untold = pool.map(boot, (["--device", "pvpanic"], []))
for finished, status, complaint in ((told, 12, "panicked"), (untold, 8, "the guest reset itself under --no-reboot")):
    check("Kernel panic - not syncing: sysrq triggered crash" in finished.stdout, "the kernel has not panicked", finished)
    check(finished.returncode == status, f"Vitrine's exit status is not {status}", finished)
    check(complaint in finished.stderr, f"standard error does not say {complaint!r}", finished)
    check(("QEMU0001:00" in finished.stdout) == (status == 12), "the driver is bound to a device that is not there, or not to one that is", finished)
print("a panic is told with status 12, and is a reset with status 8")
