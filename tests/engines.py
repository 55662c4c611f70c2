#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# One machine in both engines: the translator's state has the interpreter's hashes all the way through a boot and some programs.

import argparse
import subprocess
import tempfile
from pathlib import Path

from machines import check, check_equal, encode, guest_image, run, said

parser = argparse.ArgumentParser(description="Boots Debian's kernel in the interpreter and in the translator, and compares.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", default="1")
parser.add_argument("--code-cache", default="64M", help="small: the translated code is thrown away again and again")
parser.add_argument("--work", action="store_true", help="python3, openssl, xz and gzip too, and programs of x87, REP and 32-bit code")
options = parser.parse_args()

WORKLOAD = Path(__file__).resolve().parent.parent / "bench/workload"
PROGRAMS = ["matrix", "x87", "rep", "code32", "kernel"]
if options.work:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([WORKLOAD.parent / "programs/build", folder, *PROGRAMS], check=True)
        own = [word for program in sorted(Path(folder).iterdir()) for word in ("--add", f"{program}:/bench/{program.name}")]
        kernel, initramfs = guest_image("--vmlinux", "--with", "python3,openssl,xz,gzip", "--add", f"{WORKLOAD}:/bench/workload", *own)
    command = "sh /bench/workload gzip xz python3 sha256 aes matrix x87 rep code32 syscalls getpid fork faults pipe"
else:
    kernel, initramfs = guest_image("--vmlinux")
    command = "for i in 1 2 3; do head -c 100000 /dev/zero | sha256sum; done & head -c 1000000 /dev/zero | gzip | wc -c; wait"
machine = ["--kernel", kernel, "--initrd", initramfs, "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(command)}",
           "--cpus", options.cpus, "--no-reboot", "--hash-every", "10000000"]  # fmt: skip

interpreted = run(options.vitrine, *machine, "--engine", "interp", timeout=3000)
check(said(interpreted), "the command did not come to its end", interpreted)
translated = run(options.vitrine, *machine, "--engine", "jit", "--code-cache", options.code_cache, "--stats", timeout=3000)
check("translated" in translated.stderr, "nothing was translated", translated)
print(f"{len(check_equal(interpreted, translated))} hashes are equal")
