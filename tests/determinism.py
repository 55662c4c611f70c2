#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# One run, again and again: a boot at which somebody types is recorded, replayed under other circumstances, and gone on with from
# snapshots. The hashes of the machine's state are equal everywhere, and looking at them changes nothing.

import argparse
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import machines
from machines import check, guest_image, hashes, run
from session import Session

parser = argparse.ArgumentParser(description="Records, replays, snapshots, restores and compares.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", default="1")
parser.add_argument("--stages", type=int, default=2, help="how many snapshots the second run is cut into")
parser.add_argument("--hash-every", type=int, default=50_000_000)
parser.add_argument("--seed", type=int, default=1, help="of the places of the snapshots")
parser.add_argument("--stale", default="normal")
options = parser.parse_args()
# A path that holds from everywhere, for one run begins in another directory.
vitrine = options.vitrine.resolve()

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
kernel, initramfs = guest_image("--vmlinux")
log = folder / "log"
machine = ["--kernel", kernel, "--initrd", initramfs, "--append", "console=ttyS0 panic=-1 quiet", "--cpus", options.cpus, "--stale", options.stale]
watch = ["--no-reboot", "--stats", "--hash-every", options.hash_every]


def stat(finished, name):
    return re.search(rf"^{name} +(.*)$", finished.stderr, re.M)[1]


# The run. The places of snapshots are chosen anew by each seed; the typing is as irregular as the host makes it.
terminal = Session(vitrine, *machine, "--record", log, "--rtc", "now", *watch)
terminal.expect(b"# ")
quiet = len(re.findall("^hash", terminal.complaints(), re.M)) - 1  # the last hash before somebody types
terminal.type("echo $((6*7)); date >/tmp/now; cat /proc/uptime\n")
terminal.expect(b"\n42")
terminal.type("head -c 300000 /dev/urandom | sha256sum\n")
terminal.expect(b"  -")
terminal.type("poweroff -f\n")
first = terminal.end()
check(first.returncode == 0, "the recorded run's status is not 0", first)
end, instructions = stat(first, "hash"), int(stat(first, "instructions"))
lines = hashes(first)
check(len(lines) >= 20 and len({value for _, value in lines}) == len(lines), "too few hash lines, or equal ones", first)

# The same again: from the file alone, in another directory, with another environment and other work beside it.
busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
try:
    environment = {"PATH": os.environ["PATH"], "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PADDING": "x" * 3000}
    command = ["nice", str(vitrine), "run", "--replay", str(log), *(str(w) for w in watch)]
    again = subprocess.run(command, cwd="/", env=environment, input="this is no input\n", capture_output=True, text=True,
                           errors="replace", timeout=900)  # fmt: skip
finally:
    busy.kill()
check(again.returncode == 0, "the replay's status is not 0", again)
check(again.stdout == first.stdout, "the replay prints something else", again)
check(hashes(again) == lines, "the replay's hashes are not those of the recording", again)
check(stat(again, "hash") == end, "the replay ends in another state", again)

# Once more, without hashes on the way, in stages that each go on from a snapshot of the one before: the first from the recording,
# the others without it, so they end before somebody types.
places = sorted(random.Random(options.seed).sample(range(1, int(lines[quiet][0])), options.stages))
snapshot = folder / "snapshot"
source = ["--replay", log]
for place in places:
    stage = run(vitrine, *source, "--serial", "none", "--snapshot-at", f"{place},{snapshot}", "--stop-at", place)
    check(stage.returncode == 10, f"the stage to instruction {place} does not end there", stage)
    source = ["--restore", snapshot]
last = lines[quiet]
stage = run(vitrine, *source, "--serial", "none", "--stop-at", last[0], "--stats")
check(stat(stage, "hash") == last[1], f"after snapshots at {places}, instruction {last[0]} finds another state", stage)
stage = run(vitrine, *source, "--serial", "none", "--stop-at", last[0], "--hash-every", options.hash_every)
tail = hashes(stage)
check(tail and tail == lines[quiet + 1 - len(tail) : quiet + 1], "a restored machine's hashes are others", stage)

print(f"{options.cpus} processors: {instructions} instructions recorded and replayed with {len(lines)} equal hashes; "
      f"snapshots at {', '.join(map(str, places))} go on to the same")  # fmt: skip
