#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# One machine in both engines: the translator's state has the interpreter's hashes all the way through a boot, some programs, guests of KVM and
# of Pane.

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import hypervisors
from machines import check, check_equal, encode, guest_image, run, said
from panes import linux_guest

WORKLOAD = Path(__file__).resolve().parent.parent / "bench/workload"
PROGRAMS = ["matrix", "x87", "rep", "code32", "kernel"]


def boot(folder):
    command = "for i in 1 2 3; do head -c 100000 /dev/zero | sha256sum; done & head -c 1000000 /dev/zero | gzip | wc -c; wait"
    return linux(*guest_image("--vmlinux"), command)


def work(folder):
    """python3, openssl, xz and gzip, and programs of vectors, x87, REP and 32-bit code."""
    subprocess.run([WORKLOAD.parent / "programs/build", folder, *PROGRAMS], check=True)
    own = [word for name in PROGRAMS for word in ("--add", f"{folder}/{name}:/bench/{name}")]
    image = guest_image("--vmlinux", "--with", "python3,openssl,xz,gzip", "--add", f"{WORKLOAD}:/bench/workload", *own)
    return linux(*image, "sh /bench/workload gzip xz python3 sha256 aes matrix x87 rep code32 syscalls getpid fork faults pipe")


def nested(folder):
    """The stock kernel in Debian's QEMU on KVM."""
    command = hypervisors.start_guest("nproc; sha256sum /bin/busybox", "microvm", 1, 256)
    return ["--vmx", "on", "--memory", "1G", *linux(*hypervisors.image(*guest_image()), command)]


def pane(folder):
    """Two stock kernels side by side."""
    kernel, initramfs = guest_image("--vmlinux")
    path = Path(folder) / "pane.txt"
    path.write_text("failure-port 0xf4 1\n" + "".join(
        f"guest {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"
        for name, *lines in (linux_guest(n, kernel, initramfs, "sha256sum /bin/busybox") for n in ("alpha", "beta"))))  # fmt: skip
    modules = [word for module in (path, kernel, initramfs) for word in ("--module", module)]
    return ["--vmx", "on", "--memory", "1G", "--kernel", options.pane, *modules, "--debug-exit", "0xf4"]


def linux(kernel, initramfs, command):
    return ["--kernel", kernel, "--initrd", initramfs, "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(command)}"]


GUESTS = {f.__name__: f for f in (boot, work, nested, pane)}
parser = argparse.ArgumentParser(description="Runs one machine in the interpreter and in the translator, and compares.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("pane", type=Path, nargs="?", help="pane.elf, for that guest")
parser.add_argument("--guest", choices=GUESTS, default="boot")
parser.add_argument("--cpus", default="1")
parser.add_argument("--code-cache", default="64M", help="small: the translated code is thrown away again and again")
options = parser.parse_args()

with tempfile.TemporaryDirectory() as folder:
    machine = [*GUESTS[options.guest](folder), "--cpus", options.cpus, "--no-reboot", "--hash-every", "10000000"]
    interpreted = run(options.vitrine, *machine, "--engine", "interp", timeout=7000)
    if options.guest == "pane":
        check(interpreted.stdout.count("VITRINE-RUN-END status 0") == 2 and interpreted.returncode == 0, "Pane's guests have not come to their ends", interpreted)
    else:
        check(said(interpreted), "the command did not come to its end", interpreted)
    translated = run(options.vitrine, *machine, "--engine", "jit", "--code-cache", options.code_cache, "--stats", timeout=7000)
check(re.search(r"^translated +[1-9]", translated.stderr, re.M), "nothing was translated", translated)
check(re.search(r"^host time .*[1-9][\d.]*% translated code", translated.stderr, re.M), "no time is told for translated code", translated)
print(f"{options.guest}: {len(check_equal(interpreted, translated))} hashes are equal")
