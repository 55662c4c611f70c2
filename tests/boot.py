#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Debian's kernel boots, answers one command and powers off; a second run of the same gives the same hashes of the machine's state.

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

parser = argparse.ArgumentParser(description="Boots Debian's kernel twice and compares.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", default="1")
options = parser.parse_args()

command = "uname -sm; echo $((6*7)); grep -c ^processor /proc/cpuinfo; echo to standard error >&2; exit 3"
expected = ["Linux x86_64", "42", options.cpus, "to standard error"]


def tool(*arguments):
    return subprocess.run([TREE / "tools/guest-image", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


kernel, initramfs = tool()
(encoded,) = tool("--encode", command)
arguments = [options.vitrine, "run", "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--cpus", options.cpus,
             "--append", f"console=ttyS0 panic=-1 vitrine.run={encoded}", "--serial", "stdio", "--no-reboot",
             "--hash-every", "100000000"]  # fmt: skip


def boot(_):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")


def check(condition, text, run):
    if not condition:
        print(f"{text}\n--- status {run.returncode}, standard output:\n{run.stdout}\n--- standard error:\n{run.stderr}")
        sys.exit(1)


with ThreadPoolExecutor(2) as pool:
    runs = list(pool.map(boot, range(2)))

hashes = []
for run in runs:
    check(run.returncode == 0, "Vitrine's exit status is not 0", run)
    said = re.search(r"^VITRINE-RUN-BEGIN\r?\n(.*)^VITRINE-RUN-END status (\d+)\r?$", run.stdout, re.M | re.S)
    check(said is not None, "the guest's command has not run from begin to end", run)
    check(said[1].splitlines() == expected, f"the command's output is not {expected}", run)
    check(said[2] == "3", "the command's status is not 3", run)
    hashes.append(re.findall(r"^hash (\d+) ([0-9a-f]{32})$", run.stderr, re.M))
    check(len(hashes[-1]) >= 3, "too few hash lines to compare", run)
    check(len({value for _, value in hashes[-1]}) == len(hashes[-1]), "the state hash does not change with the state", run)
check(runs[0].stdout == runs[1].stdout, "the two runs differ in what they print", runs[1])
for first, second in zip(*hashes):
    check(first == second, f"the two runs differ: {' '.join(first)}, then {' '.join(second)}", runs[1])
check(len(hashes[0]) == len(hashes[1]), "the two runs differ in length", runs[1])
print(f"two boots, {len(hashes[0])} equal hashes, the last at instruction {hashes[0][-1][0]}")
