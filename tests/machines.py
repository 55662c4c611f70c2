# SPDX-License-Identifier: Apache-2.0
# What tests of whole machines share: making guests, running them, reading what they said, complaining.

import gzip
import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

# What the kernel may say at the level of warnings, because a real machine of this kind makes it say so too.
EXPECTED_WARNINGS = [
    r"i8042: PNP: PS/2 appears to have AUX port disabled",  # there is a keyboard controller without a port for a mouse
]


def guest_image(*arguments):
    """The kernel's and the initramfs's path. With --vmlinux the kernel is the ELF file, which boots by PVH in a third of the time."""
    run = subprocess.run([TREE / "tools/guest-image", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.split()


def encode(command):
    return guest_image("--encode", command)[0]


def script_image(script, folder, *arguments):
    """A guest with a shell script that is too long for its command line; run it by "sh /script"."""
    path = Path(folder) / "script"
    path.write_text(script)
    return guest_image(*arguments, "--add", f"{path}:/script")


def with_script(initramfs, script, path):
    """The same guest with another /script, without packing all of it anew: the kernel takes archives one behind the other. Written to `path`."""

    def entry(name, mode, content):
        name = name.encode() + b"\0"
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)

    plain = gzip.decompress(Path(initramfs).read_bytes())  # the guest would take longer to unpack it
    Path(path).write_bytes(plain + bytes(-len(plain) % 4) + entry("script", 0o100644, script.encode()) + entry("TRAILER!!!", 0, b""))
    return path


def tiny_guest(source, folder, *flags):
    """A 32-bit program without an operating system, from tests/guests, built for this run."""
    path = Path(folder) / (Path(source).stem + "".join(flags))
    layout = ["-Wl,-T," + str(TREE / "tests/guests/flat.ld"), "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments"]
    freestanding = ["-m32", "-march=i686", "-O1", "-ffreestanding", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-fno-stack-protector"]
    command = ["gcc", *freestanding, "-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Werror", *layout, *flags]
    subprocess.run([*command, TREE / "tests/guests" / source, "-o", path], check=True)
    return path


def run(vitrine, *arguments, timeout=500, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE):
    """`vitrine run` to its end. A test that waits longer than `timeout` seconds has failed."""
    command = [str(a) for a in (vitrine, "run", *arguments)]
    return subprocess.run(command, stdin=stdin, stdout=stdout, stderr=stderr, text=True, errors="replace", timeout=timeout)


def said(finished):
    """The lines that the guest's command printed, and its status; None when it has not come to its end."""
    found = re.search(r"^VITRINE-RUN-BEGIN\r?\n(.*)^VITRINE-RUN-END status (\d+)\r?$", finished.stdout, re.M | re.S)
    return (found[1].splitlines(), int(found[2])) if found else None


def hashes(finished):
    return re.findall(r"^hash (\d+) ([0-9a-f]{32})$", finished.stderr, re.M)


def check(condition, text, finished=None):
    if not condition:
        print(text)
        if finished is not None:
            print(f"--- status {finished.returncode}, standard output:\n{finished.stdout}\n--- standard error:\n{finished.stderr}")
        sys.exit(1)


def check_equal(first, second):
    """Two runs of the same machine: the same words, the same hashes."""
    check(first.stdout == second.stdout, "the two runs differ in what they print", second)
    one, other = hashes(first), hashes(second)
    for a, b in zip(one, other):
        check(a == b, f"the two runs differ: {' '.join(a)}, then {' '.join(b)}", second)
    check(len(one) == len(other), "the two runs differ in length", second)
    check(len(one) >= 3, "too few hash lines to compare", second)
    check(len({value for _, value in one}) == len(one), "the state hash does not change with the state", second)
    return one
