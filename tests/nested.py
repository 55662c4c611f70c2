#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Guests of guests: the stock kernel with KVM (L1) runs Debian's QEMU with -accel kvm, in which the stock kernel (L2) boots, computes and powers off.

import argparse
import re
from pathlib import Path

import hypervisors
import machines
from machines import check, encode, guest_image, run

# Name: QEMU's machine, processors of Vitrine, processors of each L2, how many L2s at once, how deep the innermost guest is.
PARTS = {
    "microvm": ("microvm", 1, 1, 1, 2),
    "pc": ("pc", 1, 1, 1, 2),
    "smp": ("pc", 2, 4, 1, 2),
    "two": ("pc", 2, 1, 2, 2),
    "l3": ("microvm", 1, 1, 1, 3),
}

parser = argparse.ArgumentParser(description="Boots Linux in KVM in Linux in Vitrine.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--only", required=True, choices=PARTS)
parser.add_argument("--timeout", type=int, default=3600)
parser.add_argument("--stale", default="normal", help="max: and nothing is told of a stale translation")
parser.add_argument("--vmx", default="on", help="what the processor has")
options = parser.parse_args()
machine, processors, inner_processors, guests, depth = PARTS[options.only]


def start_guest(command, mebibytes):
    return hypervisors.start_guest(command, machine, inner_processors, mebibytes)


# The innermost guest's command says its number, so that two are told apart.
question = "nproc; dmesg | grep 'Hypervisor detected'; sha256sum /bin/busybox; echo inner NUMBER ended"
outermost = []
for number in range(guests):
    command = question.replace("NUMBER", str(number))
    for level in range(depth - 1, 0, -1):
        command = start_guest(command, 256 if level == depth - 1 else 768)
    outermost.append(f"{{ {command}; echo QEMU {number} $?; }}" + (f" >/{number}.txt" if guests > 1 else ""))
script = " & ".join(outermost)
if guests > 1:
    script += "; wait; cat /*.txt"
script += "\nsha256sum /bin/busybox\ndmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'\ntrue"

bottom = guest_image()
kernel, initramfs = bottom
for _ in range(depth - 1):
    kernel, initramfs = hypervisors.image(bottom[0], initramfs)
finished = run(options.vitrine, "--vmx", options.vmx, "--kernel", kernel, "--initrd", initramfs, "--memory", "2G", "--cpus", processors,
               "--stale", options.stale, "--no-reboot", "--stats", "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(script)}",
               timeout=options.timeout)  # fmt: skip
check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
text = finished.stdout.replace("\r", "")
begin = text.index("VITRINE-RUN-BEGIN")
told = text[begin:]
for number in range(guests):
    check(f"inner {number} ended" in told, f"guest {number} has not run its command", finished)
    check(f"QEMU {number} 0" in told, f"QEMU {number} has not ended with status 0", finished)
inner = guests * (depth - 1)
check(len(re.findall(r"reboot: Power down", text)) == inner + 1, "not every level powered off", finished)
check(len(re.findall(r"^\[ +[\d.]+\] Hypervisor detected: KVM", told, re.M)) >= 2 * inner - (depth - 2), "a guest does not see KVM", finished)
check(told.count(f"\n{inner_processors}\n") >= guests, f"the guest does not count {inner_processors} processors", finished)
sums = re.findall(r"^([0-9a-f]{64})  /bin/busybox$", told, re.M)
check(len(sums) == guests + 1 and len(set(sums)) == 1, f"digests: {sums}", finished)
warnings = [w for w in re.findall(r"^warning (.*)$", told, re.M) if not any(re.search(e, w) for e in machines.EXPECTED_WARNINGS)]
check(not warnings, f"warnings of the outer kernel: {warnings}", finished)
exits = dict(re.findall(r"^count vmx\.exit\.(\w+) (\d+)$", finished.stderr, re.M))
check({"cpuid", "io_instruction", "ept_violation", "external_interrupt"} <= exits.keys(), "exits are missing from --stats", finished)
stale = {kind: int(n) for kind, n in re.findall(r"^count stale\.([a-z-]+) (\d+)$", finished.stderr, re.M)}
check(bool(stale) == (options.stale == "max"), "--stale max is not counted", finished)
check(not any(n for kind, n in stale.items() if kind != "under-way"), f"stock software is told of: {stale}", finished)
print(f"{options.only}: {inner} guests, {sum(map(int, exits.values()))} exits; {re.search('instructions .*', finished.stderr)[0]}")
