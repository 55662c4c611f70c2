#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Devices of an L2 guest: NVMe and edu assigned by VFIO in Debian's QEMU with KVM; data, isolation, and interrupts with and without posting side by side.

import argparse
import hashlib
import re
import tempfile
from pathlib import Path

import edu_dma
import hypervisors
import machines
from machines import check, encode, run, script_image

parser = argparse.ArgumentParser(description="Assigns devices to a guest's guest.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--timeout", type=int, default=3600)
options = parser.parse_args()

MIB = 1 << 20
noise = hashlib.shake_128(b"disk").digest(4 * MIB)
written = noise[: 2 * MIB] * 2
PATTERN = 0x1122334455667788
VICTIM = 0x5000_0000  # of L1; L2 has no memory there
OWN = 0x0E00_0000  # of L2, beyond what its kernel uses
READS = 300  # each an interrupt, while the guest's processor is busy
NVME = 0x0100  # the disk's requester id

INNER = f"""{edu_dma.FUNCTIONS}
interrupts() {{ awk '/nvme0q1/ {{ n += $2 }} END {{ print n }}' /proc/interrupts; }}
sha256sum /dev/nvme0n1
dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k seek=32 count=32 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
sha256sum /dev/nvme0n1
before=$(interrupts)
while :; do :; done &
dd if=/dev/nvme0n1 of=/dev/null bs=4k count={READS} iflag=direct 2>/dev/null
kill $!
echo reads took $(($(interrupts) - before)) of $(interrupts) interrupts
edu_find
devmem {OWN:#x} 64 {PATTERN:#x}
edu_dma {OWN:#x} 0x40000 8 1
edu_dma 0x40000 {OWN + 16:#x} 8 3
echo own $(devmem {OWN + 16:#x} 64)
edu_dma 0x40000 {VICTIM:#x} 8 3
edu_dma 0x40000 0xfee00000 4 3
edu_dma 0x40000 0x4000000000 8 3
echo inner ended
"""
APPEND = f"console=ttyS0 panic=-1 mem=192M vitrine.run={encode('sh /script')}"
OUTER = f"""{hypervisors.give_to_vfio("0000:01:00.0", "0000:00:01.0")}
devmem {VICTIM:#x} 64 0x8877665544332211
qemu-system-x86_64 -machine pc -accel kvm -cpu host -smp 1 -m 256 -nodefaults -no-reboot -display none -serial stdio -kernel /inner/vmlinuz \
    -initrd /inner/initramfs -device vfio-pci,host=0000:01:00.0 -device vfio-pci,host=0000:00:01.0 -append '{APPEND}' </dev/null
echo QEMU $?
echo victim $(devmem {VICTIM:#x} 64)
dmesg | grep -E 'DMAR.*(fault|Request)' | cut -c16-
grep -E 'PIN|PIW' /proc/interrupts
dmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'
true
"""


def boot(iommu, scratch, kernel, initramfs):
    """Assigns the devices to a guest, looks at what became of them, and counts."""
    disk, trace = Path(scratch) / "disk", Path(scratch) / "trace"
    disk.write_bytes(noise)
    finished = run(options.vitrine, "--vmx", "on", "--iommu", iommu, "--kernel", kernel, "--initrd", initramfs, "--memory", "1536M", "--disk",
                   f"{disk},discard", "--device", "edu,dma_mask=0xffffffffffff", "--no-reboot", "--stats", "--trace", "vtd", "--trace-file", trace, "--append",
                   f"console=ttyS0 panic=-1 intel_iommu=on mem=1200M vitrine.run={encode('sh /script')}", timeout=options.timeout)  # fmt: skip
    check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
    text = finished.stdout.replace("\r", "")
    text = text[text.index("VITRINE-RUN-BEGIN") :]
    check(text.count("vfio-pci\n") >= 2, "the devices are not bound to vfio-pci", finished)
    check("inner ended" in text and "QEMU 0" in text, "the guest has not run to its end", finished)
    sums = re.findall(r"^([0-9a-f]{64})  /dev/nvme0n1$", text, re.M)
    check(sums == [hashlib.sha256(data).hexdigest() for data in (noise, written)], f"what the disk holds: {sums}", finished)
    check(re.search(rf"^own {PATTERN:#x}$", text, re.M | re.I), "the guest's device does not reach its own memory", finished)
    check(re.search(r"^victim 0x8877665544332211$", text, re.M), "the outer system's memory was reached", finished)
    counts = {name: int(n) for name, n in re.findall(r"^count (\S+) (\d+)$", finished.stderr, re.M)}
    check(counts["vtd.fault.recorded"] >= 3, "the faults are missing", finished)
    taken = re.search(r"^reads took (\d+) of (\d+) interrupts$", text, re.M)
    check(taken and int(taken[1]) >= READS, f"the guest has not got an interrupt for each read: {taken and taken[0]}", finished)
    # The vectors by which the disk's interrupts came to the outer system, and what exits these made.
    vectors = {int(low, 16) >> 16 & 0xFF for low in re.findall(rf"vtd interrupt requester={NVME:x} index=[0-9a-f]+ low=([0-9a-f]+) ", trace.read_text())
               if not int(low, 16) >> 15 & 1}  # fmt: skip
    return {
        "interrupts in the guest": int(taken[2]),
        "of them while it is busy": int(taken[1]),
        "posted": counts["vtd.interrupt.posted"],
        "notifications taken without exit": counts.get("vmx.posted-notification", 0),
        "exits by the disk's vectors": sum(counts.get(f"vmx.external-interrupt.{v:02x}", 0) for v in vectors),
        "exits by external interrupts": counts["vmx.exit.external_interrupt"],
        "exits": sum(n for name, n in counts.items() if name.startswith("vmx.exit.")),
    }, finished


with tempfile.TemporaryDirectory() as scratch:
    inner_kernel, inner_initramfs = script_image(INNER, scratch, "--modules", "nvme")
    kernel, initramfs = hypervisors.outer_image(OUTER, scratch, {inner_kernel: "vmlinuz", inner_initramfs: "initramfs"})
    (posting, first), (remapping, second) = (boot(iommu, scratch, kernel, initramfs) for iommu in ("on", "on,pi=off"))
for what, n in posting.items():
    print(f"{what:33} {n:8} with posting, {remapping[what]:8} without")
check(posting["exits by the disk's vectors"] == 0, "with posting there are exits by the disk's interrupts", first)
check(posting["posted"] >= posting["interrupts in the guest"], "not all of the disk's interrupts were posted", first)
check(posting["notifications taken without exit"] >= READS, "notifications were not taken without exits", first)
check(remapping["posted"] == 0 and remapping["notifications taken without exit"] == 0, "without posting something was posted", second)
check(remapping["exits by the disk's vectors"] >= READS, "without posting there are no exits by the disk's interrupts", second)
