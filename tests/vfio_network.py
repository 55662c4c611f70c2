#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Two L2 guests, each with a virtual function of the 82599 by VFIO: they reach each other, the physical function and the outside; a reset of
# one function, a guest that panics and a QEMU that is killed, all under traffic, leave the other guest and the physical function at work.

import argparse
import re
import tempfile
from pathlib import Path

import attachments
import machines
from machines import check, run

parser = argparse.ArgumentParser(description="Gives virtual functions to two guests of KVM.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--timeout", type=int, default=3600)
options = parser.parse_args()

FRAMES, GAP = 2000, 100_000  # of a stream beside what happens to the other guest; it takes 0.2 seconds
BYTES = 16 << 20
PF_ADDRESS = "10.0.0.240"
prepare, devices = attachments.virtual_functions(2)
first, second = attachments.address(0), attachments.address(1)


def start(number):
    return attachments.start_guest(number, devices[number], number + 1, "frames serve") + f"frames {attachments.address(number)} shell true || cat /tmp/log{number}\n"


def others(what):
    """The other guest and the physical function, after that."""
    return f"""
echo stream beside {what} $(cat /tmp/stream)
echo pf after {what} $(ping -I $pf -c 3 -q {second} | grep -o '[0-9]* packets received')
"""


def beside(what, happens):
    """Both guests get streams; in the middle of it, that happens to the first."""
    return f"""
frames {second} stream {FRAMES} 1472 {GAP} >/tmp/stream &
stream=$!
frames {first} stream {FRAMES} 1472 {GAP} >/dev/null 2>&1 &
flood=$!
usleep 50000
{happens}
wait $stream
kill $flood 2>/dev/null
{others(what)}
"""


OUTER = f"""{attachments.FUNCTIONS}{prepare}{attachments.up(2)}
ip addr add {PF_ADDRESS}/24 dev $pf
{start(0)}{start(1)}
echo groups $(for d in 0000:01:10.0 0000:01:10.2; do readlink /sys/bus/pci/devices/$d/iommu_group; done | sort -u | wc -l)
for guest in {first} {second}; do
    for to in {first} {second} {attachments.PEER_ADDRESS} {PF_ADDRESS}; do
        [ $to = $guest ] || frames $guest shell "ping -c 3 -q $to | grep -o '3 packets received'" && echo $guest reaches $to
    done
done
frames {second} shell '(frames sink 7000 >/tmp/sink) & sleep 1'
frames {first} shell 'frames source {second} 7000 {BYTES}'
frames {second} shell 'grep "bytes {BYTES}" /tmp/sink' && echo from guest to guest whole
frames {second} stream {FRAMES} 1472 {GAP} | sed 's/^/outside to guest /'
{beside("a reset", f"frames {first} shell '(usleep 10000; echo 1 >/sys/class/net/eth0/device/reset; echo reset $?; ip link set eth0 down; ip link set eth0 up) &'")}
frames {first} shell 'ping -c 3 -q {second} | grep "3 packets received"' && echo again after a reset
cp /tmp/log0 /tmp/log0.reset
{beside("a panic", f"frames {first} shell '(usleep 10000; echo c >/proc/sysrq-trigger) &'")}
wait $qemu0
echo QEMU 0 $?
cp /tmp/log0 /tmp/log0.panic
{start(0)}
frames {first} shell 'ping -c 3 -q {second} | grep "3 packets received"' && echo again after a panic
{beside("a kill", "kill -9 $qemu0")}
wait $qemu0
{start(0)}
frames {first} shell 'ping -c 3 -q {second} | grep "3 packets received"' && echo again after a kill
frames {first} end
frames {second} end
wait $qemu0 $qemu1
echo QEMUs ended
grep -hE '^reset [0-9]|sysrq: Trigger|VITRINE-RUN-END' /tmp/log0.reset /tmp/log0.panic /tmp/log0 /tmp/log1
dmesg -r | grep -E '^<[0-4]>' | sed 's/^/warning /'
true
"""

with tempfile.TemporaryDirectory() as scratch:
    machine = attachments.Machine(scratch)
    finished = run(options.vitrine, *machine.options(OUTER, "on"), "--stop-after", 900, "--stats", timeout=options.timeout)
check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
text = finished.stdout.replace("\r", "")
text = text[text.index("VITRINE-RUN-BEGIN") :]


# Addresses are given to the functions before the port is up.
EARLY = ["the PF device is not up", "Bring the PF device up"]


def says(line):
    check(re.search(rf"^{line}$", text, re.M), f"it does not say: {line}", finished)


says("groups 2")
for guest in (first, second):
    for to in (first, second, attachments.PEER_ADDRESS, PF_ADDRESS):
        if to != guest:
            says(f"{guest} reaches {to}")
says("from guest to guest whole")
says(f"outside to guest came {FRAMES}")
for what in ("a reset", "a panic", "a kill"):
    says(f"stream beside {what} came {FRAMES}")
    says(f"pf after {what} 3 packets received")
    says(f"again after {what}")
says("reset 0")
says("QEMU 0 0")  # by its own guest, whose kernel restarts after the panic
says("QEMUs ended")
warnings = [w for w in re.findall(r"^warning (.*)$", text, re.M) if not any(re.search(e, w) for e in [*machines.EXPECTED_WARNINGS, *EARLY])]
check(not warnings, f"warnings of the outer kernel: {warnings}", finished)
counts = {name: int(n) for name, n in re.findall(r"^count (\S+) (\d+)$", finished.stderr, re.M)}
check(counts["vtd.interrupt.posted"] > 0 and counts.get("vtd.dma.blocked", 0) == 0, f"posted and blocked: {counts}", finished)
print(f"two guests with a virtual function each: {sum(n for name, n in counts.items() if name.startswith('vmx.exit.'))} exits, "
      f"{counts['vtd.interrupt.posted']} interrupts posted, nothing lost beside a reset, a panic and a kill")  # fmt: skip
