# SPDX-License-Identifier: Apache-2.0
# Runs a list of commands, one after the other, in a stock kernel with KVM in Vitrine, and tells of each as it ends.

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from machines import encode, guest_image

HEAD = """mkdir -p /tmp/jobs; cd /tmp/jobs
dmesg -c >/dev/null
job() { # name, seconds, filter, command
    echo "JOB-BEGIN $1"
    read begin _ </proc/uptime
    timeout -s KILL $2 sh -c "$4" >out 2>&1 </dev/null
    status=$?
    read end _ </proc/uptime
    sh -c "$3" <out
    echo
    dmesg -c -r | grep '^<[0-4]>' | sed 's/^/JOB-KERNEL /'
    echo "JOB-END $status $begin $end $(wc -l <out)"
}
"""


@dataclass
class Job:
    name: str
    command: str  # for busybox's sh
    seconds: int  # of virtual time, after which it is killed and its status is 137
    show: str = "cat"  # a filter through which its output is told
    parameters: str = ""  # of the module kvm_intel, for it


@dataclass
class Ended:
    name: str
    status: int
    seconds: float  # of virtual time
    lines: list  # of its output, through the filter
    kernel: list  # what the kernel said meanwhile, at the level of warnings and above


def script_of(jobs):
    lines, loaded = [], ""
    for job in jobs:
        if job.parameters != loaded:
            loaded = job.parameters
            lines.append(f"rmmod kvm_intel && modprobe kvm_intel {loaded} || echo JOB-MODULE-FAILED")
        lines.append(f"job {shlex.join([job.name, str(job.seconds), job.show, job.command])}")
    return HEAD + "".join(f"{line}\n" for line in lines)


def run_jobs(vitrine, jobs, *image, memory="4G", cpus=2, timeout=3600, before="", arguments=()):
    """Yields an Ended for each job in turn; ends early when the machine does, which is then told on standard error. `image`: for guest_image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script"
        path.write_text(before + script_of(jobs))
        kernel, initramfs = guest_image("--vmlinux", *image, "--add", f"{path}:/script")
        command = [vitrine, "run", "--vmx", "on", "--kernel", kernel, "--initrd", initramfs, "--memory", memory, "--cpus", cpus, "--no-reboot",
                   "--append", f"console=ttyS0 panic=-1 vitrine.run={encode('sh /script')}", *arguments]  # fmt: skip
        process = subprocess.Popen([str(a) for a in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace",
                                   start_new_session=True)  # fmt: skip
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.alarm(timeout)
        name, lines, kernel_lines, last = None, [], [], []
        try:
            for line in process.stdout:
                line = line.rstrip("\r\n")
                last = [*last[-40:], line]
                if found := re.fullmatch(r"JOB-BEGIN (\S+)", line):
                    name, lines, kernel_lines = found[1], [], []
                elif found := re.fullmatch(r"JOB-END (\d+) ([\d.]+) ([\d.]+) \d+", line):
                    yield Ended(name, int(found[1]), float(found[3]) - float(found[2]), [l for l in lines if l], kernel_lines)
                    name = None
                elif line == "JOB-MODULE-FAILED":
                    print("kvm_intel could not be loaded anew", file=sys.stderr)
                elif line.startswith("JOB-KERNEL "):
                    kernel_lines.append(line.removeprefix("JOB-KERNEL "))
                elif name:
                    lines.append(line)
            status = process.wait()
            if name or status:
                print(f"the machine has ended with status {status}" + (f" during {name}" if name else ""), *last, sep="\n", file=sys.stderr)
        finally:
            signal.alarm(0)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
