#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A driver that leaves out one invalidation of VT-d: its device goes on by the old entry, and --stale max says where the entry was changed. The same
# driver in the middle of its DMA is saved and gone on with, recorded and replayed, and looked at through the monitor.

import argparse
import re
import subprocess
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

    def go(sign, *more, every=1_000_000):
        return run(options.vitrine, "--kernel", guest, "--append", sign, "--memory", "16M", "--debug-exit", "0xf4", "--serial", "none", "--stats",
                   "--iommu", "on", "--device", "edu", "--hash-every", every, *more)  # fmt: skip

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

    # Recorded, and replayed with a hash every 10,000 instructions of the DMA; what is saved in the replay's DMA goes on as well.
    log, end = Path(scratch) / "log", Path(scratch) / "log-of-the-beginning"
    recorded = go("", "--record", log, every=10_000)
    check(recorded.returncode == 1, "recording changes the run", recorded)
    replayed = run(options.vitrine, "--replay", log, "--stats", "--hash-every", "10000", "--snapshot-at", f"60000,{saved}")
    check(replayed.returncode == 1, "what was recorded does not end as it should", replayed)
    check(hashes(replayed) == hashes(recorded) and len(hashes(recorded)) > 100, "what was recorded runs otherwise", replayed)
    again = run(options.vitrine, "--restore", saved, "--stats", "--hash-every", "10000")
    check(again.returncode == 1 and hashes(again) == hashes(recorded)[-len(hashes(again)) :], "what was saved in the replay runs otherwise", again)
    # A recording that ends in the middle of the DMA.
    part = go("", "--record", end, "--stop-at", "60000", every=10_000)
    check(part.returncode == 10, "the recording has not come to its instruction limit", part)
    replayed = run(options.vitrine, "--replay", end, "--stats", "--hash-every", "10000")
    check(replayed.returncode == 10 and hashes(replayed) == hashes(part) == hashes(recorded)[: len(hashes(part))], "a part that was recorded runs otherwise", replayed)

    # The monitor, in the middle of the first DMA and when something was read.
    command = [options.vitrine, "run", "--kernel", guest, "--append", "", "--memory", "16M", "--debug-exit", "0xf4", "--serial", "none", "--iommu", "on",
               "--device", "edu", "--monitor", "stdio"]  # fmt: skip
    look = "iommu\niommu walk 00:01.0 0x2008\niommu walk 00:01.0 0x9000\niommu walk 00:02.0 0\nirte 0\nirte 1\nirte 65536\n"
    monitor = subprocess.run([str(c) for c in command], input=f"step 60000\n{look}step 200000\n{look}quit\n", capture_output=True, text=True, timeout=300)
    check(monitor.returncode == 0, "the monitor's end is not 0", monitor)
    before, after = re.split(r"^CPU0 at 260\d\d\d instructions", monitor.stdout, flags=re.M)
    ways = r"(?:  .*\n)*"
    # The answers before the device's first access to memory, and when the table of the page that it wrote was changed.
    WANTED = [
        (before, r"remapping unit at fed90000\n  DMA translation on, root table [1-9a-f][0-9a-f]+\n  interrupt remapping on, table [1-9a-f][0-9a-f]+, 2 entries\n"
                 r"  invalidation queue on, head 60, tail 60\n  caching mode off, 0 contexts, 0 pages, 0 interrupt entries are cached\n"),
        (before, r"00:01\.0 \(edu\), device address 2008\n  root@\w+=\S+  P=1 context table \w+\n  context@\w+=\S+  P=1 .* domain 1, table \w+\n"
                 r"  SSPDPTE@\w+=\w+  rw\n  SSPDE@\w+=\w+  rw\n  SSPTE@\w+=\w+  rw\n  read: physical \w+008, 4K page\n  write: physical \w+008, 4K page\n"),
        (after, r"  caching mode off, 1 contexts, 1 pages, 1 interrupt entries are cached\n"
                r"  device 00:01\.0 \(edu\): 1 reads, 1 writes, 16 bytes, 1 interrupts, 0 blocked\n  domain 1: 1 reads, 1 writes, 16 bytes, 0 interrupts, 0 blocked\n"),
        (after, rf"device address 2008\n  context cache: \S+, domain 1\n{ways}  IOTLB: 4K page \w+ rw\n{ways}  read: physical \w+008, 4K page\n"),
        (after, rf"device address 9000\n{ways}  SSPTE@\w+=0  --\n  read: fault 0x6: .*\n  write: fault 0x5: "),
        (after, rf"00:02\.0 \(nobody\), device address 0\n{ways}  fault 0x2: the context entry is not present"),
        (after, r"interrupt 0\n  IRTE@\w+=\S+\n  interrupt entry cache: \S+\n  any source\n"
                r"  posted: virtual vector 40, descriptor \w+: notification vector 0 to 0, suppressed\n"),
        (after, r"interrupt 1\n  IRTE@\w+=\S+\n  fault 0x22: "),
        (after, r"irte: INDEX is a number from 0 to 65535"),
    ]  # fmt: skip
    for part, wanted in WANTED:
        check(re.search(wanted, part), f"the monitor does not say: {wanted}", monitor)

    # An adapter that is made for assignment brings the unit with it.
    for words, wanted in (("", False), ("--device i82576", True), ("--device i82599", True), ("--device i82576 --iommu off", False), ("--iommu on", True)):
        command = [options.vitrine, "run", "--kernel", guest, "--memory", "16M", "--serial", "none", "--monitor", "stdio", *words.split()]
        monitor = subprocess.run([str(c) for c in command], input="iommu\nquit\n", capture_output=True, text=True, timeout=300)
        check(("remapping unit at fed90000" in monitor.stdout) == wanted, f"'{words}': there is {'no' if wanted else 'a'} remapping unit", monitor)
print("four invalidations left out, four found with their places; DMA in flight is saved and restored, recorded and replayed, and seen in the monitor")
