#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Eight processors under the stock kernel: all come up, go down and come again, each computes, the TSC stays the clock, nothing is complained of.

import argparse
import re
from pathlib import Path

import machines
from machines import check, encode, guest_image, run

parser = argparse.ArgumentParser(description="Boots with eight processors; ends by a reset.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", type=int, default=8)
parser.add_argument("--bzimage", action="store_true", help="by the Linux boot protocol instead of PVH")
parser.add_argument("--end", default="reset", choices=["reset", "power-off"])
options = parser.parse_args()

COMMAND = """
nproc
cat /sys/devices/system/cpu/online
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
for n in $(seq 0 LAST); do taskset -c $n sh -c 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; echo $i; cut -d" " -f39 /proc/self/stat'; done
for n in $(seq 0 LAST); do taskset -c $n sha256sum /bin/busybox & done | sort -u | wc -l
for n in $(seq LAST); do echo 0 >/sys/devices/system/cpu/cpu$n/online; done
cat /sys/devices/system/cpu/online
for n in $(seq LAST); do echo 1 >/sys/devices/system/cpu/cpu$n/online; done
cat /sys/devices/system/cpu/online
grep -E 'RES|CAL' /proc/interrupts | awk '{ for (n = 3; n < 3 + LAST; ++n) if ($n + 0) busy[n] = 1 } END { n = 0; for (b in busy) ++n; print n }'
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
dmesg -r | grep -E '^<[0-4]>'
dmesg | grep -iE 'unstable|skew|warp|TSC synchronization .* failed|firmware bug'
""".replace("LAST", str(options.cpus - 1))
if options.end == "reset":
    COMMAND += "echo VITRINE-RUN-END status 0\nreboot -f\n"

kernel, initramfs = guest_image(*([] if options.bzimage else ["--vmlinux"]))
finished = run(options.vitrine, "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--cpus", options.cpus, "--no-reboot",
               "--stats", "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(COMMAND)}")  # fmt: skip
status = 8 if options.end == "reset" else 0
check(finished.returncode == status, f"Vitrine's exit status is not {status}", finished)
told = machines.said(finished)
check(told is not None, "the guest's command has not run from begin to end", finished)
lines = [line.rstrip() for line in told[0]]
everyone = f"0-{options.cpus - 1}" if options.cpus > 1 else "0"
expected = [str(options.cpus), everyone, "tsc"]
expected += [word for n in range(options.cpus) for word in ("300", str(n))]
expected += ["1", "0", everyone, str(options.cpus - 1), "tsc"]
for got, wanted in zip(lines, expected):
    check(got == wanted, f"the guest says {got!r} instead of {wanted!r}", finished)
warnings = [w for w in lines[len(expected) :] if not any(re.search(e, w) for e in machines.EXPECTED_WARNINGS)]
check(len(lines) >= len(expected) and not warnings, f"warnings of the kernel: {warnings}", finished)
print(f"{options.cpus} processors up, down and up again; {re.search('instructions .*', finished.stderr)[0]}")
