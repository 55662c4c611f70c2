#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Snapshot and recording files: whole or not at all, whatever happens while they are written; refused with one line and status 2 when
# they are no good or options contradict them.

import argparse
import os
import random
import re
import resource
import subprocess
import tempfile
from pathlib import Path

import machines
from machines import check, guest_image, run

parser = argparse.ArgumentParser(description="Breaks off snapshots, and offers bad ones.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()
vitrine = options.vitrine.resolve()

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
kernel, initramfs = guest_image("--vmlinux")
machine = ["--kernel", kernel, "--initrd", initramfs, "--append", "quiet", "--memory", "256M", "--serial", "none"]
here = 60_000_000
good, log = folder / "good", folder / "log"
disk = folder / "disk"
disk.write_bytes(bytes(1 << 20))


def files():
    return sorted(p.name for p in folder.iterdir())


def one_line(finished, status, pattern):
    text = finished.stderr.strip().splitlines()
    text = [line for line in text if line.startswith("vitrine: ")]
    check(finished.returncode == status, f"the status is not {status} (wanted: {pattern})", finished)
    check(len(text) == 1 and re.search(pattern, text[0]), f"the line does not match {pattern}", finished)


first = run(vitrine, *machine, "--disk", f"{disk},discard", "--snapshot-at", f"{here},{good}", "--record", log, "--stop-at", here + 5_000_000,
            "--stats")  # fmt: skip
check(first.returncode == 10, "a run with a snapshot does not end at its limit", first)
hash_there = re.search(r"^hash +(\w+)$", first.stderr, re.M)[1]
content = good.read_bytes()

# It goes on from the file alone; what says the same may be said, and the disk's image may have moved.
moved = folder / "moved"
for more in ([], ["--memory", "256M", "--kernel", kernel], ["--disk", f"{moved},discard"]):
    if "--disk" in more:
        disk.rename(moved)
    again = run(vitrine, "--restore", good, "--serial", "none", "--stop-at", here + 5_000_000, "--stats", *more)
    check(f"hash                {hash_there}" in again.stderr, f"the restored machine ({more}) is another", again)
moved.rename(disk)

# No room: status 74, the old snapshot whole, nothing else left behind.
before = files()


process = subprocess.Popen([str(a) for a in (vitrine, "run", "--restore", good, "--serial", "none", "--hash-every", 1_000_000,
                                             "--snapshot-at", f"{here + 150_000_000},{good}")],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
while not process.stderr.readline().startswith("hash"):
    check(process.poll() is None, "the run that is to fill the disk ended early")
resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))  # what the machine itself needs it has now
errors = process.stderr.read()
full = subprocess.CompletedProcess([], process.wait(), "", errors)
one_line(full, 74, r"--snapshot-at: '\S+good' cannot be written: File too large")
check(good.read_bytes() == content and files() == before, f"a full disk left {files()}, before there were {before}")

# Killed at any moment: the old one or the new one, and it can be restored.
kinds = set()
for wait in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 10):
    good.write_bytes(content)
    process = subprocess.Popen([str(a) for a in (vitrine, "run", "--restore", good, "--serial", "none", "--hash-every", 1_000_000, "--stop-at",
                                                 here + 4_000_000, "--snapshot-at", f"{here + 1_500_000},{good}")],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    while not process.stderr.readline().startswith("hash"):
        check(process.poll() is None, "the run that is to be killed ended early")
    try:
        process.wait(wait * random.uniform(0.5, 1.5))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stderr.close()
    kinds.add(good.read_bytes() == content)
    whole = run(vitrine, "--restore", good, "--serial", "none", "--stop-at", here + 1_600_000)
    check(whole.returncode == 10, "a killed run left a snapshot that cannot be restored", whole)
    # Only a file system without nameless files keeps a temporary one, between two moments of a rename.
    check(all(name in before or name.endswith(".new") for name in files()), f"a killed run left {files()}")
    for name in files():
        if name.endswith(".new"):
            (folder / name).unlink()
check(False in kinds, "no writer came to its end")
good.write_bytes(content)


# What is no good.
def damaged(name, change, of=content):
    data = bytearray(of)
    change(data)
    (folder / name).write_bytes(data)
    return folder / name


def flip(at):
    def change(data):
        data[at] ^= 1

    return change


recording = log.read_bytes()
at_cpu = content.index(b"cpu0\0") + 100
other_disk = folder / "other"
other_disk.write_bytes(b"x" * (1 << 20))

TABLE = [
    (["--restore", folder / "none"],                                        r"--restore: cannot open '\S+none': No such file"),
    (["--restore", kernel],                                                 r"--restore \S+: is no snapshot of a machine: it would begin with 'vitrine snapshot'"),
    (["--restore", damaged("empty", lambda d: d.clear())],                  r"--restore \S+empty: is no snapshot"),
    (["--restore", damaged("cut", lambda d: d.__delitem__(slice(70_000, None)))], r"--restore \S+cut: section '\w+' is cut off: it has \d+ bytes from byte \d+ on, the file has 70000"),
    (["--restore", damaged("short", lambda d: d.pop())],                    r"--restore \S+short: is cut off behind section 'memory'"),
    (["--restore", damaged("long", lambda d: d.append(0))],                 r"--restore \S+long: goes on behind its end"),
    (["--restore", damaged("flipped", flip(at_cpu))],                       r"--restore \S+flipped: section 'cpu0' is damaged: its XXH3 must be \w{16}, and is \w{16}"),
    (["--restore", damaged("header", flip(17))],                            r"--restore \S+header: the header is damaged"),
    (["--restore", log],                                                    r"--restore \S+log: is no snapshot"),
    (["--restore", good, "--memory", "1G"],                                 r"--memory contradicts --restore \S+good, which has 256M"),
    (["--restore", good, "--cpus", "2"],                                    r"--cpus contradicts --restore \S+good, which has 1;"),
    (["--restore", good, "--seed", "2"],                                    r"--seed contradicts"),
    (["--restore", good, "--append", "other"],                              r"--append contradicts .* which has 'quiet'"),
    (["--restore", good, "--device", "edu"],                                r"--device contradicts .* which has none"),
    (["--restore", good, "--kernel", initramfs],                            r"--kernel \S+ contradicts --restore"),
    (["--restore", good, "--serial", "none", "--serial", "none"],           r"--serial contradicts .* which has 1 serial ports"),
    (["--restore", good, "--disk", f"{other_disk},discard"],                r"section 'disk0 contents' does not fit: .*other' is not the disk image"),
    (["--restore", good, "--snapshot-at", f"{here},{folder / 'late'}"],     r"--snapshot-at 60000000: the machine of --restore \S+ has executed 600\d+ already"),
    (["--restore", good, "--replay", log],                                  r"--restore and --replay cannot be given together"),
    (["--restore", good, "--record", folder / "r"],                         r"--record and --restore cannot be given together"),
    (["--replay", good],                                                    r"--replay \S+good: is no recording of a run"),
    (["--replay", damaged("cutlog", lambda d: d.pop(), recording)],         r"--replay \S+cutlog: the log is damaged or cut off: no good record stands at byte \d+; (it is good up to instruction \d+|nothing before)"),
    (["--replay", log, "--cpus", "3"],                                      r"--cpus contradicts --replay \S+log, which has 1"),
    (["--replay", log, "--initrd", kernel],                                 r"--initrd \S+ contradicts --replay"),
    ([*machine, "--snapshot-at", f"5,{folder / 'no' / 'where'}"],           r"--snapshot-at: '\S+where' cannot be written: No such file"),
    ([*machine, "--snapshot-at", "5"],                                      r"--snapshot-at 5: must be INSTRUCTIONS,FILE"),
    ([*machine, "--snapshot-at", "5,/dev/null"],                            r"--snapshot-at: '/dev/null' cannot be written: it exists and is no regular file"),
    ([*machine, "--record", folder / "no" / "where"],                       r"--record: '\S+where' cannot be written: No such file"),
]

for arguments, pattern in TABLE:
    one_line(run(vitrine, *arguments), 2, pattern)

again = run(vitrine, "--replay", log, "--serial", "none", "--stats")
check(again.returncode == 10 and f"hash                {hash_there}" in again.stderr, "the replay is another run", again)

print(f"snapshots of {len(content) >> 10} KiB; killed writers left " + " and ".join("the old" if k else "the new" for k in sorted(kinds)))
