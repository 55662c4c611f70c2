#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# KVM of the stock kernel takes each generation of VMX without a word of complaint, and uses what there is.

import argparse
import re
from pathlib import Path

import machines
from machines import check, encode, guest_image, run

# What kvm_intel's parameters say when everything that they want is there, and since which generation.
GENERATIONS = ["nehalem", "westmere", "sandybridge", "ivybridge", "haswell", "broadwell", "skylake", "icelake", "sapphirerapids"]
PARAMETERS = {
    "ept": "nehalem", "vpid": "nehalem", "flexpriority": "nehalem", "preemption_timer": "nehalem", "unrestricted_guest": "westmere",
    "enable_apicv": "ivybridge", "eptad": "haswell", "enable_shadow_vmcs": "haswell", "pml": "broadwell", "enable_ipiv": "sapphirerapids",
}  # fmt: skip

parser = argparse.ArgumentParser(description="Loads KVM on processors of several generations.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--vmx", nargs="+", default=["nehalem", "haswell", "on"])
options = parser.parse_args()

COMMAND = "for p in %s; do echo $p $(cat /sys/module/kvm_intel/parameters/$p); done; ls /dev/kvm; dmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'; true"
kernel, initramfs = guest_image("--vmlinux", "--modules", "kvm,kvm_intel")
for vmx in options.vmx:
    append = f"console=ttyS0 panic=-1 vitrine.run={encode(COMMAND % ' '.join(PARAMETERS))}"
    finished = run(options.vitrine, "--vmx", vmx, "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--no-reboot", "--append", append)
    check(finished.returncode == 0, f"{vmx}: Vitrine's exit status is not 0", finished)
    told = machines.said(finished)
    check(told and told[1] == 0, f"{vmx}: the guest's command did not end well", finished)
    check("/dev/kvm" in told[0], f"{vmx}: KVM has not loaded", finished)
    warnings = [w for w in told[0] if w.startswith("warning ") and not any(re.search(e, w) for e in machines.EXPECTED_WARNINGS)]
    check(not warnings, f"{vmx}: the kernel warns: {warnings}", finished)
    present = len(GENERATIONS) if vmx == "on" else GENERATIONS.index(vmx)
    for name, since in PARAMETERS.items():
        wanted = "Y" if GENERATIONS.index(since) <= present else "N"
        check(f"{name} {wanted}" in told[0], f"{vmx}: kvm_intel's {name} is not {wanted}", finished)
    print(f"{vmx}: KVM has loaded; " + ", ".join(line for line in told[0] if line.split()[0] in PARAMETERS))
