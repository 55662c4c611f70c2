# SPDX-License-Identifier: Apache-2.0
# kvm-unit-tests under KVM: the suite's tests with the options of its unittests.cfg, run by Debian's QEMU in a stock kernel in Vitrine.

import re
import shlex
import sys
import tempfile
from pathlib import Path

import hypervisors
from kvm_jobs import Job, run_jobs

# What the suite's x86/run gives QEMU before a test's own options.
QEMU = ("qemu-system-x86_64 -no-reboot -nodefaults -global kvm-pit.lost_tick_policy=discard -device pc-testdev "
        "-device isa-debug-exit,iobase=0xf4,iosize=0x4 -display none -serial stdio -device pci-testdev -machine accel=kvm")  # fmt: skip
# What its run_tests.sh gives the tests as an environment.
ENVIRONMENT = "TARGET=qemu\nQEMU_ACCEL=kvm\n"
PROCESSORS = 4
# The report lines that say more than a count; the last lines, for a test that breaks off.
SHOW = "grep -aE '^(FAIL|XPASS|XFAIL|SKIP|ABORT|SUMMARY)|Unhandled|not supported' | tail -n 200"
BROKEN = re.compile(r"WARNING:|BUG:|Oops|general protection")


def read_configuration(path):
    """name -> the keys of its section, of the suite's unittests.cfg."""
    tests, name = {}, None
    for line in re.sub(r'"""(.*?)"""', lambda m: m[1].replace("\\\n", " ").replace("\n", " "), path.read_text(), flags=re.S).splitlines():
        if found := re.fullmatch(r"\[(.*)\]", line):
            name = found[1]
            tests[name] = {}
        elif name and (found := re.match(r"(\w+)\s*=\s*(.*)$", line)):
            tests[name][found[1]] = found[2].strip()
    return tests


def job_of(name, keys, seconds, arguments, show):
    """The shell command for one test: 77 for what the suite skips, else what QEMU makes of the test's status (1 for success)."""
    checks = " && ".join(f'[ "$(cat {path} 2>/dev/null)" = {value} ]' for path, _, value in (c.partition("=") for c in keys.get("check", "").split()))
    guard = f"{{ {checks}; }} || {{ echo 'SKIP: {keys['check']}'; exit 77; }}; " if checks else ""
    options = keys.get("qemu_params", keys.get("extra_params", "")).replace("-enable-kvm", "")
    append = arguments if arguments is not None else keys.get("test_args", "")
    append = f"-append {shlex.quote(arguments) if arguments is not None else append}" if append else ""
    program = f"{QEMU} -kernel /tests/{keys['file']} -smp {min(int(keys.get('smp', 1)), PROCESSORS)} {append} {options} -initrd /tests/environment"
    return Job(name, f"{guard}{program}", seconds, show, name.partition("@")[2])


def test_of(name):
    return name.partition("@")[0]


def verdict_of(ended):
    summary = [line for line in ended.lines if line.startswith("SUMMARY: ")]
    if ended.status == 77 or (ended.status == 1 and any("Property" in line and "not found" in line for line in ended.lines)):
        return "skip", " ".join(ended.lines[-1:])
    said = f"({summary[-1].removeprefix('SUMMARY: ')})" if summary else ""
    verdict = {1: "pass", 137: "timeout"}.get(ended.status, "skip" if ended.status == 155 else "fail")
    if verdict == "pass" and not summary and any("qemu" in line for line in ended.lines):
        verdict, said = "fail", ended.lines[-1]
    return verdict, said


def read_expectations(path):
    """name -> (seconds, verdict, summary, reason); the file's head explains the columns."""
    rows = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, seconds, verdict, summary, reason = [part.strip() for part in line.split("|", 4)]
            rows[name] = (int(seconds or 60), verdict, summary, reason)
    return rows


def run_all(directory, options, expected):
    """Runs the tests and tells of each; the exit status."""
    tests = read_configuration(directory / "x86/unittests.cfg")
    names = options.only or list(expected)
    if unknown := [name for name in names if test_of(name) not in tests]:
        print(f"kut: unittests.cfg has no {' '.join(unknown)}", file=sys.stderr)
        return 2
    names = [name for name in names if name not in options.skip]
    jobs, files = [], set()
    for name in names:
        seconds = options.seconds or expected.get(name, (120, "", "", ""))[0]
        jobs.append(job_of(name, tests[test_of(name)], seconds, options.arguments, "cat" if options.log else f"tee whole | {SHOW}; tail -n 4 whole"))
        files.add(tests[test_of(name)]["file"])
    jobs.sort(key=lambda job: job.parameters)  # the module is loaded anew as seldom as possible
    surprises, told, counts = [], set(), {}
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        environment.write_text(ENVIRONMENT)
        added = {**hypervisors.QEMU_FILES, "/usr/share/qemu/multiboot_dma.bin": "/usr/share/qemu/multiboot_dma.bin", environment: "/tests/environment"}
        added |= {directory / "x86" / file: f"/tests/{file}" for file in sorted(files)}
        image = [word for here, there in added.items() for word in ("--add", f"{here}:{there}")]
        ran = run_jobs(options.vitrine, jobs, "--modules", "kvm,kvm_intel", "--with", "qemu-system-x86_64", *image, cpus=PROCESSORS, timeout=7000)
        for ended in ran:
            verdict, summary = verdict_of(ended)
            told.add(ended.name)
            counts[verdict] = counts.get(verdict, 0) + 1
            _, wanted, wanted_summary, reason = expected.get(ended.name, (0, "a row in kut.kvm.expected", "", ""))
            broken = [line for line in ended.kernel if BROKEN.search(line)]
            same = verdict == wanted and (verdict == "pass" or not wanted_summary or wanted_summary == summary)
            note = "" if same and not broken else "  <-- the kernel complains" if broken else f"  <-- expected {wanted} {wanted_summary}"
            if note:
                surprises.append(ended.name)
            because = f"  ({reason})" if reason and verdict != "pass" else ""
            print(f"{verdict:7} {ended.name:40} {ended.seconds:8.2f} s {summary}{note}{because}", flush=True)
            if note:
                bad = [line for line in ended.lines if line.startswith(("FAIL", "XPASS", "ABORT"))] or ended.lines
                print(*[f"    {line}" for line in (bad[-40:] + ended.kernel[:20])], sep="\n", flush=True)
            if options.log:
                options.log.mkdir(parents=True, exist_ok=True)
                (options.log / ended.name).write_text("\n".join([*ended.lines, *ended.kernel, f"status {ended.status}", ""]))
    missing = [name for name in names if name not in told]
    for name in missing:
        print(f"not run: {name}")
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) + f"; {len(surprises)} not as expected: {' '.join(surprises)}")
    return 1 if surprises or missing or not told else 0
