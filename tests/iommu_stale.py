#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A driver that leaves out one invalidation of VT-d: its device goes on by the old entry, and --stale max says where the entry was changed. The same
# driver in the middle of its DMA is saved and gone on with.

import argparse
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machines import check, hashes, run, tiny_guest

parser = argparse.ArgumentParser(description="Runs a small driver that forgets invalidations.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

# Sign, kind, verdict as usual and with --stale max: without it nobody remembers tables.
CASES = [("", None, 0, 0), ("!", "iotlb", 1, 1), ("#", "second-stage", 0, 2), ("%", "context", 4, 4), ("@", "interrupt-entry", 8, 8)]

with tempfile.TemporaryDirectory() as scratch:
    guest = tiny_guest("vtd.c", scratch)

    def go(sign, *more):
        return run(options.vitrine, "--kernel", guest, "--append", sign, "--memory", "16M", "--debug-exit", "0xf4", "--serial", "none", "--stats",
                   "--iommu", "on", "--device", "edu", "--hash-every", "1000000", *more)  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        usual = list(pool.map(lambda case: go(case[0]), CASES))
        stale = list(pool.map(lambda case: go(case[0], "--stale", "max"), CASES))
    for (sign, kind, as_usual, as_stale), first, second in zip(CASES, usual, stale):
        check(first.returncode == 2 * as_usual + 1, f"'{sign}': the status is not {2 * as_usual + 1}", first)
        check("stale." not in first.stderr, "something is told without being asked for", first)
        check(second.returncode == 2 * as_stale + 1, f"'{sign}' with --stale max: the status is not {2 * as_stale + 1}", second)
        counts = {name: int(n) for name, n in re.findall(r"^count stale\.([a-z-]+) (\d+)$", second.stderr, re.M)}
        found = {name for name, n in counts.items() if n}
        check(found == ({kind} if kind else set()), f"'{sign}': stale uses are {found}", second)
        if kind:
            line = re.search(rf"vtd stale\.{kind} device=edu requester=8 domain=\w+ address=\w+ cached=(\S+) memory=(\S+) entry=\S+@\w+=\S+ "
                             r"changed-by=CPU0,L1,rip=1\w+,at=\d+\n", second.stderr)  # fmt: skip
            check(line and line[1] != line[2], f"'{sign}': the report does not say what it should", second)

    # The first DMA begins within some thousand instructions and takes 100,000.
    saved = Path(scratch) / "saved"
    for at in (30_000, 60_000, 130_000):
        once = go("", "--snapshot-at", f"{at},{saved}")
        check(once.returncode == 1 and hashes(once) == hashes(usual[0]), "saving changes the run", once)
        again = run(options.vitrine, "--restore", saved, "--stats", "--hash-every", "1000000")
        check(again.returncode == 1, "what was saved does not end as it should", again)
        check(hashes(again) == hashes(once)[-len(hashes(again)) :] and len(hashes(again)) > 3, "what was saved runs otherwise", again)
print("four invalidations left out, four found with their places; DMA in flight is saved and restored")
