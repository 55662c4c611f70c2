#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Two L2 guests side by side, each with a device of its own: the device of one cannot reach the memory of the other. Without VT-d it can.

import argparse
import hashlib
import re
import tempfile
from pathlib import Path

import edu_dma
import hypervisors
import machines
from machines import check, encode, run, script_image

parser = argparse.ArgumentParser(description="Lets a guest's device write to the memory of another guest.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--timeout", type=int, default=3600)
options = parser.parse_args()

OWN, FLAG = 0x0E00_0000, 0x0E10_0000  # of each guest, beyond what its kernel uses
OUTER_OWN = 0x5000_0000  # of the outer system, likewise
MINE, YOURS = 0x1122334455667788, 0x8877665544332211
noise = hashlib.shake_128(b"disk").digest(1 << 20)

# The victim says that it is ready, waits for the flag, and says what it holds.
VICTIM = f"""
devmem {FLAG:#x} 64 0
devmem {OWN:#x} 64 {YOURS:#x}
echo victim ready
while [ $(($(devmem {FLAG:#x} 64))) = 0 ]; do sleep 1; done
echo victim holds $(devmem {OWN:#x} 64)
[ -e /dev/nvme0n1 ] && sha256sum /dev/nvme0n1
true
"""


def attack(own):
    """Whoever has edu reaches its own memory at `own`, then goes for $victim: writes to it, reads it."""
    return f"""{edu_dma.FUNCTIONS}
edu_find
devmem {own:#x} 64 {MINE:#x}
edu_dma {own:#x} 0x40000 8 1
edu_dma 0x40000 {own + 8:#x} 8 3
echo own $(devmem {own + 8:#x} 64)
edu_dma 0x40000 $victim 8 3
edu_dma $victim 0x40100 8 1
edu_dma 0x40100 {own + 16:#x} 8 3
echo stolen $(devmem {own + 16:#x} 64)
"""


ATTACKER = f"victim=$(grep -o 'victim=[0-9a-fx]*' /proc/cmdline | cut -d= -f2)\n{attack(OWN)}"

QEMU = "qemu-system-x86_64 -accel kvm -cpu host -smp 1 -m 256 -nodefaults -no-reboot -display none -kernel /inner/vmlinuz"
APPEND = f"console=ttyS0 panic=-1 mem=192M vitrine.run={encode('sh /script')}"


def outer(assigned):
    """Binds the devices, starts the victim, finds where its page lies, lets the other one's device (or our own) go for it."""
    bind = hypervisors.give_to_vfio("0000:01:00.0", "0000:00:01.0")
    guest = f"{QEMU} -M pc -serial stdio -initrd /inner/attacker -device vfio-pci,host=0000:00:01.0 -append \"{APPEND} victim=$victim\" </dev/null"
    return f"""{bind if assigned else ""}
{QEMU} -object memory-backend-file,id=ram,mem-path=/tmp/ram,size=256M,share=on -M pc,memory-backend=ram -serial file:/tmp/log -initrd /inner/victim \
    {"-device vfio-pci,host=0000:01:00.0" if assigned else ""} -append '{APPEND}' </dev/null &
qemu=$!
i=0
until grep -qs 'victim ready' /tmp/log; do
    sleep 1
    i=$((i + 1))
    [ $i = 100 ] && cat /tmp/log && exit 16
done
start=$(grep -m1 /tmp/ram /proc/$qemu/maps | cut -d- -f1)
set -- $(dd if=/proc/$qemu/pagemap bs=8 skip=$(((0x$start + {OWN:#x}) / 4096)) count=1 2>/dev/null | od -An -tx4)
victim=$(printf '%#x' $((((0x$2 & 0x7fffff) << 32 | 0x$1) * 4096)))
echo victim at $victim
{guest if assigned else attack(OUTER_OWN)}
printf '\\001' | dd of=/tmp/ram bs=1 seek=$(({FLAG:#x})) conv=notrunc 2>/dev/null
wait $qemu
cat /tmp/log
dmesg | grep -E 'DMAR.*(fault|Request)' | cut -c16-
true
"""


def boot(iommu):
    with tempfile.TemporaryDirectory() as scratch:
        disk = Path(scratch) / "disk"
        disk.write_bytes(noise)
        inner_kernel, victim = script_image(VICTIM, scratch, "--modules", "nvme")
        _, attacker = script_image(ATTACKER, scratch)
        kernel, initramfs = hypervisors.outer_image(outer(iommu == "on"), scratch, {inner_kernel: "vmlinuz", victim: "victim", attacker: "attacker"})
        finished = run(options.vitrine, "--vmx", "on", "--iommu", iommu, "--kernel", kernel, "--initrd", initramfs, "--memory", "1536M", "--disk",
                       f"{disk},discard", "--device", "edu,dma_mask=0xffffffffffff", "--no-reboot", "--stats", "--append",
                       f"console=ttyS0 panic=-1 intel_iommu=on mem=1200M vitrine.run={encode('sh /script')}", timeout=options.timeout)  # fmt: skip
    check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
    text = finished.stdout.replace("\r", "")
    text = text[text.index("VITRINE-RUN-BEGIN") :]
    at = re.search(r"^victim at (0x[0-9a-f]+)$", text, re.M)
    check(at and int(at[1], 16) >= 256 << 20, "the victim's page was not found, or lies where the other guest has memory", finished)
    holds = re.search(r"^victim holds (\S+)$", text, re.M)
    own = re.search(r"^own (\S+)$", text, re.M)
    stolen = re.search(r"^stolen (\S+)$", text, re.M)
    check(holds and own and stolen, "a guest has not run to its end", finished)
    check(int(own[1], 16) == MINE, "the device does not reach its own guest's memory", finished)
    return finished, text, int(at[1], 16), int(holds[1], 16), int(stolen[1], 16)


finished, text, at, holds, stolen = boot("off")
check(holds == MINE and stolen == MINE, "without remapping the other guest's memory should have been destroyed", finished)
print(f"without VT-d the page at {at:#x} of the other guest is written and read")

finished, text, at, holds, stolen = boot("on")
check(holds == YOURS, "the other guest's memory was written", finished)
check(stolen != YOURS, "the other guest's memory was read", finished)
check(f"{hashlib.sha256(noise).hexdigest()}  /dev/nvme0n1" in text, "the other guest does not read its own disk", finished)
for kind, reason in (("Write", 5), ("Read", 6)):
    wanted = rf"\[DMA {kind}.*\[00:01\.0\] fault addr {at:#x} \[fault reason {reason:#04x}\]"
    check(re.search(wanted, text), f"the kernel does not tell of the {kind.lower()} to {at:#x}", finished)
blocked = re.findall(rf"vtd dma\.blocked device=edu requester=8 domain=\w+ access=(\w+) address={at:x} fault=(\d) .*", finished.stderr)
check(sorted(blocked) == [("read", "6"), ("write", "5")], f"Vitrine does not tell of two faults at {at:#x}: {blocked}", finished)
counts = dict(re.findall(r"^count (\S+) (\d+)$", finished.stderr, re.M))
check(counts["vtd.fault.recorded"] == "2", "there are other faults than these two", finished)
print(f"with VT-d the write and the read of {at:#x} are faults, the other guest's page is as it was, and its own disk reads well")
