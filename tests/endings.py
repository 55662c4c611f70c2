#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A tiny guest booted by Multiboot and by PVH: what it is told of memory, modules and command line, and every way in which a run ends.

import argparse
import re
import sys
import tempfile
from pathlib import Path

from machines import check, run, tiny_guest

parser = argparse.ArgumentParser(description="Boots tests/guests/tiny.c in every way to every end.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

# The last word of the guest's command line, further options, the exit status, and what standard error must say.
# clang-format off
ENDINGS = [
    ("verdict",        ["--debug-exit", "0xf4"],              43, r""),
    ("verdict",        ["--device", "isa-debug-exit,iobase=0xf4,iosize=4"], 43, r""),
    ("power-off",      [],                                     0, r""),
    ("reset",          ["--no-reboot"],                        8, r"vitrine: the guest reset itself under --no-reboot\n"),
    ("keyboard-reset", ["--no-reboot"],                        8, r"vitrine: the guest reset itself under --no-reboot\n"),
    ("reset",          ["--stop-after", "0.002"],             10, r"vitrine: the limit of virtual time was reached\n"),
    ("triple-fault",   [],                                     4, r"vitrine: triple fault on processor 0 (?s:.*)#BP(?s:.*)#GP(?s:.*)#DF(?s:.*)->  *100...: cc  *int3\n(?s:.*)"),
    ("halt",           [],                                    10, r"vitrine: .*halted with interrupts off.*\n"),
    ("loop",           ["--stop-after", "0.25"],              10, r"vitrine: the limit of virtual time was reached\n"),
    ("loop",           ["--stop-at", "1000000"],              10, r"vitrine: .*instruction.* limit.*\n"),
]
# clang-format on

failures = 0
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    (folder / "one").write_text("first line\nsecond line\n")
    (folder / "two").write_bytes(b"other\n" + bytes(100_000))
    for protocol, flags in (("Multiboot", []), ("PVH", ["-DPVH"])):
        kernel = tiny_guest("tiny.c", folder, *flags)
        for word, further, status, complaint in ENDINGS:
            finished = run(options.vitrine, "--kernel", kernel, "--initrd", folder / "one", "--module", f"{folder}/two,two words",
                           "--append", f"some words and {word}", "--memory", "64M", *further, timeout=60)  # fmt: skip
            where = f"{protocol}, {word} {' '.join(further)}"
            boots = finished.stdout.count("command line:")
            told = [
                rf"\A{protocol}\n",
                r"memory 0x0 0x9fc00 0x1\n",
                r"memory 0x100000 0x[0-9a-f]+ 0x1\n",
                rf"module {folder}/one: 0x17 first line\n",
                rf"module {folder}/two two words: 0x186a6 other\n",
                rf"command line: ({kernel} )?some words and {word}\n",
            ]
            for line in told:
                check(re.search(line, finished.stdout, re.M), f"{where}: the guest has not said {line!r}", finished)
            check(boots > 100 if word == "reset" and status == 10 else boots == 1, f"{where}: booted {boots} times", finished)
            check(finished.returncode == status, f"{where}: status {finished.returncode}, not {status}", finished)
            check(re.fullmatch(complaint, finished.stderr), f"{where}: standard error does not match {complaint!r}", finished)
print(f"{2 * len(ENDINGS)} runs ended as they must")
