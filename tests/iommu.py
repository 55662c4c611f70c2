#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Debian's kernel with VT-d: strict, lazy and pass-through; NVMe under translation, x2APIC by interrupt remapping, groups, no fault.

import argparse
import hashlib
import re
import tempfile
from pathlib import Path

import machines
from machines import check, encode, run, script_image

MODES = {
    "strict": "intel_iommu=on iommu.strict=1",
    "lazy": "intel_iommu=on iommu.strict=0",
    "pt": "intel_iommu=on iommu=pt",
}

parser = argparse.ArgumentParser(description="Boots with the remapping unit on.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--mode", default="strict", choices=MODES)
parser.add_argument("--cpus", type=int, default=1)
parser.add_argument("--stale", default="normal", help="max: and nothing is told of a stale entry")
options = parser.parse_args()

MIB = 1 << 20
noise = hashlib.shake_128(b"disk").digest(4 * MIB)
COMMAND = """
dmesg | grep -iE 'DMAR|iommu|remapping|x2apic' | cut -c16-
echo type $(cat /sys/kernel/iommu_groups/*/type | sort | uniq -c)
for d in /sys/kernel/iommu_groups/*/devices/*; do echo group ${d#/sys/kernel/iommu_groups/} $(cat $d/class); done
sha256sum /dev/nvme0n1
dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k seek=32 count=32 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
sha256sum /dev/nvme0n1
grep -E 'IR-|DMAR' /proc/interrupts | awk '{ print "interrupt", $NF, $(NF-1), $(NF-2) }'
dmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'
true
"""

with tempfile.TemporaryDirectory() as scratch:
    disk = Path(scratch) / "disk"
    disk.write_bytes(noise)
    kernel, initramfs = script_image(COMMAND, scratch, "--vmlinux", "--modules", "nvme")
    finished = run(options.vitrine, "--iommu", "on", "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--cpus", options.cpus,
                   "--disk", f"{disk},discard", "--device", "edu", "--stale", options.stale, "--no-reboot", "--stats", "--append",
                   f"console=ttyS0 panic=-1 {MODES[options.mode]} vitrine.run={encode('sh /script')}")  # fmt: skip
check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
told = machines.said(finished)
check(told is not None, "the guest's command has not run from begin to end", finished)
lines = [line.rstrip() for line in told[0]]
text = "\n".join(lines)
check("DMAR: IOMMU enabled" in text, "the kernel does not use the unit", finished)
check("DMAR-IR: Enabled IRQ remapping in x2apic mode" in text, "interrupt remapping is not in x2apic mode", finished)
check("x2apic enabled" in text or "Enabling x2apic" in text or "x2apic: enabled" in text.lower(), "x2APIC is not enabled", finished)
kind = {"strict": "DMA", "lazy": "DMA-FQ", "pt": "identity"}[options.mode]
check(re.search(rf"^type \d+ {kind}$", text, re.M), f"the groups' domains are not all of type {kind}", finished)
groups = re.findall(r"^group (\d+)/devices/(\S+) (\S+)$", text, re.M)
of = {device: group for group, device, _ in groups}
endpoints = [device for _, device, kind in groups if kind in ("0x010802", "0x00ff00")]
check(len(endpoints) == 2, f"the NVMe disk and edu are not both in groups: {groups}", finished)
for device in endpoints:
    check(sum(group == of[device] for group, _, _ in groups) == 1, f"{device} shares its group: {groups}", finished)
written = noise[: 2 * MIB] * 2
sums = re.findall(r"^([0-9a-f]{64})  /dev/nvme0n1$", text, re.M)
check(sums == [hashlib.sha256(data).hexdigest() for data in (noise, written)], f"what the disk holds: {sums}", finished)
check(re.search(r"^interrupt nvme\S* ", text, re.M) and "IR-PCI-MSI" in text and "IR-IO-APIC" in text, "interrupts are not remapped", finished)
warnings = [w for w in re.findall(r"^warning (.*)$", text, re.M) if not any(re.search(e, w) for e in machines.EXPECTED_WARNINGS)]
check(not warnings, f"warnings of the kernel: {warnings}", finished)
counts = {name: int(n) for name, n in re.findall(r"^count (\S+) (\d+)$", finished.stderr, re.M)}
check(counts["vtd.fault.recorded"] == 0 and counts["vtd.dma.blocked"] == 0, "something was blocked", finished)
check(counts["vtd.interrupt.remapped"] > 0 and counts["vtd.queue.descriptors"] > 0, "the unit was not used", finished)
check((counts["vtd.iotlb.miss"] > 0) == (options.mode != "pt"), "DMA was not translated as the mode says", finished)
stale = {name: n for name, n in counts.items() if name.startswith("stale.") and not name.endswith("under-way")}
check(bool(stale) == (options.stale == "max") and not any(stale.values()), f"stale entries: {stale}", finished)
print(f"{options.mode}, {options.cpus} processors: IOTLB {counts['vtd.iotlb.hit']} hits, {counts['vtd.iotlb.miss']} misses, "
      f"{counts['vtd.interrupt.remapped']} interrupts; {re.search('instructions .*', finished.stderr)[0]}")  # fmt: skip
