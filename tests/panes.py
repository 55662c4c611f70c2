# SPDX-License-Identifier: Apache-2.0
# What tests of Pane with devices share: its configuration, a run of it, the figures of its last report.

import re
import subprocess
from pathlib import Path

from machines import check, run


def write_config(path, top, *guests):
    """A configuration file: lines for all of Pane, and each guest as its name and its lines."""
    text = "failure-port 0xf4 1\n" + "".join(f"{line}\n" for line in top)
    text += "".join(f"guest {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n" for name, *lines in guests)
    Path(path).write_text(text)
    return Path(path)


def run_pane(vitrine, pane, modules, *more, cpus=2, memory="1G", stop=60, stale=False, well=True):
    """Pane with its modules, the configuration first. It must end well, unless the test is about how it does not."""
    arguments = [word for m in modules for word in ("--module", m)]
    finished = run(vitrine, "--vmx", "on", "--kernel", pane, *arguments, "--memory", memory, "--cpus", cpus, "--debug-exit", "0xf4",
                   "--stop-after", stop, "--stats", *(["--stale", "max"] if stale else []), *more, stdin=subprocess.DEVNULL)  # fmt: skip
    found = re.findall(r"^count stale\.[\w-]+ [1-9].*$|.*entry\.(?:invalid|msr-load).*", finished.stderr, re.M)
    check(not found, f"Pane has missed an invalidation or broken a rule of VM entries: {found}", finished)
    finished.stdout = finished.stdout.replace("\r", "")
    if well:
        check(finished.returncode == 0 and "PANE-DONE" in finished.stdout, "Pane has not powered off", finished)
        check("its own code is unchanged" in finished.stdout, "Pane is not content", finished)
    return finished


def last_report(finished):
    return finished.stdout[finished.stdout.index("all guests have ended") :]


def figures(finished, guest):
    """What the last report says of a guest: name of the figure to its value."""
    return {key.strip(): int(value) for key, value in re.findall(rf"^\[{guest}\] (.*?) +(\d+)$", last_report(finished), re.M)}


def of_guest(finished, guest):
    return re.findall(rf"^\[{guest}\] ?(.*)$", finished.stdout, re.M)


def counted(finished, name):
    """What Vitrine has counted: `count NAME N` of --stats, 0 when it never happened."""
    found = re.search(rf"^count {re.escape(name)} (\d+)$", finished.stderr, re.M)
    return int(found[1]) if found else 0
