#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Disks of every mode under the stock NVMe driver, two processors: ext4 read and written, images as they must be afterwards, twice the same.

import argparse
import hashlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machines
from machines import check, check_equal, encode, guest_image, run

parser = argparse.ArgumentParser(description="Boots with four disks, twice, and looks at the images.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

MIB = 1 << 20
COMMAND = """
ok() { "$@" >/tmp/out 2>&1 && echo "ok: $*" || { echo "NOT ok: $*"; cat /tmp/out; }; }
for n in 0 1 2 3; do echo $(cat /sys/block/nvme${n}n1/size /sys/block/nvme${n}n1/ro /sys/block/nvme${n}n1/device/serial); done
ok mount -t ext4 /dev/nvme0n1 /mnt
cd /mnt
ok sha256sum -c sums
for n in $(seq 300); do echo "file number $n" >made/$n; done
rm -r old
dd if=/dev/nvme1n1 of=made/copy bs=64k 2>/dev/null
sync
echo 3 >/proc/sys/vm/drop_caches
sha256sum made/copy /dev/nvme1n1
cat made/* | sha256sum
cd /
ok umount /mnt
for n in 2 3; do
    dd if=/dev/nvme1n1 of=/dev/nvme${n}n1 bs=4k seek=16 count=64 conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    sha256sum /dev/nvme${n}n1
done
dd if=/dev/zero of=/dev/nvme1n1 count=1 conv=fsync 2>&1 | grep -c -i "read-only\\|not permitted"
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
grep -c nvme /proc/interrupts
dmesg -r | grep -E '^<[0-4]>' | grep -v 'AUX port'
"""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def noise(seed, size):
    return hashlib.shake_128(seed).digest(size)


raw, base = noise(b"raw", 4 * MIB), noise(b"base", 8 * MIB)
written = base[: 16 * 4096] + raw[: 64 * 4096] + base[80 * 4096 :]


def make_disks(folder):
    tree = folder / "tree"
    for name, size in (("old/gone", 100_000), ("kept", 3 * MIB + 77), ("made/.keep", 0), ("deep/er/still", 5000)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(noise(name.encode(), size))
    sums = [f"{sha256(p.read_bytes())}  {p.relative_to(tree)}\n" for p in sorted(tree.rglob("*")) if p.is_file()]
    (tree / "sums").write_text("".join(sums))
    with open(folder / "ext4.img", "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, folder / "ext4.img"], check=True)
    (folder / "raw.img").write_bytes(raw)
    (folder / "base.img").write_bytes(base)
    (folder / "thrown.img").write_bytes(base)


def boot(folder):
    kernel, initramfs = guest_image("--vmlinux", "--modules", "nvme,ext4")
    disks = ["ext4.img", "raw.img,readonly", f"base.img,overlay={folder}/overlay", "thrown.img,discard"]
    return run(options.vitrine, "--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--cpus", "2", "--no-reboot",
               "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(COMMAND)}", "--hash-every", "100000000",
               *[word for disk in disks for word in ("--disk", f"{folder}/{disk}")])  # fmt: skip


with tempfile.TemporaryDirectory() as scratch:
    folders = [Path(scratch) / name for name in ("first", "second")]
    folders[0].mkdir()
    make_disks(folders[0])
    shutil.copytree(folders[0], folders[1])
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(boot, folders))

    for folder, finished in zip(folders, runs):
        check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
        told = machines.said(finished)
        check(told is not None, "the guest's command has not run from begin to end", finished)
        made = "".join(f"file number {n}\n" for n in sorted(range(1, 301), key=str)).encode() + raw
        expected = [
            f"{64 * MIB // 512} 0 VITRINE00000001", "8192 1 VITRINE00000002", "16384 0 VITRINE00000003", "16384 0 VITRINE00000004",
            "ok: mount -t ext4 /dev/nvme0n1 /mnt", "ok: sha256sum -c sums",
            f"{sha256(raw)}  made/copy", f"{sha256(raw)}  /dev/nvme1n1", f"{sha256(made)}  -", "ok: umount /mnt",
            f"{sha256(written)}  /dev/nvme2n1", f"{sha256(written)}  /dev/nvme3n1", "1", "tsc",
        ]  # fmt: skip
        lines = [line.rstrip() for line in told[0]]
        for got, wanted in zip(lines, expected):
            check(got == wanted, f"the guest says {got!r} instead of {wanted!r}", finished)
        check(len(lines) == len(expected) + 1 and int(lines[-1]) >= 8, f"warnings of the kernel, or missing lines: {lines[len(expected):]}", finished)

        fsck = subprocess.run(["/sbin/e2fsck", "-f", "-n", folder / "ext4.img"], capture_output=True, text=True)
        check(fsck.returncode == 0, f"the file system is not sound afterwards:\n{fsck.stdout}{fsck.stderr}")
        read = subprocess.run(["/sbin/debugfs", "-R", "cat /made/copy", folder / "ext4.img"], capture_output=True)
        check(read.stdout == raw, "the host finds another file in the image than the guest wrote")
        for name, content in (("raw.img", raw), ("base.img", base), ("thrown.img", base)):
            check((folder / name).read_bytes() == content, f"{name} has been written")
        overlay = (folder / "overlay").read_bytes()
        check(raw[: 64 * 4096] in overlay, "the overlay does not hold what was written")

    hashes = check_equal(*runs)
    for name in ("ext4.img", "overlay"):
        one, other = ((folder / name).read_bytes() for folder in folders)
        # An overlay names when its image was last changed.
        same = one[4096:] == other[4096:] if name == "overlay" else one == other
        check(same, f"the two runs leave different images {name}")
    print(f"two boots with four disks, {len(hashes)} equal hashes, equal images; {fsck.stdout.splitlines()[-1]}")
