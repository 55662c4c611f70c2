#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Debian 12 on an NVMe disk: its own programs compute in the guest what they compute on this computer, and the disk is sound afterwards.

import argparse
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import machines
from machines import TREE, check, encode, guest_image, run

SAME = ["versions", "digests", "ciphers", "compressions", "scripts"]
GUEST = ["files", "stress", "python"]

parser = argparse.ArgumentParser(description="Runs Debian's programs in the guest and on this computer, and compares.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", default="2")
parser.add_argument("--only", metavar="PART,PART", help=f"of {','.join(SAME + GUEST)}")
parser.add_argument("--timeout", type=int, default=7200)
options = parser.parse_args()
chosen = options.only.split(",") if options.only else SAME + GUEST
same, own = [p for p in SAME if p in chosen], [p for p in GUEST if p in chosen]


def pack(folder):
    """The scripts as an archive; written to a disk as it is, tar unpacks it from there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted((TREE / "tests/debian").iterdir()):
            info = tarfile.TarInfo(f"parts/{path.name}")
            info.size = path.stat().st_size
            tar.addfile(info, io.BytesIO(path.read_bytes()))
    (folder / "scripts.img").write_bytes(buffer.getvalue())
    return folder / "scripts.img"


def sections(text):
    found = re.split(r"^--- (\w+)\r?\n", text, flags=re.M)
    return {name: body.replace("\r", "") for name, body in zip(found[1::2], found[2::2])}


with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    master = subprocess.run([TREE / "tools/guest-disk"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    disk = folder / "root.img"
    subprocess.run(["cp", "--sparse=always", master, disk], check=True)
    kernel, initramfs = guest_image("--vmlinux", "--modules", "nvme,ext4")
    data = "head -c 1000000 /usr/bin/python3.11 >data"
    command = f"tar -xf /dev/nvme1n1; {data}; bash parts/same.sh {' '.join(same)}; bash parts/guest.sh {' '.join(own)}"
    guest = run(options.vitrine, "--kernel", kernel, "--initrd", initramfs, "--memory", "1G", "--cpus", options.cpus,
                "--append", f"console=ttyS0 panic=-1 vitrine.root=/dev/nvme0n1 vitrine.run={encode(command)}",
                "--disk", disk, "--disk", f"{pack(folder)},readonly", "--no-reboot", "--stats", timeout=options.timeout)  # fmt: skip
    check(guest.returncode == 0, "Vitrine's exit status is not 0", guest)
    said = machines.said(guest)
    check(said is not None, "the guest's command has not run from begin to end", guest)
    in_guest = sections("\n".join(said[0]) + "\n")

    # On this computer: the same script in a folder with the same file.
    here = folder / "here"
    shutil.copytree(TREE / "tests/debian", here / "parts")
    subprocess.run(["debugfs", "-R", f"dump /usr/bin/python3.11 {here}/whole", master], check=True, capture_output=True)
    (here / "data").write_bytes((here / "whole").read_bytes()[:1000000])
    host = subprocess.run(["bash", "parts/same.sh", *same], cwd=here, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    on_host = sections(host.stdout)

    failures = []
    for name in same:
        first, second = in_guest.get(name, "").splitlines(), on_host[name].splitlines()
        wrong = [f"  here  {b}\n  guest {a}" for a, b in zip(first, second) if a != b][:10]
        if name == "versions" and len(first) == len(second):
            # Minor versions may differ: told, in case something else does.
            print("versions:", "equal" if first == second else "\n" + "\n".join(wrong))
        elif first != second:
            failures.append(f"{name}: {len(first)} lines in the guest, {len(second)} here\n" + "\n".join(wrong))
        else:
            print(f"{name}: {len(first)} lines equal")
    expected = {
        "files": r"/dev/nvme0n1 +ext4\n269 files True\n",
        "stress": r"successful run completed\n",
        "python": r"(.*\n)*(Tests r|R)esult: SUCCESS\n",
    }
    for name in own:
        if not re.fullmatch(expected[name], in_guest.get(name, "")):
            failures.append(f"{name}: not as expected:\n{in_guest.get(name)}")
        else:
            print(f"{name}: {' '.join(in_guest[name].splitlines()[-3:])}")
    check(not failures, "\n".join(failures))

    fsck = subprocess.run(["e2fsck", "-f", "-n", disk], capture_output=True, text=True)
    check(fsck.returncode == 0, f"the file system is not sound afterwards:\n{fsck.stdout}{fsck.stderr}")
    print("the file system is sound:", fsck.stdout.splitlines()[-1])
    print(re.search(r"^instructions.*", guest.stderr, re.M)[0])
