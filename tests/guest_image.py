#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The test guest is made twice, from caches and under file-creation masks of their own, and comes out the same, bit for bit.

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent / "tools/guest-image"


def made(mask):
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache"}
        command = [TOOL, "--modules", "nvme,ext4", "--add", f"{TOOL}:/etc/tool", "--out", f"{folder}/out"]
        subprocess.run(command, env=environment, umask=mask, check=True)
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(folder, "out").iterdir()}


first, second = made(0o022), made(0o077)
print(first, second, sep="\n")
sys.exit(first != second or set(first) != {"vmlinuz", "initramfs.cpio.gz"})
