#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# kvm-unit-tests in both engines: each test says and does the same in the translator as in the interpreter, and so does each state on the way.
"""usage: tests/engines_kut.py VITRINE DIR [--only NAME ...] [--skip NAME ...]

DIR is a checkout of kvm-unit-tests that has been built. Every test of its unittests.cfg whose file is there is run with its arguments and
processors, in both engines, for so much virtual time at most; whether it passes is not asked here (tests/kut does). Hashes are compared
every 10 million instructions and at the end.
"""

import argparse
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from kut_in_kvm import read_configuration

SECONDS = 4  # of virtual time; 4 billion instructions, after which a test only does more of the same

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("vitrine", type=Path)
parser.add_argument("directory", type=Path)
parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
parser.add_argument("--skip", nargs="+", default=[], metavar="NAME")
parser.add_argument("--seconds", type=float, default=SECONDS, help="of virtual time for each test (default: %(default)s)")
options = parser.parse_args()


def run(keys, engine):
    """Output, status and hashes."""
    words = shlex.split(keys.get("qemu_params", keys.get("extra_params", "")))
    append = words[words.index("-append") + 1] if "-append" in words else ""
    append = " ".join([*shlex.split(keys.get("test_args", "")), append]).strip()
    command = [options.vitrine, "run", "--vmx", "on", "--kernel", options.directory / "x86" / keys["file"], "--append", append,
               "--cpus", keys.get("smp", "1"), "--memory", "512M", "--device", "pc-testdev", "--device", "pci-testdev", "--debug-exit", "0xf4",
               "--no-reboot", "--stop-after", f"{options.seconds:g}", "--hash-every", "10000000", "--stats", "--engine", engine]  # fmt: skip
    finished = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=3600)
    hashes = re.findall(r"^hash (\d+) ([0-9a-f]{32})$", finished.stderr, re.M) + re.findall(r"^(hash) +([0-9a-f]{32})$", finished.stderr, re.M)
    return finished, hashes


tests = read_configuration(options.directory / "x86/unittests.cfg")
unknown = [name for name in (*options.only, *options.skip) if name not in tests]
if unknown:
    sys.exit(f"engines_kut: unittests.cfg has no {' '.join(unknown)}")
compared, different, translated = 0, [], 0
for name, keys in tests.items():
    if (options.only and name not in options.only) or name in options.skip or not (options.directory / "x86" / keys["file"]).exists():
        continue
    begun = time.monotonic()
    interpreted, one = run(keys, "interp")
    finished, other = run(keys, "jit")
    same = (interpreted.stdout, interpreted.returncode, one) == (finished.stdout, finished.returncode, other)
    compared += 1
    found = re.search(r"^translated +(\d+) blocks", finished.stderr, re.M)
    translated += int(found[1]) if found else 0
    if not one or not same:
        different.append(name)
        first = next((a for a, b in zip(one, other) if a != b), None)
        print(f"{name}: differs: status {interpreted.returncode} and {finished.returncode}, {len(one)} and {len(other)} hashes, first {first}")
    else:
        print(f"{name}: status {finished.returncode}, {len(one)} hashes are equal; {time.monotonic() - begun:.1f} s", flush=True)
print(f"{compared} tests compared, {translated} blocks translated, {len(different)} differ: {' '.join(different)}")
sys.exit(0 if compared and translated and not different else 1)
