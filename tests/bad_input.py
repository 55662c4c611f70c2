#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Wrong command lines and wrong files: each gets one clear line on standard error and status 2, nothing else, and no crash.

import argparse
import fcntl
import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import machines
from machines import guest_image, tiny_guest

parser = argparse.ArgumentParser(description="Gives Vitrine what it must refuse.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

MIB = 1 << 20
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)


def file(name, content=b"", size=None):
    path = folder / name
    path.write_bytes(content)
    if size is not None:
        os.truncate(path, size)
    return path


def elf(machine, bits):
    """An ELF header of a program for some processor, and nothing behind it."""
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    width = "Q" if bits == 64 else "I"
    return ident + struct.pack(f"<HHI{width * 3}IHHHHHH", 2, machine, 1, 0x100000, 64, 0, 0, 64, 56, 0, 0, 0, 0) + bytes(4096)


debian, _ = guest_image()
bzimage = Path(debian).read_bytes()
tiny = tiny_guest("tiny.c", folder)
broken_magic = bytearray(bzimage)
broken_magic[0x202:0x206] = b"XXXX"
good_disk = file("disk.img", size=MIB)
other_disk = file("other.img", b"other", size=2 * MIB)
locked = file("locked.img", size=MIB)
holder = open(locked, "r+b")
fcntl.flock(holder, fcntl.LOCK_EX)
overlay = folder / "over"
many_disks = [word for n in range(25) for word in ("--disk", f"{file(f'd{n}', size=MIB)}")]
os.mkfifo(folder / "fifo")
os.symlink("loop", folder / "loop")
kernel = ["--kernel", tiny]
no_dir = folder / "nowhere" / "file"

# What is wrong, the arguments after `vitrine run`, and what the line must say: the option or file, and what would be right.
# clang-format off
TABLE = [
    ("truncated bzImage",         ["--kernel", file("cut", bzimage[:100_000])], r"--kernel \S+cut: .*(truncated|cut short|ends)"),
    ("bzImage cut in its header", ["--kernel", file("cut2", bzimage[:600])],    r"--kernel \S+cut2: "),
    ("broken magic",              ["--kernel", file("magic", broken_magic)],    r"--kernel \S+magic: is a boot sector .*give a kernel"),
    ("empty kernel",              ["--kernel", file("empty")],                  r"--kernel \S+empty: is empty; give"),
    ("ARM kernel",                ["--kernel", file("arm", elf(40, 32))],       r"--kernel \S+arm: .*ARM"),
    ("AArch64 kernel",            ["--kernel", file("arm64", elf(183, 64))],    r"--kernel \S+arm64: .*(AArch64|ARM)"),
    ("RISC-V kernel",             ["--kernel", file("riscv", elf(243, 64))],    r"--kernel \S+riscv: .*RISC-V"),
    ("x86 ELF that is no kernel", ["--kernel", file("elf", elf(62, 64))],       r"--kernel \S+elf: .*nothing to load"),
    ("arm64 Image",               ["--kernel", file("image", bytes(56) + b"ARM\x64" + bytes(4096))], r"--kernel \S+image: .*AArch64"),
    ("text as kernel",            ["--kernel", file("text", b"#!/bin/sh\n")],   r"--kernel \S+text: .*give"),
    ("noise as kernel",           ["--kernel", file("noise", os.urandom(70000))], r"--kernel \S+noise: "),
    ("truncated tiny kernel",     ["--kernel", file("cut3", tiny.read_bytes()[:4200])], r"--kernel \S+cut3: "),
    ("missing kernel",            ["--kernel", no_dir],                         r"--kernel \S+file: there is no such file"),
    ("directory as kernel",       ["--kernel", folder],                         r"--kernel \S+: is a directory; give a file"),
    ("device as kernel",          ["--kernel", "/dev/null"],                    r"--kernel /dev/null: is no regular file"),
    ("link to itself as kernel",  ["--kernel", folder / "loop"],                r"--kernel \S+loop: cannot be read: "),
    ("no kernel",                 [],                                           r"--kernel is missing: give"),
    ("kernel larger than memory", ["--kernel", debian, "--memory", "4M"],       r"--kernel \S+: .*--memory"),
    ("initrd larger than memory", ["--kernel", debian, "--memory", "128M", "--initrd", file("big", size=160 * MIB)], r"--initrd \S+big: .*--memory"),
    ("missing initrd",            [*kernel, "--initrd", no_dir],                r"--initrd \S+file: there is no such file"),
    ("directory as initrd",       [*kernel, "--initrd", folder],                r"--initrd \S+: is a directory"),
    ("missing module",            [*kernel, "--module", f"{no_dir},text"],      r"--module \S+file: there is no such file"),
    ("module larger than memory", [*kernel, "--memory", "64M", "--module", folder / "big"], r"--module \S+big: .*--memory"),
    ("endless command line",      ["--kernel", debian, "--append", "x" * 5000], r"--append|command line"),

    ("no processors",             [*kernel, "--cpus", "0"],                     r"--cpus 0: must be a number from 1 to 64"),
    ("too many processors",       [*kernel, "--cpus", "65"],                    r"--cpus 65: must be a number from 1 to 64"),
    ("negative processors",       [*kernel, "--cpus", "-1"],                    r"--cpus.*-1"),
    ("processors in words",       [*kernel, "--cpus", "two"],                   r"--cpus two: must be a number"),
    ("too many to count",         [*kernel, "--cpus", "99999999999999999999"],  r"--cpus 9+: must be a number"),
    ("three bytes of memory",     [*kernel, "--memory", "3"],                   r"--memory 3: must be a size from 1M to 1T"),
    ("no memory",                 [*kernel, "--memory", "0"],                   r"--memory 0: must be a size"),
    ("too much memory",           [*kernel, "--memory", "2T"],                  r"--memory 2T: must be a size"),
    ("memory that overflows",     [*kernel, "--memory", "99999999999T"],        r"--memory 9+T: must be a size"),
    ("unknown unit",              [*kernel, "--memory", "512X"],                r"--memory 512X: must be a size"),
    ("empty size",                [*kernel, "--memory", ""],                    r"--memory '': must be a size"),
    ("unknown processor model",   [*kernel, "--cpu", "z80"],                    r"--cpu z80: .*choose one of .*max"),
    ("unknown engine",            [*kernel, "--engine", "warp"],                r"--engine warp: must be one of auto, interp, jit"),

    ("unknown option",            [*kernel, "--bogus"],                         r"no option --bogus"),
    ("unknown short option",      [*kernel, "-x"],                              r"-x"),
    ("QEMU's option",             [*kernel, "-smp", "2"],                       r"-s"),
    ("stray word",                [*kernel, "stray"],                           r"stray"),
    ("option without its value",  ["--kernel"],                                 r"--kernel"),
    ("flag with a value",         [*kernel, "--no-reboot=yes"],                 r"--no-reboot"),
    ("option given twice",        [*kernel, "--memory", "64M", "--memory", "64M"], r"--memory is given twice"),
    ("flag given twice",          [*kernel, "--stats", "--stats"],              r"--stats is given twice"),
    ("kernel given twice",        [*kernel, *kernel],                           r"--kernel is given twice"),
    ("initrd without kernel",     ["--initrd", tiny],                           r"--kernel"),

    ("unknown device",            [*kernel, "--device", "toaster"],             r"--device toaster: there is no such device; there are .*isa-debug-exit"),
    ("no device",                 [*kernel, "--device", ""],                    r"--device"),
    ("unknown property",          [*kernel, "--device", "isa-debug-exit,colour=red"], r"--device isa-debug-exit: there is no property 'colour'; there are iobase, iosize"),
    ("property without value",    [*kernel, "--device", "isa-debug-exit,iobase"], r"--device .*'iobase' must be key=value"),
    ("property given twice",      [*kernel, "--device", "isa-debug-exit,iobase=1,iobase=2"], r"'iobase' is given twice"),
    ("property out of range",     [*kernel, "--device", "isa-debug-exit,iobase=0x10000"], r"iobase=0x10000 must be a number from 0 to 65535"),
    ("capture nowhere",           [*kernel, "--device", "i82576,pcap=/nowhere/x"],    r"pcap=/nowhere/x: cannot be written: No such file or directory"),
    ("pools' captures nowhere",   [*kernel, "--device", "i82599,pcap_pools=/nowhere/x"], r"pcap_pools=/nowhere/x-pool0\.pcap: cannot be written: No such file or directory"),
    ("odd width",                 [*kernel, "--device", "isa-debug-exit,iosize=3"], r"iosize must be 1, 2 or 4"),
    ("exit port out of range",    [*kernel, "--debug-exit", "70000"],           r"--debug-exit 70000: must be a number from 0"),

    ("missing disk",              [*kernel, "--disk", no_dir],                  r"--disk.*nowhere/file'.*No such file"),
    ("directory as disk",         [*kernel, "--disk", folder],                  r"--disk.*(directory|neither a file nor)"),
    ("device as disk",            [*kernel, "--disk", "/dev/null"],             r"--disk.*/dev/null' is neither a file nor a block device"),
    ("empty disk",                [*kernel, "--disk", folder / "empty"],        r"--disk.*empty' is empty"),
    ("disk of odd size",          [*kernel, "--disk", file("odd", size=1000)],  r"--disk.*odd' has 1000 bytes, which is no multiple of 512"),
    ("disk in use",               [*kernel, "--disk", locked],                  r"--disk.*locked.img' is in use by another machine"),
    ("the same disk twice",       [*kernel, "--disk", good_disk, "--disk", good_disk], r"--disk.*disk.img' is in use"),
    ("unknown disk mode",         [*kernel, "--disk", f"{good_disk},readwrite"], r"--disk \S+: 'readwrite' must be readonly, overlay=FILE or discard"),
    ("overlay without name",      [*kernel, "--disk", f"{good_disk},overlay="], r"--disk \S+: overlay= must name a file"),
    ("overlay nowhere",           [*kernel, "--disk", f"{good_disk},overlay={no_dir}"], r"--disk.*nowhere/file"),
    ("overlay that is none",      [*kernel, "--disk", f"{good_disk},overlay={other_disk}"], r"--disk.*other.img' is no usable overlay"),
    ("image as its own overlay",  [*kernel, "--disk", f"{good_disk},overlay={good_disk}"], r"--disk.*disk.img'"),
    ("no disk",                   [*kernel, "--disk", ""],                      r"--disk"),
    ("more disks than ports",     [*kernel, *many_disks],                       r"--disk, --device: there are no more than 24"),

    ("unknown serial port",       [*kernel, "--serial", "telnet"],              r"--serial telnet: must be stdio, file:PATH, unix:PATH or none"),
    ("two on standard output",    [*kernel, "--serial", "stdio", "--serial", "stdio"], r"--serial stdio is given twice"),
    ("five serial ports",         [*kernel, *["--serial", "none"] * 5],         r"--serial none: there are at most 4 serial ports"),
    ("serial file nowhere",       [*kernel, "--serial", f"file:{no_dir}"],      r"--serial file:\S+: cannot be written"),
    ("socket nowhere",            [*kernel, "--serial", f"unix:{no_dir}"],      r"--serial unix:\S+: cannot listen there"),
    ("report nowhere",            [*kernel, "--report", no_dir],                r"--report '\S+nowhere/file' cannot be written"),
    ("report is a directory",     [*kernel, "--report", folder],                r"--report '\S+' cannot be written: it exists and is no regular file"),
    ("trace file nowhere",        [*kernel, "--trace", "cpu", "--trace-file", no_dir], r"--trace-file \S+: cannot be written"),
    ("directory as trace file",   [*kernel, "--trace", "cpu", "--trace-file", folder], r"--trace-file \S+: cannot be written"),
    ("trace file without topic",  [*kernel, "--trace-file", folder / "t"],      r"--trace-file needs --trace"),
    ("unknown topic",             [*kernel, "--trace", "weather"],              r"--trace weather: there is no topic 'weather'; there are .*cpu"),
    ("unknown time",              [*kernel, "--time", "slow"],                  r"--time slow: must be one of auto, warp, real"),
    ("31 April",                  [*kernel, "--rtc", "2026-04-31"],             r"--rtc 2026-04-31: must be 'now' or a date"),
    ("no seed",                   [*kernel, "--seed", "x"],                     r"--seed x: must be a number"),
    ("negative time",             [*kernel, "--stop-after", "-1"],              r"--stop-after"),
    ("no count",                  [*kernel, "--stop-at", "0"],                  r"--stop-at 0: must be a number from 1"),
    ("hash after nothing",        [*kernel, "--hash-every", "0"],               r"--hash-every 0: must be a number from 1"),
    ("gdb port out of range",     [*kernel, "--gdb", "65536"],                  r"--gdb 65536: must be a number from 0 to 65535"),
    ("waiting for no gdb",        [*kernel, "--wait-gdb"],                      r"--wait-gdb needs --gdb"),
]

# The same for other commands; the arguments are all that follow the program's name.
OTHERS = [
    ("unknown command",           ["frobnicate"],                               r"frobnicate"),
    ("no explanation",            ["explain", "nonsense-that-is-nothing"],      r"nonsense-that-is-nothing"),
    ("nothing to explain",        ["explain"],                                  r"explain"),
]
# clang-format on

failures = 0


def judge(what, arguments, expected, status=2, **how):
    global failures
    command = [str(a) for a in (options.vitrine, *arguments)]
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | how
    try:
        run = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", timeout=60, **how)
    except subprocess.TimeoutExpired:
        failures += 1
        print(f"{what}: does not come to an end")
        return
    lines = run.stderr.splitlines()
    wrong = []
    if run.returncode != status:
        wrong.append(f"status {run.returncode}, not {status}")
    if run.stdout:
        wrong.append(f"says on standard output: {run.stdout[:200]!r}")
    if len(lines) != 1 or not lines[0].startswith("vitrine: "):
        wrong.append(f"{len(lines)} lines on standard error, not one of ours")
    elif not re.search(expected, lines[0]):
        wrong.append(f"the line does not match {expected!r}")
    if wrong:
        failures += 1
        print(f"{what}: {'; '.join(wrong)}\n    {run.stderr.strip()[:600]}")


for what, arguments, expected in TABLE:
    judge(what, ["run", *arguments], expected)
for what, arguments, expected in OTHERS:
    judge(what, arguments, expected)

# An outside that goes away while the machine runs: the host ran short, status 74. With nothing to read there is just no input.
chatter = ["run", *kernel, "--append", "chatter", "--stop-after", "5", "--memory", "16M"]
judge("standard output is closed", ["devices"], r"standard output: ", 74, stdout=None, preexec_fn=lambda: os.close(1))
reader, writer = os.pipe()
os.close(reader)
judge("nobody reads the serial port", chatter, r"Broken pipe", 74, stdout=writer)
with open("/dev/full", "wb") as full:
    judge("no room for the serial port", chatter, r"No space left", 74, stdout=full)
judge("no room for the serial port's file", [*chatter, "--serial", "file:/dev/full"], r"No space left", 74)
judge("standard input is closed", ["run", *kernel, "--append", "loop", "--stop-after", "0.01", "--memory", "16M", "--serial", "none"],
      r"the limit of virtual time was reached", 10, stdin=None, preexec_fn=lambda: os.close(0))  # fmt: skip

# Every model that is listed is one that runs; every device that is listed is one that is known.
listed = subprocess.run([options.vitrine, "cpus"], capture_output=True, text=True, check=True).stdout
models = re.findall(r"^(\S+)  ", listed, re.M)
machines.check(len(models) >= 3, f"`vitrine cpus` lists no models:\n{listed}")
for model in models:
    judge(f"--cpu {model}", ["run", *kernel, "--cpu", model, "--append", "halt", "--memory", "16M", "--serial", "none"], r"halted with interrupts off", 10)
for what in models + re.findall(r"^(\S+) ", subprocess.run([options.vitrine, "devices"], capture_output=True, text=True).stdout, re.M):
    shown = subprocess.run([options.vitrine, "explain", what], capture_output=True, text=True)
    if shown.returncode != 0 or what not in shown.stdout:
        failures += 1
        print(f"vitrine explain {what}: status {shown.returncode}: {shown.stderr}")

print(f"{len(TABLE) + len(OTHERS)} wrong inputs, {failures} failures")
sys.exit(failures != 0)
