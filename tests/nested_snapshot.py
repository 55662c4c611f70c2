#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A snapshot taken while a processor is in VMX non-root operation, with a guest under KVM: what is restored goes on bit for bit.

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import hypervisors
from machines import check, encode, guest_image, hashes, run

parser = argparse.ArgumentParser(description="Saves and restores a machine whose guest's guest is booting.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--at", type=int, default=9_000_000_000, help="instructions, when the inner kernel boots")
options = parser.parse_args()

LENGTH, EVERY, STEP, TRIES = 400_000_000, 50_000_000, 777_777, 60


def restored(snapshot, *arguments):
    return run(options.vitrine, "--restore", snapshot, "--serial", "none", "--hash-every", EVERY, "--stop-at", options.at + LENGTH, *arguments)


with tempfile.TemporaryDirectory() as scratch:
    first, second = Path(scratch) / "first", Path(scratch) / "second"
    bottom = guest_image()
    kernel, initramfs = hypervisors.image(*bottom)
    script = hypervisors.start_guest("sha256sum /bin/busybox", "microvm", 1, 256)
    whole = run(options.vitrine, "--vmx", "on", "--kernel", kernel, "--initrd", initramfs, "--memory", "2G", "--serial", "none",
                "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(script)}", "--snapshot-at", f"{options.at},{first}",
                "--hash-every", EVERY, "--stop-at", options.at + LENGTH, timeout=1800)  # fmt: skip
    check(whole.returncode == 10, "the run has not come to its instruction limit", whole)
    wanted = {int(n): h for n, h in hashes(whole) if int(n) > options.at}

    # Where the guest's guest runs: stepping through the restored machine.
    steps = "".join(f"step {STEP}\nvm\n" for _ in range(TRIES)) + "quit\n"
    command = [options.vitrine, "run", "--restore", first, "--serial", "none", "--monitor", "stdio"]
    looked = subprocess.run(command, input=steps, capture_output=True, text=True, timeout=600)
    places = re.findall(r"CPU0 at (\d+) instructions.*\nCPU0 (.*?), VMCS", looked.stdout)
    inside = [int(n) for n, where in places if where == "VMX non-root operation"]
    check(inside, f"no instant in VMX non-root operation among {len(places)}", looked)

    once = restored(first, "--snapshot-at", f"{inside[0]},{second}")
    check(once.returncode == 10, "the restored machine has not come to its instruction limit", once)
    check({int(n): h for n, h in hashes(once)} == wanted, f"after the first snapshot: {hashes(once)}, not {wanted}", once)
    twice = restored(second)
    later = {n: h for n, h in wanted.items() if n > inside[0]}
    check(later and {int(n): h for n, h in hashes(twice)} == later, f"after the second snapshot: {hashes(twice)}, not {later}", twice)
    print(f"snapshot at {inside[0]} instructions in VMX non-root operation ({len(inside)} of {len(places)} instants): {len(later)} hashes equal")
