#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Somebody sits at a terminal: boots Debian's kernel to its shell, types, looks into the monitor, pulls the plug; the terminal is always given back.

import argparse
import re
import signal
import subprocess
from pathlib import Path

from machines import guest_image
from terminals import Terminal, fail

CTRL_A = "\x01"

parser = argparse.ArgumentParser(description="Uses Vitrine on a terminal.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--only", choices=["keys", "signals", "script", "shell"], help="one part")
options = parser.parse_args()
kernel, initramfs = guest_image("--vmlinux")


def vitrine(*arguments, append="console=ttyS0 panic=-1"):
    return Terminal(options.vitrine, "run", "--kernel", kernel, "--initrd", initramfs, "--append", append, *arguments)


def keys():
    """The escape key, and the monitor behind it, while the kernel boots."""
    t = vitrine()
    t.until("Linux version")
    if not t.raw():
        fail("the terminal is not raw")
    t.type(CTRL_A + "h")
    t.until("Ctrl-A x +quit")
    t.type(CTRL_A + "c")
    t.until(r"\(vitrine\) ")  # among what the kernel says, for it runs on
    t.type("stop\r")
    t.until(r"CPU0 at \d+ instructions: +[0-9a-f]+: ")
    t.until(r"\(vitrine\) $")
    t.type("regsx\x7f\r")  # a key that erases; a name that is not quite one
    t.until(r"no such command; the nearest is `registers`")
    t.type("info registers\r")
    if "64-bit" not in t.until(r"CR4 [0-9a-f]+ \[.*PAE.*\]"):
        fail("the kernel is not in 64-bit mode", t.said)
    t.type("walk $rip\r")
    t.until(r"PML4E .*\r\n.*PDPTE .*\r\n.*PDE .*\r\n(.*PTE .*\r\n)?.*-> physical [0-9a-f]+ \(.*executable\)")
    t.type("stats\r")
    first = int(re.search(r"instructions +(\d+)", t.until(r"retired"))[1])
    t.type("step 1000\r")
    t.until(r"CPU0 at \d+ instructions")
    t.type("\x1b[A\r")  # the line before, again
    t.until(r"CPU0 at \d+ instructions")
    t.type("stats\r")
    second = int(re.search(r"instructions +(\d+)", t.until(r"retired"))[1])
    if not 2000 <= second - first < 2200:
        fail(f"two steps of 1000 instructions took {second - first}")
    t.type("cont\r")
    t.type(CTRL_A + "c")
    t.until("Booting paravirtualized kernel|Memory: |Calibrating|smp:|clocksource")
    t.type(CTRL_A + "x")
    status = t.end()
    if status != 0:
        fail(f"Ctrl-A x: status {status}", t.said)
    print("keys: help, monitor, stop, step, continue, quit; the terminal is given back")


def signals():
    """The terminal is given back whatever ends the run."""
    for number, how in [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "ended by SIGINT"), (signal.SIGHUP, "ended by SIGHUP"),
                        (signal.SIGSEGV, ""), (signal.SIGABRT, "")]:  # fmt: skip
        t = vitrine("--stats")
        t.until("Linux version")
        if not t.raw():
            fail("the terminal is not raw")
        t.process.send_signal(number)
        status = t.end()
        if status != -number or how not in t.said or (how and "outcome             quit" not in t.said):
            fail(f"{number.name}: status {status}", t.said[-1000:])
    print("signals: SIGTERM, SIGINT and SIGHUP end the run in good order; a crash gives the terminal back too")


def script():
    """The monitor on a pipe, before the first instruction and at exact counts."""
    lines = "stats\nstep 1000000\nhash\nx/2i $rip\nstep 1000000\nhash\npending\ndevices\ndevice serial0\nfish\nexplain #PF\nquit\n"
    run = subprocess.run(
        [options.vitrine, "run", "--kernel", kernel, "--serial", "none", "--monitor", "stdio"],
        input=lines, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found = re.search(
        r"instructions +0\n(.*\n)*CPU0 at 1000000 instructions.*\n([0-9a-f]{32}) at 1000000 instructions\n(.*\n)*CPU0 at 2000000 instructions"
        r"(.*\n)*([0-9a-f]{32}) at 2000000 instructions\n(.*\n)*.*CPU0 interrupts disabled.*IRR(.*\n)*fish: no such command(.*\n)*#PF is vector 14",
        run.stdout,
    )
    if run.returncode != 0 or not found:
        fail(f"status {run.returncode}; the script's answers are not as expected", run.stdout, run.stderr)
    limits = subprocess.run(
        [options.vitrine, "run", "--kernel", kernel, "--serial", "none", "--hash-every", "1000000", "--stop-at", "2000000"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if re.findall(r"^hash \d+ ([0-9a-f]{32})$", limits.stderr, re.M) != [found[2], found[5]]:
        fail("the hashes after the monitor's steps are not those of a run", run.stdout, limits.stderr)
    print("script: steps to exact counts; the same hashes as in a run")


def shell():
    """The shell answers, and poweroff ends the run with status 0."""
    t = vitrine(append="console=ttyS0 quiet")
    t.until(r"~ # ")
    t.type("echo $((6*7)) is the answer\r")
    t.until(r"\n42 is the answer\s")
    t.type("cat\r" + CTRL_A + CTRL_A + "x\r")  # Ctrl-A twice is one for the guest
    t.until(r"\x01x|\^Ax")
    t.type("\x03")  # the guest's, not ours
    t.until(r"~ # ")
    t.type("poweroff -f\r")
    status = t.end()
    if status != 0:
        fail(f"poweroff: status {status}", t.said[-1000:])
    print("shell: typed, answered, switched off with status 0")


for part in (keys, signals, script, shell):
    if options.only in (None, part.__name__):
        part()
