#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# How much of the host's memory a machine holds beyond the guest RAM that was touched and the code cache: less than 64 MiB, after work of many kinds.

import argparse
import re
import subprocess
from pathlib import Path

from machines import check, encode, guest_image

BOUND = 64 << 20
MEMORY, CODE_CACHE = 1 << 30, 64 << 20

parser = argparse.ArgumentParser(description="Boots Debian's kernel, lets it work, and looks at the process from outside.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", default="1")
parser.add_argument("--show", action="store_true", help="each mapping that holds more than a MiB")
options = parser.parse_args()

COMMAND = ("for i in 1 2 3; do python3 -c 'import json, hashlib; print(sum(len(json.dumps(list(range(n)))) for n in range(300)))'; "
           "head -c 3000000 /dev/zero | gzip | wc -c; find / -xdev | wc -l; done; echo RESIDENT now; sleep 100000")  # fmt: skip


def mappings(pid):
    """(start, bytes, resident bytes, name) of each."""
    found, rows = None, []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line):
            found = [int(head[1], 16), int(head[2], 16) - int(head[1], 16), 0, head[3]]
            rows.append(found)
        elif line.startswith("Rss:"):
            found[2] = int(line.split()[1]) << 10
    return rows


kernel, initramfs = guest_image("--vmlinux", "--with", "python3,gzip")
command = [options.vitrine, "run", "--kernel", kernel, "--initrd", initramfs, "--memory", str(MEMORY >> 20) + "M", "--cpus", options.cpus,
           "--code-cache", str(CODE_CACHE >> 20) + "M",
           "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(COMMAND)}"]  # fmt: skip
process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
try:
    check(any(b"RESIDENT now" in line for line in process.stdout), "the guest's command did not come to its end")
    rows = mappings(process.pid)
finally:
    process.kill()
    process.wait()
ram = [row for row in rows if row[1] >= MEMORY * 3 // 4 and row[2]]
check(ram, "guest RAM is no mapping of its own")
code = [row for row in rows if row[1] == CODE_CACHE and row not in ram]
touched, held = sum(row[2] for row in ram), sum(row[2] for row in code)
check(touched > 50 << 20 and 0 < held <= 2 * CODE_CACHE, f"guest RAM {touched}, code cache {held}: not what was looked for")
rest = sum(row[2] for row in rows) - touched - held
if options.show:
    for row in sorted(rows, key=lambda row: -row[2]):
        if row[2] >= 1 << 20:
            print(f"{row[0]:x} {row[1] >> 10:9} KiB {row[2] >> 10:9} resident {row[3]}")
print(f"touched guest RAM {touched >> 20} MiB, code cache {held >> 20} MiB in both its mappings, everything else {rest / (1 << 20):.1f} MiB")
check(rest < BOUND, f"more than {BOUND >> 20} MiB")
