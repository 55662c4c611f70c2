#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# --stale max: a guest that leaves out one INVLPG, and a hypervisor that leaves out one INVEPT or INVVPID, are told of with the place; the
# same with it, and the stock kernel, are not.

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import machines
from machines import check, encode, guest_image, hashes, run, tiny_guest

parser = argparse.ArgumentParser(description="Runs guests whose translations are kept as long as the manual permits.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", type=int, help="boot the stock kernel with so many processors instead of the small guest")
parser.add_argument("--hypervisor", type=Path, help="guests/stale, built: run it instead of the small guest")
options = parser.parse_args()

COMMAND = """
for n in 1 2 3 4; do sha256sum /bin/busybox; done | sort -u | wc -l
seq 2000 | tr 0-9 a-j | sort -r | md5sum | cut -c-8
i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo $i | cat >/tmp/$i & done; wait; cat /tmp/[0-9]* | wc -l
"""


def findings(finished):
    """How many stale uses of each kind --stats counts; every kind is there."""
    counts = {name: int(n) for name, n in re.findall(r"^count stale\.([a-z-]+) (\d+)$", finished.stderr, re.M)}
    kinds = {"linear", "combined", "guest-physical", "paging-structure", "under-way"}
    check(kinds <= counts.keys(), f"--stats does not count {kinds - counts.keys()}", finished)
    return counts


# What the hypervisor changes, whether it forgets or does the other thing, and what is then told. The instruction that does not do for the
# other leaves one kind of translation.
FORGOTTEN = [
    ("ept !", "combined", r"level=L2 vpid=1 pcid=0 eptp=\w+ .* entry=EPT-PTE@"),
    ("ept ?", "guest-physical", r"level=L2 vpid=1 pcid=0 eptp=\w+ .* entry=EPT-PTE@"),
    ("vpid !", "linear", r"level=L2 vpid=1 pcid=0 eptp=0 .* entry=PTE@"),
    ("vpid ?", "linear", r"level=L2 vpid=1 pcid=0 eptp=0 .* entry=PTE@"),
]


def address_of(symbol):
    """Of the hypervisor's code, by the symbols of the file that it was made of."""
    names = subprocess.run(["nm", f"{options.hypervisor}.elf64"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(rf"^(\w+) \w {symbol}$", names, re.M)[1], 16)


if options.hypervisor:
    common = ["--vmx", "on", "--kernel", options.hypervisor, "--memory", "16M", "--debug-exit", "0xf4", "--serial", "stdio", "--stats"]
    for what in ("ept", "vpid"):
        right = run(options.vitrine, *common, "--append", what, "--stale", "max")
        check(right.returncode == 1, f"{what}: the guest does not read the new page after the invalidation", right)
        check(not any(findings(right).values()), f"{what}: a hypervisor that does everything right is told of", right)
    for what, kind, place in FORGOTTEN:
        wrong = run(options.vitrine, *common, "--append", what, "--stale", "max")
        check(wrong.returncode == 3, f"{what}: the guest does not read the old page", wrong)
        counts = findings(wrong)
        check(counts.pop(kind) == 1 and not any(counts.values()), f"{what}: not one use of kind {kind} is counted", wrong)
        line = re.search(rf"cpu stale\.{kind} cpu=0 {place}\w+=\w+ changed-by=CPU0,L1,rip=(\w+),at=\d+\n", wrong.stderr)
        check(line, f"{what}: the report does not say what it should", wrong)
        check(int(line[1], 16) == address_of("change_entry"), f"{what}: the entry was changed elsewhere", wrong)
        check(f"rip={address_of('guest_read'):x} access=read linear=800000" in line[0], f"{what}: the access is another one", wrong)
        print(line[0].strip())
elif options.cpus:
    kernel, initramfs = guest_image("--vmlinux")
    boot = ["--kernel", kernel, "--initrd", initramfs, "--memory", "256M", "--cpus", options.cpus, "--no-reboot", "--stats",
            "--append", f"console=ttyS0 panic=-1 quiet vitrine.run={encode(COMMAND)}"]  # fmt: skip
    finished = run(options.vitrine, *boot, "--stale", "max")
    check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
    told = machines.said(finished)
    check(told and told[0][0].strip() == "1" and told[0][2].strip() == "20", "the guest's command did not do its work", finished)
    counts = findings(finished)
    under_way = counts.pop("under-way")
    check(not any(counts.values()), f"stock software is told of: {counts}", finished)
    print(f"{options.cpus} processors, no stale use ({under_way} under way); {re.search('instructions .*', finished.stderr)[0]}")
else:
    with tempfile.TemporaryDirectory() as scratch:
        guest = tiny_guest("stale.c", scratch)
        common = ["--kernel", guest, "--memory", "16M", "--debug-exit", "0xf4", "--serial", "none", "--stats", "--hash-every", "1000"]
        right = run(options.vitrine, *common, "--stale", "max")
        check(right.returncode == 1, "with INVLPG the guest does not read the new page", right)
        check(not any(findings(right).values()), "a guest that does everything right is told of", right)
        wrong = run(options.vitrine, *common, "--append", "!", "--stale", "max")
        check(wrong.returncode == 3, "without INVLPG the guest does not read the old page", wrong)
        check(findings(wrong)["linear"] == 1, "the stale use is not counted", wrong)
        line = re.search(r"cpu stale\.linear cpu=0 level=L1 .* rip=(\w+) access=read linear=800000 cached=(\w+),rwx memory=(\w+),rwx "
                         r"entry=PTE@\w+=\w+ changed-by=CPU0,L1,rip=(\w+),at=\d+\n", wrong.stderr)  # fmt: skip
        check(line, "the report does not say what it should", wrong)
        check(int(line[3], 16) != int(line[2], 16), "the page has not moved", wrong)
        again = run(options.vitrine, *common, "--append", "!", "--stale", "max")
        check(again.stderr.split("count ")[1:] == wrong.stderr.split("count ")[1:] and hashes(again) == hashes(wrong), "two runs differ", again)
        normal = run(options.vitrine, *common, "--append", "!")
        check(normal.returncode == 3 and "stale" not in normal.stderr, "without --stale something is told", normal)
        print(line[0].strip())
