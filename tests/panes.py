# SPDX-License-Identifier: Apache-2.0
# What tests of Pane share: configurations, runs, and what its last report says against what Vitrine has counted.

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from machines import check, encode, run

FAILED = 3  # what --debug-exit makes of the 1 that a failing Pane writes


class Panes:
    """Reads the command line that all tests of Pane have; runs Pane with a folder of its own."""

    def __init__(self, parts, description="Boots Pane in Vitrine.", more=()):
        """`more` are further arguments, each as its name and what argparse wants to know of it."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("vitrine", type=Path, help="the program under test")
        parser.add_argument("pane", type=Path, help="pane.elf")
        parser.add_argument("--only", required=True, choices=parts)
        parser.add_argument("--keep", metavar="DIR", type=Path, help="leave images, configurations and the last run's output there")
        parser.add_argument("--stale", action="store_true", help="with --stale max; it must find nothing")
        for name, properties in more:
            parser.add_argument(name, **properties)
        self.options = parser.parse_args()
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = self.options.keep or Path(self.scratch.name)
        self.folder.mkdir(exist_ok=True)

    def config(self, name, *guests, lines=()):
        """A configuration file; each guest is its name and its lines, and `lines` are of all."""
        text = "failure-port 0xf4 1\n" + "".join(f"{line}\n" for line in lines)
        text += "".join(f"guest {g} {{\n" + "".join(f"    {line}\n" for line in of) + "}\n" for g, *of in guests)
        path = self.folder / name
        path.write_text(text)
        return path

    def run(self, *modules, vmx="on", cpus=1, memory="512M", stop=30, more=(), keys=subprocess.DEVNULL):
        arguments = [word for m in modules for word in ("--module", m)]
        stale = ["--stale", "max"] if self.options.stale else []
        finished = run(self.options.vitrine, "--vmx", vmx, "--kernel", self.options.pane, *arguments, "--memory", memory, "--cpus", cpus,
                       "--debug-exit", "0xf4", "--stop-after", stop, "--stats", *stale, *more, stdin=keys)  # fmt: skip
        found = re.findall(r"^count stale\.[\w-]+ [1-9].*$|.*entry\.(?:invalid|msr-load).*", finished.stderr, re.M)
        check(not found, f"Pane has missed an invalidation or broken a rule of VM entries: {found}", finished)
        finished.stdout = finished.stdout.replace("\r", "")
        (self.folder / "output").write_text(finished.stdout)
        return finished


def last_report(finished):
    return finished.stdout[finished.stdout.index("all guests have ended") :]


def figures(finished, guest):
    """What Pane's last report says of a guest: name of the figure to its value."""
    return {key.strip(): int(value) for key, value in re.findall(rf"^\[{guest}\] (.*?) +(\d+)$", last_report(finished), re.M)}


def of_guest(finished, guest):
    return re.findall(rf"^\[{guest}\] ?(.*)$", finished.stdout, re.M)


def counted(finished, name):
    """Vitrine's own counter."""
    found = re.search(rf"^count {re.escape(name)} (\d+)$", finished.stderr, re.M)
    return int(found[1]) if found else 0


def ended_well(finished, guests):
    check(finished.returncode == 0, "Pane has not powered off", finished)
    check("PANE-DONE" in finished.stdout and "its own code is unchanged" in finished.stdout, "Pane is not content", finished)
    agrees(finished, guests)


def agrees(finished, guests):
    """Vitrine counts exits on its own; both must agree, reason by reason."""
    by_reason = {}
    for guest in guests:
        for number, value in re.findall(rf"^\[{guest}\]   exit (\d+) .* (\d+)$", last_report(finished), re.M):
            by_reason[int(number)] = by_reason.get(int(number), 0) + int(value)
    true = sorted(int(n) for n in re.findall(r"^count vmx\.exit\.\w+ (\d+)$", finished.stderr, re.M))
    check(sorted(by_reason.values()) == true, f"Pane counts the exits {by_reason}, Vitrine {true}", finished)
    for guest in guests:
        f = figures(finished, guest)
        exits = sum(v for k, v in f.items() if k.startswith("exit "))
        check(f["VM exits"] == exits, f"the exits of {guest} are {f['VM exits']}, by reason {exits}", finished)
        ports = sum(v for k, v in f.items() if k.startswith("port "))
        check(f.get("intercepted port writes", 0) == ports, f"port writes of {guest} do not add up", finished)


def linux_guest(name, kernel, initramfs, command, *lines):
    """A stock Debian guest that runs the command and switches itself off."""
    return (name, "memory 256M", f"kernel {Path(kernel).name}", f"initrd {Path(initramfs).name}", *lines,
            f'cmdline "console=ttyS0 quiet panic=-1 vitrine.run={encode(command)}"')  # fmt: skip
