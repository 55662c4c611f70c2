#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The table of VM-entry rules, tried by a guest program (guests/rules) in Vitrine, or in Bochs as a second opinion.

import argparse
import re
import sys
import tempfile
from pathlib import Path

from machines import TREE, check, run

parser = argparse.ArgumentParser(description="Breaks each VM-entry rule in a guest program, and compares what came of it with the table.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("guest", type=Path, help="guests/rules, built")
parser.add_argument("--bochs", action="store_true", help="in Bochs; differences must be those that tests/rules.bochs explains")
options = parser.parse_args()


def in_vitrine(vmx="on"):
    guest = run(options.vitrine, "--vmx", vmx, "--kernel", options.guest, "--serial", "stdio", "--debug-exit", "0xf4", timeout=120)
    check(guest.returncode == 1, "the guest's verdict is not that all has been tried", guest)
    return guest.stdout.splitlines()


def in_bochs():
    sys.path.insert(0, str(TREE / "bench"))
    import bochs

    lines = []
    with tempfile.TemporaryDirectory() as folder:
        iso = bochs.make_iso(Path(folder), {"guest": options.guest}, ["multiboot /boot/guest"])
        process, serial = bochs.start(Path(folder), iso, resets=True)
        for line in serial:
            lines.append(line.decode(errors="replace").strip())
            if lines[-1] == bochs.ENDED or lines[-1].startswith("RULES end"):
                break
        bochs.stop(process)
        serial.close()
    return lines


def explained():
    rows = {}
    for line in (TREE / "tests/rules.bochs").read_text().splitlines():
        if line and not line.startswith("#"):
            rule, got, reason = (part.strip() for part in line.split("|", 2))
            rows[rule] = got
    return rows


lines = in_bochs() if options.bochs else in_vitrine()
check(any(line.startswith("RULES end") for line in lines), "not all rules have been tried:\n" + "\n".join(lines[-5:]))
begun = None
results, lost, untried = {}, [], {}
for line in lines:
    if found := re.fullmatch(r"RULE (\S+) (\S+) (\S+)", line):
        results[found[1]] = (found[2], found[3])
    elif found := re.match(r"RULE (\S+) not-tried: (.*)", line):
        untried[found[1]] = found[2]
    elif found := re.match(r"RULE (\S+)", line):
        lost.append(found[1])  # the processor was reset
if not options.bochs:
    # A rule about a processor without accessed and dirty flags of EPT.
    for line in in_vitrine("-ept-a-d"):
        if (found := re.fullmatch(r"RULE (\S+) (\S+) (\S+)", line)) and untried.pop(found[1], None):
            results[found[1]] = (found[2], found[3])
for rule, why in untried.items():
    print(f"not tried: {rule}: {why}")
check(len(results) > 100, f"only {len(results)} rules were tried")
different = {rule: got for rule, (wanted, got) in results.items() if wanted != got}
for rule in lost:
    different[rule] = "reset"
known = explained() if options.bochs else {}
for rule, got in different.items():
    print(f"{rule}: {got}{'' if known.get(rule) == got else ' <-- unexplained'}")
check(different == known, f"what differs is not what is expected: {known}")
print(f"{len(results)} rules tried, {len(results) - len(different)} as the table says, {len(different)} otherwise")
