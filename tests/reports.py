#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What a run says about itself is right: statistics, JSON, JUnit, TAP, traces, explanations; and none of it changes the run.

import json
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

import debug_guest

vitrine = sys.argv[1]
scratch = tempfile.TemporaryDirectory()
guest = debug_guest.build(scratch.name)
WHOLE = ["--kernel", guest, "--memory", "32M", "--serial", "none", "--debug-exit", "0xf4"]


def fail(text, *more):
    print(text, *more, sep="\n---\n")
    sys.exit(1)


def check(condition, text, *more):
    if not condition:
        fail(text, *more)


def run(*arguments):
    return subprocess.run([vitrine, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def file(name):
    return Path(scratch.name, name)


def statistics(text):
    found = dict(re.findall(r"^(outcome|instructions|retired|virtual seconds|host seconds|million per second|hash) +(.*)$", text, re.M))
    check(len(found) == 7, "--stats does not say everything", text)
    return found


# --- one verdict in every form

one = run("run", *WHOLE, "--stats", "--json", "--tap", "--junit", file("junit.xml"))
check(one.returncode == 1, f"the verdict 0 is status 1, not {one.returncode}", one.stderr)
said = statistics(one.stderr)
lines = one.stdout.splitlines()
report = json.loads(lines[-1])
check(report["outcome"] == "debug-exit" and report["verdict"] == 0 and report["status"] == 1, "JSON tells another outcome", lines[-1])
check(report["instructions"] == int(said["instructions"]) and report["retired"] == int(said["retired"]), "JSON and statistics differ", lines[-1], one.stderr)
check(report["hash"] == said["hash"], "JSON and statistics have different hashes")
check(report["virtual_seconds"] == report["instructions"] / 1e9, "nothing idles here: a nanosecond for each instruction", lines[-1])
# 20 million turns of a loop of a few instructions, and little besides.
turns, besides = divmod(report["retired"], 20000000)
check(3 <= turns <= 8 and besides < 1000 and report["retired"] <= report["instructions"], "an odd number of instructions", lines[-1])
speed = report["instructions"] / 1e6 / report["host_seconds"]
check(abs(speed - report["million_instructions_per_second"]) <= 0.01 * speed, "the speed is not instructions per second", lines[-1])
check(lines[-4:-1] == ["TAP version 13", "1..1", "ok 1 - guest.elf"], "TAP is not as it should be", one.stdout)
suites = xml.parse(file("junit.xml")).getroot()
case = suites.find("testsuite/testcase")
check(suites.get("tests") == "1" and suites.get("failures") == "0" and case.get("name") == "guest.elf" and len(case) == 0, "JUnit is not as it should be")

# --- and a run that is cut off

cut = run("run", *WHOLE, "--stop-at", 1000000, "--json", "--tap", "--junit", file("cut.xml"))
lines = cut.stdout.splitlines()
report = json.loads(lines[-1])
check(cut.returncode == 10 and report["outcome"] == "instructions" and report["instructions"] == 1000000, "the limit is not kept or not told", cut.stdout)
check("not ok 1 - guest.elf" in lines, "TAP calls a failure good", cut.stdout)
failure = xml.parse(file("cut.xml")).getroot().find("testsuite/testcase/failure")
check(failure is not None and "instructions (status 10)" in failure.get("message"), "JUnit does not tell the failure")
full = run("run", *WHOLE, "--stop-at", 1000, "--junit", "/dev/full")
check(full.returncode == 74 and "--junit /dev/full" in full.stderr, "a full disk is not status 74", full.stderr)

# --- traces

traced = run("run", *WHOLE, "--stats", "--trace", "all", "--trace-file", file("trace"))
check(traced.returncode == 1 and statistics(traced.stderr)["hash"] == said["hash"], "tracing changes the run", traced.stderr)
trace = file("trace").read_text()
line = re.compile(r"\[ *(\d+)\.(\d{9}) (\d+) CPU0\] ([a-z]+) ([a-zA-Z0-9_.-]+)((?: [a-z 0-9]+=.*)?)")
places = []
for text in trace.splitlines():
    found = line.fullmatch(text)
    check(found, "a line of the trace is not as it should be", text)
    places.append((int(found[1] + found[2]), int(found[3])))
check(places == sorted(places), "the trace is not in the order of time")
for pattern in (r"machine boot protocol=PVH", r"cpu wrmsr msr=c0000080 name=IA32_EFER value=[0-9a-f]*[159d]00", r"cpu cr0 from=11 to=8000001[13]",
                r"cpu mode is=64-bit was=32-bit compatibility", r"memory port.write address=f4 size=4 value=0 region=isa-debug-exit"):  # fmt: skip
    check(re.search(pattern, trace), f"the trace does not tell /{pattern}/", trace[:5000])
some = run("run", *WHOLE, "--stop-at", 5000, "--trace", "cpu")
topics = {line.fullmatch(text)[4] for text in some.stderr.splitlines() if text.startswith("[")}
check("cpu" in topics and not topics & {"interrupts", "machine", "devices"}, f"--trace cpu tells {topics}", some.stderr)
wrong = run("run", *WHOLE, "--trace", "cpu,fish")
check(wrong.returncode == 2 and re.fullmatch(r"vitrine: --trace cpu,fish: there is no topic 'fish'; there are cpu, .*, all\n", wrong.stderr), "no topic", wrong.stderr)
check(run("run", *WHOLE, "--trace", "cpu", "--trace-file", "/dev/full").returncode == 74, "a trace on a full disk is not status 74")

# --- explanations and lists

for what, pattern in {
    ("#GP", "vector 13, General Protection: fault, with an error code"), ("vector 14", "#PF is vector 14"), ("DF", "Double Fault"),
    ("IA32_EFER", "MSR c0000080h, read and written"), ("msr 0x1b", "IA32_APIC_BASE is MSR 1bh"), ("msr 0x123", "does not exist"),
    ("cpuid 7", "structured extended features"), ("smep", "CPUID 7h.0 EBX bit 7"), ("10", "status 10: the limit of virtual time was reached"),
    ("3", "the guest's verdict, the value 1"), ("triple-fault", "(status 4)"), ("--gdb", "listen for gdb"), ("interrupts", "a topic of --trace"),
    ("msr.unknown", "an event of the topic cpu, odd"), ("port.read", "by port or by memory"),
}:  # fmt: skip
    told = run("explain", *what.split())
    check(told.returncode == 0 and pattern in told.stdout, f"explain {what} does not say '{pattern}'", told.stdout + told.stderr)
unknown = run("explain", "fish")
check(unknown.returncode == 2 and unknown.stderr.startswith("vitrine: explain fish: nothing has that name; ask for"), "explain fish", unknown.stderr)
check(run("devices").stdout.startswith("isa-debug-exit") or "isa-debug-exit" in run("devices").stdout, "devices does not list isa-debug-exit")
check("(the default)" in run("cpus").stdout, "cpus does not name the default")

# --- the reference pages in docs/ are those that the tables give

folder = Path(__file__).resolve().parent.parent / "docs/reference"
names = run("docs").stdout.split()
check(len(names) > 5, "vitrine docs lists no pages")
stale = [name for name in names if not (folder / f"{name}.md").exists() or (folder / f"{name}.md").read_text() != run("docs", name).stdout]
check(not stale, f"not current: {stale}; print them anew: for p in $(vitrine docs); do vitrine docs $p > docs/reference/$p.md; done")
# Every event of the table is told somewhere in the source; a register file puts its owner's name in front.
source = "".join(p.read_text() for p in (folder.parent.parent / "src").rglob("*.cpp"))
dead = [e for e in re.findall(r"^\| `\*?([^`]+)` \|", run("docs", "events").stdout, re.M) if f'"{e}"' not in source and f'"{e[e.find("."):]}"' not in source]
check(not dead, f"the table of events names what nobody tells: {dead}")
left = sorted({p.stem for p in folder.glob("*.md")} - set(names))
check(not left, f"docs/reference holds pages that no table gives: {left}")
check(run("docs", "fish").returncode == 2, "a page that is not there")
print(f"statistics, JSON, TAP, JUnit, a trace of {len(places)} lines, explanations, {len(names)} reference pages")
