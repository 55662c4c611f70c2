#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The table in docs/vitrine-qemu.md names exactly the options that the program has.
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
printed = subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True, check=True).stdout
has = set(re.findall(r"^-(\S+)", printed, re.M))
told = set(re.findall(r"^\| `-(\S+?)[` ]", (ROOT / "docs/vitrine-qemu.md").read_text(), re.M))
for name in sorted(has - told):
    print(f"docs/vitrine-qemu.md does not tell of -{name}")
for name in sorted(told - has):
    print(f"docs/vitrine-qemu.md tells of -{name}, which the program does not have")
assert has, "the help names no option"
sys.exit(has != told)
