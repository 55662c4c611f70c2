#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# An adapter under its stock driver: probed without a warning, link, DHCP and ping through the user-mode network, a capture that holds the
# frames, twice the same; with --sriov, virtual functions that reach each other, the physical function and the outside.

import argparse
import re
import struct
import subprocess
import tempfile
from pathlib import Path

from machines import check, encode, guest_image

parser = argparse.ArgumentParser(description="Boots with a network adapter.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--adapter", choices=("i82576", "i82599"), default="i82576")
parser.add_argument("--sriov", action="store_true")
options = parser.parse_args()
driver, functions = {"i82576": ("igb", 7), "i82599": ("ixgbe", 63)}[options.adapter]

PLAIN = """
ip link set eth0 up
sleep 2
echo carrier $(cat /sys/class/net/eth0/carrier) $(cat /sys/class/net/eth0/speed)
udhcpc -i eth0 -n -q -t 5 -s /bin/true 2>&1 | grep -o 'lease of 10.0.2.15'
ip addr add 10.0.2.15/24 dev eth0
ping -c 3 -q 10.0.2.2 | grep -o '[0-9]* packets received'
echo warnings $(dmesg -r | grep -c '^<[0-4]>.*%s')
""" % driver

SRIOV = f"""
ip link set eth0 up
sleep 1
echo {functions} >/sys/class/net/eth0/device/sriov_numvfs
modprobe {driver}vf
sleep 1
ls /sys/bus/pci/drivers/{driver}vf | grep -c 0000:
ip addr add 10.0.2.15/24 dev eth0
ip addr add 10.0.2.21/24 dev eth1
ip link set eth1 up
sleep 2
echo carrier $(cat /sys/class/net/eth1/carrier)
ping -c 2 -q -I eth1 10.0.2.2 | grep -o '[0-9]* packets received'
ping -c 2 -q -I eth0 10.0.2.2 | grep -o '[0-9]* packets received'
echo 0 >/sys/class/net/eth0/device/sriov_numvfs
sleep 2
ls -d /sys/class/net/eth1 2>/dev/null
ping -c 2 -q 10.0.2.2 | grep -o '[0-9]* packets received'
"""


def check_equal(first, second, what):
    check(first == second, f"{what}: {first!r} is not {second!r}")


EXPECTED = {
    False: ["carrier 1 " + {"i82576": "1000", "i82599": "10000"}[options.adapter], "lease of 10.0.2.15", "3 packets received", "warnings 0"],
    True: [str(functions), "carrier 1", "2 packets received", "2 packets received", "2 packets received"],
}[options.sriov]

kernel, initramfs = guest_image("--vmlinux", "--modules", driver, "--carry", f"{driver}vf")


def boot(capture):
    return subprocess.run(
        [options.vitrine, "run", "--kernel", kernel, "--initrd", initramfs, "--memory", "256M", "--time", "warp", "--stats",
         "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(SRIOV if options.sriov else PLAIN)}", "--no-reboot", "--stop-after", "120",
         "--net", "lan,kind=user,restrict=on", "--device", f"{options.adapter},net=lan,pcap={capture}", "--hash-every", "500000000"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")  # fmt: skip


def frames(capture):
    data = Path(capture).read_bytes()
    check_equal(struct.unpack_from("<I", data)[0], 0xA1B23C4D, "the capture's magic number")
    at, found = 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


with tempfile.TemporaryDirectory() as directory:
    runs, captures = [], []
    for n in range(1 if options.sriov else 2):
        capture = f"{directory}/{n}.pcap"
        run = boot(capture)
        said = re.search(r"^VITRINE-RUN-BEGIN\r?\n(.*)^VITRINE-RUN-END", run.stdout, re.M | re.S)
        check(run.returncode == 0 and said, f"the guest's command has not run: status {run.returncode}\n{run.stdout}\n{run.stderr}")
        lines = [line for line in said[1].splitlines() if not re.match(r"\[ *\d+\.\d+\]", line)]
        check_equal(lines, EXPECTED, "what the guest says")
        runs.append(re.findall(r"^hash .*", run.stderr, re.M))
        captures.append(frames(capture))
    check(any(f[12:14] == b"\x08\x00" and f[23] == 1 for f in captures[0]), "no ICMP packet is in the capture")
    if not options.sriov:
        check(len(runs[0]) > 2, "too few hashes")
        check_equal(runs[0], runs[1], "the hashes of two runs")
        check_equal(captures[0], captures[1], "the frames of two runs")
