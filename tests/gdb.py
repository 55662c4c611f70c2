#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Stock gdb debugs a guest of our own, a hypervisor with its guest, and Debian's kernel in Vitrine; no run comes out any different for it.

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import debug_guest

TESTS = Path(__file__).resolve().parent
TREE = TESTS.parent

parser = argparse.ArgumentParser(description="Runs gdb against Vitrine.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--only", choices=["guest", "crash", "narrow", "levels", "kernel"], help="one part")
parser.add_argument("--guests", type=Path, help="where guests/stale and guests/rules lie, built: for `levels`")
options = parser.parse_args()

scratch = tempfile.TemporaryDirectory()
LIMIT = 300  # seconds for anything: longer than a slow machine needs
elf = debug_guest.build(scratch.name)


class Run:
    """A Vitrine with gdb's port open."""

    def __init__(self, *arguments, wait=True, gdb="0"):
        command = [options.vitrine, "run", *map(str, arguments), "--gdb", gdb, *(["--wait-gdb"] if wait else []), "--stats"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.errors = ""
        while not (found := re.search(r"target remote 127\.0\.0\.1:(\d+)", self.errors)):
            line = self.process.stderr.readline()
            if not line:
                fail("Vitrine ended before gdb could come", self.errors)
            self.errors += line
        self.port = found[1]
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.errors += line

    def end(self):
        self.output = self.process.stdout.read()
        status = self.process.wait(LIMIT)
        self.reader.join()
        return status


def fail(text, *more):
    print(text, *more, sep="\n---\n")
    sys.exit(1)


def expect(said, *patterns):
    """All of them, in this order."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(said, at)
        if not found:
            fail(f"gdb does not say /{pattern}/ (or not in this order):", said)
        at = found.end()


def gdb(run, commands, elf=None):
    script = Path(scratch.name, "commands")
    setup = "set pagination off\nset confirm off\nset width 0\nset remotetimeout 60\nset style enabled off\n"
    script.write_text(f"{setup}{f'file {elf}' if elf else ''}\ntarget remote 127.0.0.1:{run.port}\n{commands}")
    command = ["gdb", "-nx", "-q", "-batch", "-x", script]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT).stdout


def hash_of(errors):
    found = re.search(r"^hash +([0-9a-f]{32})$", errors, re.M)
    return found[1] if found else fail("no hash among the statistics", errors)


def alone(*arguments):
    """The same run, of which no debugger knows."""
    command = [options.vitrine, "run", *map(str, arguments), "--stats"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)


def ends_undisturbed(run, arguments):
    """With the guest's verdict, and in the state in which it ends without gdb."""
    status = run.end()
    undisturbed = alone(*arguments)
    if status != 1 or undisturbed.returncode != 1:
        fail(f"statuses {status} and {undisturbed.returncode}; the guest's verdict is 1", run.errors, undisturbed.stderr)
    if hash_of(run.errors) != hash_of(undisturbed.stderr):
        fail("the run that gdb looked at ends in another state than the one it did not", run.errors, undisturbed.stderr)


def guest():
    arguments = ["--kernel", elf, "--memory", "32M", "--cpus", "2", "--serial", "none", "--debug-exit", "0xf4"]
    run = Run(*arguments)
    said = gdb(run, r"""
info threads
printf "at start: eip %x, pe %d, pg %d\n", $rip, ($cr0 & 1) != 0, ($cr0 >> 31) & 1
stepi
stepi
printf "esp is the stack: %d\n", $rsp == &stack_top
hbreak start64
continue
print $cr0
print $efer
print $cs
print/x $cs_limit
break work if n == 3
continue
backtrace
info locals
watch counter
rwatch noticed
continue
delete 2
continue
delete 3
finish
print/x $ymm3.v8_int32
print $mxcsr
x/1xg &border.across
set var border.across = border.across
delete
awatch noticed
rwatch border.across
continue
continue
continue
delete
monitor xp/1xg 0x100000
monitor walk 0x101000
monitor nonsense
monitor info registers
x/i $pc
thread 2
info registers rip cs
thread 1
print $rip == after_verdict
break after_verdict
detach
""", elf)  # fmt: skip
    expect(
        said,
        r"Thread 1 .*CPU0.* start32",
        r"Thread 2 .*CPU1.*waiting for SIPI",
        r"at start: eip [0-9a-f]+, pe 1, pg 0",
        r"esp is the stack: 1",
        r"hit Breakpoint 1, .*start64 \(\)",
        r"= \[ PE MP .*PG \]",
        r"= \[ .*LME LMA.* \]",
        r"= 8\b",
        r"= 0xffffffff",
        r"hit Breakpoint 2, work \(n=(n@entry=)?3\)",
        r"#0 +work",
        r"#1 .* guest_main",
        r"[Hh]ardware watchpoint 3: counter",
        r"[Hh]ardware read watchpoint 4: noticed",
        r"hit Hardware watchpoint 3: counter\s+Old value = 2\s+New value = 3",
        r"hit Hardware watchpoint 3: counter\s+Old value = 3\s+New value = 4",
        r"Value returned is .* = 10\b",
        r"= \{0x11111111, 0x11111111, 0x22222222, 0x22222222, 0x33333333, 0x33333333, 0x44444444, 0x44444444\}",
        r"= \[ IM DM ZM OM UM PM .*\]",
        r"<border\+4092>:\s+0x1122334455667788",
        r"Hardware access \(read/write\) watchpoint 5: noticed",
        r"Hardware read watchpoint 6: border.across",
        r"hit Hardware access \(read/write\) watchpoint 5: noticed\s+Old value = 0\s+New value = 35",
        r"hit Hardware access \(read/write\) watchpoint 5: noticed\s+Value = 35",
        r"hit Hardware read watchpoint 6: border.across\s+Value = 1234605616436508552",
        r"0000000000100000: [0-9a-f]{16}",
        r"PML4E .*\n.*PDPTE .*\n.*PDE .*PS.*\n.*physical 101000 \(2-MByte page: supervisor only, writable, executable\)",
        r"nonsense: no such command",
        r"CPU0 64-bit CPL=0 active",
        r"=> 0x[0-9a-f]+ <notice",
        r"Switching to thread 2",
        r"rip +0xfff0",
        r"detached\]",
    )
    ends_undisturbed(run, arguments)
    print("guest: registers, breakpoints, watchpoints, memory, threads, monitor; the same hash as without gdb")

    # A thousand stops leave no trace either.
    run = Run(*arguments)
    said = gdb(run, "break work\ncontinue\ndelete\nset $n = 0\nwhile $n < 1000\nstepi\nset $n = $n + 1\nend\nprint $n\nbreak *after_verdict\nkill", elf)
    expect(said, r"hit Breakpoint 1, work", r"= 1000")
    if run.end() != 0 or "killed by gdb" not in run.errors:
        fail("kill does not end the run in good order", run.errors)
    print("guest: a thousand steps, then killed")


def crash():
    run = Run("--kernel", elf, "--memory", "32M", "--serial", "none", "--debug-exit", "0xf4")
    said = gdb(run, "break guest_main\ncontinue\nset var crash_wanted = 1\ncontinue\nprint $pc == the_end\nprint $idtr_limit\ncontinue\n", elf)
    expect(said, r"Breakpoint 1, guest_main", r"triple fault on processor 0", r"#UD", r"beyond the limit 0 in IDTR", r"#DF\(0000\)", r"received signal SIGSEGV",
           r"the_end", r"= 1\b", r"= 0\b", r"Program terminated with signal SIGSEGV")  # fmt: skip
    status = run.end()
    if status != 4 or "triple fault on processor 0" not in run.errors:
        fail(f"status {status}, not 4", run.errors)
    print("crash: a triple fault is told to gdb, which can look at it; status 4")


def narrow():
    """gdb as of a 32-bit processor."""
    run = Run("--kernel", elf, "--memory", "32M", "--serial", "none", "--debug-exit", "0xf4", gdb="0,i386")
    entry = re.search(r"([0-9a-f]+) T start32", subprocess.run(["nm", elf], capture_output=True, text=True).stdout)[1]
    said = gdb(run, f"show architecture\nprint $eip == 0x{entry}\nx/2i $pc\nstepi\nprint $esp\ninfo registers cr0 eax\nkill\n")
    expect(said, r"currently \"i386\"", r"= 1\b", r"=> 0x[0-9a-f]+:\s+mov +\$0x[0-9a-f]+,%esp", r"= \(void \*\) 0x", r"cr0 .*\[ PE", r"eax ")
    run.end()
    print("narrow: a 32-bit processor to gdb")


def levels():
    """A hypervisor and its guest: the one that runs, and the other one by its VMCS."""
    stale = options.guests / "stale"
    symbols = subprocess.run(["nm", f"{stale}.elf64"], capture_output=True, text=True, check=True).stdout

    def address(symbol):
        return int(re.search(rf"^(\w+) \w {symbol}$", symbols, re.M)[1], 16)

    read, exit_at = address("guest_read"), address("vm_exit_entry")
    arguments = ["--vmx", "on", "--kernel", stale, "--memory", "16M", "--serial", "none", "--debug-exit", "0xf4", "--append", "ept"]
    run = Run(*arguments)
    # The guest is one load of [rbx] and HLT, twice: what it reads at 800000h the hypervisor has given it by EPT.
    said = gdb(run, f"""
info threads
monitor break 0 {read:#x}
monitor until-exit hlt
continue
info threads
thread 2
printf "guest rip %d\\n", $rip == {read + 3:#x}
info registers rax rsp cr3
x/1xg 0x800000
x/i $rip
python
try:
    gdb.execute("set var $rax = 1")
except gdb.error as refused:
    print(refused)
end
thread 1
x/1xg 0x800000
printf "hypervisor rip %d\\n", $rip == {exit_at:#x}
monitor vm
monitor break 1 {read:#x}
monitor break
continue
info threads
printf "guest rip %d, rbx %lx\\n", $rip == {read:#x}, $rbx
x/1xg 0x800000
thread 2
printf "hypervisor rip %d\\n", $rip == {exit_at:#x}
info registers rax rip cr0 efer
x/1xg 0x800000
monitor vm 0
monitor registers
monitor x/1xg 0x800000
monitor x $rax
monitor vm now
monitor x/1xg $rbx
monitor delete 1 {read:#x}
monitor delete 0 {read:#x}
monitor break
detach
""", f"{stale}.elf64")  # fmt: skip
    expect(
        said,
        r"Thread 1 .*CPU0",
        r"the machine stops there when it goes on",
        r"VM exit: HLT, guest rip [0-9a-f]+, VMCS ([0-9a-f]+)",  # in the guest the hypervisor's breakpoint did not hold
        r"Thread 1 .*CPU0.*running",
        r"CPU0 guest.*guest-state area of VMCS [0-9a-f]+",
        r"guest rip 1",
        r"rax +<unavailable>",
        r"rsp +0x[0-9a-f]+",
        r"cr3 +0x[0-9a-f]+",
        r"0x800000:\s+0x0000000000000001",
        r"=> 0x[0-9a-f]+ <guest_read\+3>:\s+hlt",
        r"[Cc]ould not|not writ|E01|unavailable",
        r"0x800000:\s+0x0000000000000000",
        r"hypervisor rip 1",
        r"VM 1: VMCS [0-9a-f]+, current on CPU0, 1 VM exits",
        r"VM 0 at [0-9a-f]+\s+VM 1 at [0-9a-f]+",
        r"a breakpoint of the monitor's",
        r"CPU0 hypervisor.*host-state area of VMCS [0-9a-f]+",
        r"guest rip 1, rbx 800000",
        r"0x800000:\s+0x0000000000000002",
        r"hypervisor rip 1",
        r"rax +<unavailable>",
        r"rip +0x[0-9a-f]+.*<vm_exit_entry>",
        r"cr0 .*\[ PE .*PG",
        r"efer .*LMA",
        r"0x800000:\s+0x0000000000000000",
        r"VMX root operation as the next VM exit will load it \(host-state area of VMCS [0-9a-f]+\)",
        r"^RSP [0-9a-f]{16}$",
        r"RIP [0-9a-f]{16}",
        r"0000000000800000: 0000000000000000",
        r"\$rax: not an address",
        r"0000000000800000: 0000000000000002",
        r"no breakpoints",
    )
    ends_undisturbed(run, arguments)

    run = Run("--vmx", "on", "--kernel", options.guests / "rules", "--memory", "32M", "--serial", "none", "--debug-exit", "0xf4")
    said = gdb(run, "monitor until-exit failed-entry\ncontinue\nmonitor entry\nkill\n")
    expect(said, r"VM entry failed: entry\.invalid-controls \(rip", r"entry\.pin-based-reserved")
    run.end()
    print("levels: registers, memory and breakpoints of hypervisor and guest, an exit, a failing entry; the same hash as without gdb")


def kernel():
    """Debian's kernel, in the middle of its boot, on two processors."""
    kernel, initramfs = subprocess.run([TREE / "tools/guest-image", "--vmlinux"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    limit = 200000000
    arguments = ["--kernel", kernel, "--initrd", initramfs, "--memory", "512M", "--cpus", "2", "--serial", "none", "--no-reboot",
                 "--append", "console=ttyS0 nokaslr panic=-1", "--stop-at", limit]  # fmt: skip
    run = Run(*arguments)
    # The kernel proper begins at physical 16 MiB, identity-mapped at first. It then jumps to its own half of the address space,
    # through RAX; where to, its code says.
    said = gdb(run, r"""
hbreak *0x1000000
continue
printf "64 bits: %d, paging: %d\n", ($efer >> 10) & 1, ($cr0 >> 31) & 1
x/i $pc
delete
python
import re
for _ in range(100):
    gdb.execute("stepi", to_string=True)
code = bytes(gdb.selected_inferior().read_memory(0x1000000, 4096))
jump = re.search(rb"\x48\xc7\xc0(....)\xff\xe0", code, re.S)  # mov $target, %rax; jmp *%rax
gdb.execute("hbreak *%d" % (int.from_bytes(jump[1], "little") | 0xffffffff00000000))
end
continue
print/x $pc
x/2i $pc
watch *(unsigned long*)($rsp - 8)
continue
delete
info threads
monitor walk $rip
stepi
x/2i $pc
detach
""")  # fmt: skip
    expect(said, r"hit (Temporary )?(Hardware )?[Bb]reakpoint 1", r"64 bits: 1, paging: 1", r"=> 0x1000000:", r"breakpoint 2 at 0xffffffff81",
           r"hit (Hardware )?[Bb]reakpoint 2", r"= 0xffffffff81", r"=> 0xffffffff81", r"[Ww]atchpoint 3", r"hit (Hardware )?[Ww]atchpoint 3", r"New value =",
           r"Thread 1 .*CPU0", r"Thread 2 .*CPU1.*waiting for SIPI", r"PML4E 1ff ", r"-> physical 1[0-9a-f]{6} \(", r"=> 0xffffffff8", r"detached\]")  # fmt: skip
    status = run.end()
    undisturbed = alone(*arguments)
    if status != 10 or undisturbed.returncode != 10:
        fail(f"statuses {status} and {undisturbed.returncode}; the limit's is 10", run.errors, undisturbed.stderr)
    if hash_of(run.errors) != hash_of(undisturbed.stderr):
        fail("the kernel that gdb looked at is in another state than the one it did not", run.errors, undisturbed.stderr)
    print(f"kernel: breakpoint, steps and watchpoint in its first instructions; the same hash at {limit} instructions")

    # gdb comes while the kernel runs, interrupts it twice, lets it go, and goes away without a word.
    run = Run(*arguments[:-2], "--stop-at", 5 * limit, wait=False)
    debugger = subprocess.Popen(["gdb", "-nx", "-q"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""

    def command(text):
        debugger.stdin.write(text + "\n")
        debugger.stdin.flush()

    def until(pattern):
        nonlocal said
        seen = ""
        while not re.search(pattern, seen):
            c = debugger.stdout.read(1)
            if not c:
                fail(f"gdb ended before it said /{pattern}/", said + seen)
            seen += c
        said += seen

    command(f"set pagination off\nset confirm off\nset style enabled off\ntarget remote 127.0.0.1:{run.port}\necho connected\\n")
    until("\nconnected|\\) connected")
    for _ in range(2):
        command("continue")
        until("Continuing")
        time.sleep(0.5)
        debugger.send_signal(signal.SIGINT)
        until("received signal SIGINT")
    command("info registers rip\necho done\\n")
    until(r"rip +0x[0-9a-f]+[^\n]*\n(.*\n)*.*done")
    debugger.kill()
    debugger.wait()
    if run.end() != 10:
        fail("the machine did not go on when gdb had gone", run.errors)
    print("kernel: interrupted twice, and going on without gdb")


for part in (guest, crash, narrow, levels, kernel):
    if options.only in (None, part.__name__):
        part()
