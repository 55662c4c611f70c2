#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Devices of an L2 guest: NVMe and edu assigned by VFIO in Debian's QEMU with KVM; data, isolation, and interrupts with and without posting.

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
parser.add_argument("--iommu", default="on")
options = parser.parse_args()

MIB = 1 << 20
noise = hashlib.shake_128(b"disk").digest(4 * MIB)
written = noise[: 2 * MIB] * 2
PATTERN = 0x1122334455667788
VICTIM = 0x5000_0000  # of L1; L2 has no memory there
OWN = 0x0E00_0000  # of L2, beyond what its kernel uses

INNER = f"""{edu_dma.FUNCTIONS}
sha256sum /dev/nvme0n1
dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k seek=32 count=32 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
sha256sum /dev/nvme0n1
grep nvme /proc/interrupts
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
OUTER = f"""
for d in 0000:01:00.0 0000:00:01.0; do
    [ -e /sys/bus/pci/devices/$d/driver ] && echo $d >/sys/bus/pci/devices/$d/driver/unbind
    echo vfio-pci >/sys/bus/pci/devices/$d/driver_override
    echo $d >/sys/bus/pci/drivers_probe
    echo bound $d $(readlink /sys/bus/pci/devices/$d/driver | sed 's,.*/,,')
done
devmem {VICTIM:#x} 64 0x8877665544332211
grep -c . /proc/interrupts
qemu-system-x86_64 -machine pc -accel kvm -cpu host -smp 1 -m 256 -nodefaults -no-reboot -display none -serial stdio -kernel /inner/vmlinuz \
    -initrd /inner/initramfs -device vfio-pci,host=0000:01:00.0 -device vfio-pci,host=0000:00:01.0 -append '{APPEND}' </dev/null
echo QEMU $?
echo victim $(devmem {VICTIM:#x} 64)
dmesg | grep -E 'DMAR.*(fault|Request)' | cut -c16-
grep -E 'PIN|PIW|nvme|vfio' /proc/interrupts
dmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'
true
"""

with tempfile.TemporaryDirectory() as scratch:
    disk = Path(scratch) / "disk"
    disk.write_bytes(noise)
    inner_kernel, inner_initramfs = script_image(INNER, scratch, "--modules", "nvme")
    files = hypervisors.QEMU_FILES | {inner_kernel: "/inner/vmlinuz", inner_initramfs: "/inner/initramfs"}
    added = [word for here, there in files.items() for word in ("--add", f"{here}:{there}")]
    kernel, initramfs = script_image(OUTER, scratch, "--vmlinux", "--modules", "kvm,kvm_intel,vfio-pci,vfio_iommu_type1", "--with", "qemu-system-x86_64", *added)
    finished = run(options.vitrine, "--vmx", "on", "--iommu", options.iommu, "--kernel", kernel, "--initrd", initramfs, "--memory", "1536M", "--disk",
                   f"{disk},discard", "--device", "edu,dma_mask=0xffffffffffff", "--no-reboot", "--stats", "--append",
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
posting = "pi=off" not in options.iommu
check((counts["vtd.interrupt.posted"] > 0) == posting, f"{counts['vtd.interrupt.posted']} interrupts were posted", finished)
exits = {name: n for name, n in counts.items() if name.startswith("vmx.exit.")}
print(f"{options.iommu}: {counts['vtd.interrupt.posted']} interrupts posted, {counts['vtd.interrupt.remapped']} remapped, "
      f"{exits.get('vmx.exit.external_interrupt', 0)} exits by external interrupts; {re.search('instructions .*', finished.stderr)[0]}")  # fmt: skip
