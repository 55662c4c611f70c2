#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A device that is told to write where it must not: with VT-d nothing happens but faults, without it memory is destroyed. Memory that firmware reserves
# for the device (RMRR) it reaches nevertheless.

import argparse
import re
import tempfile
from pathlib import Path

import edu_dma
import machines
from machines import check, encode, run, script_image

parser = argparse.ArgumentParser(description="Lets the edu device write to memory that is nobody's business of its.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

# The kernel uses the lower half of memory; the victim lies in the upper one.
VICTIM, BEYOND = 0x1800_0000, 0x40_0000_0000
RESERVED, SIZE = 0x1400_0000, 0x10_0000
PATTERN, OTHER = 0x1122334455667788, 0x0102030405060708
COMMAND = f"""{edu_dma.FUNCTIONS}
edu_find
devmem {VICTIM:#x} 64 {PATTERN:#x}
edu_dma 0x40000 {VICTIM:#x} 8 3
echo victim $(devmem {VICTIM:#x} 64)
edu_dma {VICTIM:#x} 0x40100 8 1
edu_dma 0x40000 0xfee00000 4 3
edu_dma 0x40000 {BEYOND:#x} 8 3
devmem {RESERVED:#x} 64 {OTHER:#x}
edu_dma {RESERVED:#x} 0x40200 8 1
edu_dma 0x40200 {RESERVED + SIZE - 8:#x} 8 3
echo reserved $(devmem {RESERVED + SIZE - 8:#x} 64)
grep -H . /sys/bus/pci/devices/0000:00:01.0/iommu_group/reserved_regions
sleep 1
dmesg | grep -E 'DMAR.*(fault|Request|RMRR)' | cut -c16-
true
"""


scratch = tempfile.TemporaryDirectory()


def boot(iommu):
    kernel, initramfs = script_image(COMMAND, scratch.name, "--vmlinux")
    finished = run(options.vitrine, "--iommu", iommu, "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--no-reboot", "--stats",
                   "--device", "edu,dma_mask=0xffffffffffff", "--append",
                   f"console=ttyS0 panic=-1 intel_iommu=on mem=256M vitrine.run={encode('sh /script')}")  # fmt: skip
    check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
    told = machines.said(finished)
    check(told is not None and told[1] == 0, "the guest's command has not run from begin to end", finished)
    return finished, "\n".join(line.rstrip() for line in told[0])


finished, text = boot("off")
check(re.search(r"^victim 0x0+$", text, re.M), "without remapping the victim's memory should have been destroyed", finished)

finished, text = boot(f"on,rmrr=1.0@{RESERVED:#x}+{SIZE:#x}")
check(re.search(rf"^victim {PATTERN:#x}$", text, re.M | re.I), "with remapping the victim's memory has changed", finished)
# The kernel limits how many faults it prints; the last one Vitrine alone tells of.
for kind, reason, address in (("Write", 5, VICTIM), ("Read", 6, VICTIM)):
    wanted = rf"\[DMA {kind}.*\[00:01\.0\] fault addr {address:#x} \[fault reason {reason:#04x}\]"
    check(re.search(wanted, text), f"the kernel does not tell of the {kind.lower()} to {address:#x}", finished)
check(re.search(r"\[INTR-REMAP\].*\[00:01\.0\].*\[fault reason 0x25\]", text), "the kernel does not tell of the interrupt", finished)
blocked = re.findall(r"vtd (?:dma|interrupt)\.blocked device=edu requester=8 .*why=(.*?) (?:walk|entry)=", finished.stderr)
check(len(blocked) >= 3, f"Vitrine does not say why: {blocked}", finished)
for address in (VICTIM, BEYOND):
    check(re.search(rf"dma\.blocked device=edu .*access=write address={address:x} fault=5 .*walk=root@[0-9a-f]+=\S+,context@[0-9a-f]+=\S+,SSP\w+@[0-9a-f]+=\S+", finished.stderr),
          "Vitrine does not show the walk", finished)  # fmt: skip
check(re.search(rf"RMRR base: 0x0*{RESERVED:x} end: 0x0*{RESERVED + SIZE - 1:x}$", text, re.M), "the kernel does not find the reserved memory", finished)
check(re.search(rf"reserved_regions:0x0*{RESERVED:x} 0x0*{RESERVED + SIZE - 1:x} direct", text), "the reserved memory is not the device's", finished)
check(re.search(rf"^reserved 0x0*{OTHER:x}$", text, re.M | re.I), "the device does not reach its reserved memory", finished)
counts = dict(re.findall(r"^count (\S+) (\d+)$", finished.stderr, re.M))
check(counts["vtd.fault.recorded"] == "4" and counts["vtd.device.00:01.0.blocked"] == "4", f"faults: {counts}", finished)
print("without VT-d the memory is destroyed; with it four faults, and nothing else; its reserved memory the device reaches")
