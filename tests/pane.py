#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Pane, the bundled hypervisor: stock Debian guests that ping each other, the 8259, ways out, equal shares, missing capabilities.

import hashlib
import re
import subprocess
import sys
import threading
from pathlib import Path

from machines import TREE, check, encode, guest_image, run, tiny_guest
from panes import FAILED, Panes, ended_well, figures, linux_guest, of_guest
from terminals import Terminal

PARTS = ["linux", "smp", "chip", "tour", "prompt", "escape", "apic", "shares", "shells", "stress", "bzimage", "capabilities", "config", "bochs", "bochs-linux"]
harness = Panes(PARTS)
options, folder, config, pane = harness.options, harness.folder, harness.config, harness.run


def chip():
    image = tiny_guest("pane_8259.c", folder)
    finished = pane(config("chip.txt", ("chip", "memory 4M", f"kernel {image.name}", "trace")), image)
    ended_well(finished, ["chip"])
    said = dict(re.findall(r"^\[chip\] ([a-z].*?):? (\d+)$", finished.stdout[: finished.stdout.index("all guests have")], re.M))
    expected = {
        "masks read back": 0xFEFF, "timer ticks while open": 1, "in service in its handler": 1, "timer ticks while masked": 0,
        "requested while masked": 1, "ticks come again": 1, "ticks on the new vector": 1, "ticks on the old one": 0,
        "the clock through the slave": 1, "poll answers": 0x80, "poll after rotation": 0x80, "in service at the end": 0,
    }  # fmt: skip
    for what, value in expected.items():
        check(said.get(what) == str(value), f"'{what}' should be {value}, and is {said.get(what)}", finished)
    traced = re.findall(r"VM exit 30: (OUT|IN ) (\S+) +(\S+) .*physical: IMR (\S+) (\S+)", finished.stdout)
    check({row[3:] for row in traced} == {("0xff", "0xff")}, "the machine's own 8259s have changed", finished)
    f = figures(finished, "chip")
    written = [int(port, 16) for verb, port, *_ in traced if verb == "OUT"]
    for port in (0x20, 0x21, 0xA0, 0xA1):
        names = [k for k in f if k.startswith(f"port {port:#x} ")]
        check(names and f[names[0]] == written.count(port), f"port {port:#x}: trace and figures differ", finished)
    for word in ("ICW1", "ICW2", "ICW3", "ICW4"):
        check(f[f"8259 master {word}"] == 2 and f[f"8259 slave  {word}"] == 2, f"{word} was written twice to each", finished)
    entries = re.findall(r"IRQ (\d+) is acknowledged, interrupt (\S+) injected", finished.stdout)
    check(len(entries) == f["injected by Pane at VM entries"] == f["of these from the 8259s"], "injections do not add up", finished)
    check({vector for _, vector in entries} == {"0x20", "0x50", "0x78"}, "vectors that nobody programmed", finished)
    print(f"the 8259: {len(traced)} accesses, {len(entries)} interrupts")


APIC_MODE = ["its number is 0", "self IPIs: 1", "in service in the handler: 1", "processor priority: 80", "taken at a lower priority: 0",
             "taken when the priority allows: 1", "timer ticks: 5", "NMIs: 2", "of these at once: 1"]  # fmt: skip


def apic():
    """The local APIC in both modes; with and without what the processor has for it, the guest sees the same."""
    image = tiny_guest("pane_apic.c", folder)
    setup = config("apic.txt", ("apic", "memory 4M", f"kernel {image.name}"))
    expected = ["xAPIC mode:", *APIC_MODE, "x2APIC mode:", *APIC_MODE, "back to xAPIC mode without a way over off: 0",
                "a write to a read-only register, 802h: 0", "reserved bits of the self IPI register: 0", "xAPIC mode again:", *APIC_MODE]  # fmt: skip
    ways = ["on", "-tpr-shadow", "-virtualize-apic-accesses", "-virtualize-x2apic-mode", "-apic-register-virtualization", "-virtual-interrupt-delivery",
            "-vmx-preemption-timer"]  # fmt: skip
    for vmx in ways:
        finished = pane(setup, image, vmx=vmx, memory="64M")
        ended_well(finished, ["apic"])
        lines = [line.strip() for line in of_guest(finished, "apic")]
        seen = [line for line in lines if line in expected or line.split(":")[0] in {e.split(":")[0] for e in expected}]
        check(seen == expected, f"with --vmx {vmx} the guest sees {[(a, b) for a, b in zip(seen, expected) if a != b]}", finished)
    print(f"the local APIC: {len(expected)} lines, the same with --vmx {', '.join(ways)}")


def tour():
    """Each line of output that docs/tour.md shows is said, up to times and addresses."""
    image = tiny_guest("pane_8259.c", folder)
    modules = config("chip.txt", ("chip", "memory 4M", f"kernel {image.name}", "trace")), image
    trace = folder / "trace"
    told = pane(*modules, memory="1G", more=("--trace", "vmx", "--trace-file", trace))
    without = pane(*modules, vmx="-ept-2m")
    setup = subprocess.run([TREE / "tools/demonstration", "prepare", folder], stdout=subprocess.PIPE, text=True, check=True)
    more = run(options.vitrine, *setup.stdout.split("\n")[:-1], "--kernel", options.pane, "--memory", "1G", "--cpus", 2, "--report", "-")
    varying = re.compile(r"^\[ *[\d.]+ \d+ |(?<=rip=)\w+|(?<=region=)\w+|(?<=vmcs=)\w+|(?<= at )0x\w+|(?<=VM exits)  .*|\r|"
                         r"^ +[\d,]+ \+\d+ +|(?<=address )0x\w+|(?<=physical )0x\w+|(?<=descriptor )0x\w+")  # fmt: skip
    sources = [[varying.sub("", line) for line in text.splitlines()] for text in (told.stdout, trace.read_text(), without.stdout, more.stdout, more.stderr)]
    page = (TREE / "docs/tour.md").read_text()
    shown = [line for block in page.split("```\n")[1::2] if not block.startswith("$") for line in block.splitlines()]
    for line in shown:
        check(any(varying.sub("", line) in source for source in sources), f"docs/tour.md shows a line that nobody says: {line}", told)
    check(len(shown) > 20, "docs/tour.md shows too little")
    print(f"the tour: {len(shown)} lines as they are said")


def prompt():
    image = tiny_guest("pane_escape.c", folder)
    setup = config("prompt.txt", *[(name, "memory 4M", f"kernel {image.name}", "cmdline sleep", "ends stopped") for name in "ab"])
    keys = folder / "keys"
    # What comes before the serial port is set up is lost; empty lines do nothing.
    keys.write_text("\r" * 64 + "help\rlist\rpause a\rlist\rresume a\rdump b\rstats b\rnonsense\rpause c\rreset b\rlist\rstop a\rstop b\r")
    with keys.open() as file:
        finished = pane(setup, image, keys=file, more=("--time", "real"))
    ended_well(finished, "ab")
    for said in ["  pause   GUEST    the guest gets no time", "a            paused ", "waits for resume", "[b] processor 0: exit ", "rflags 0x",
                 "pane: 'nonsense' is no command; help lists them", "pane: there is no guest 'c'",
                 "guest 'a' has ended: stopped (stopped at the prompt)", "guest 'b' has ended: stopped"]:  # fmt: skip
        check(said in finished.stdout, f"the prompt does not say '{said}'", finished)
    print("the prompt: all commands")


CONTAINED = [("witness", "words of the witness that have changed: 0"), ("memory", "places that hold what was written: 0"),
             ("ports", "foreign ports that answer: 0"), ("msrs", "MSRs that were not refused: 0"), ("msrs", "CR4.VMXE could be set: 0"),
             ("vmx", "VMX instructions that were not undefined: 0"), ("exits", "exits made")]  # fmt: skip


def escapes(image, ways):
    return [(w, "memory 4M", f"kernel {image.name}", f"cmdline {w}", *(["ends crash"] if w == "triple" else [])) for w in ways]


def escape():
    image = tiny_guest("pane_escape.c", folder)
    ways = ["witness", "memory", "ports", "msrs", "vmx", "exits", "triple"]
    guests = escapes(image, ways)
    finished = pane(config("escape.txt", *guests), image, cpus=2)
    ended_well(finished, ways)
    for way, what in CONTAINED:
        check(any(line.startswith(what) for line in of_guest(finished, way)), f"{way} does not say '{what}'", finished)
    check("guest 'triple' has ended: crash (triple fault)" in finished.stdout, "the triple fault is not told", finished)
    again = pane(config("escape.txt", *[g for g in guests if g[0] != "triple"], ("triple", *guests[-1][1:-1])), image)
    check(again.returncode == FAILED and "was to end with power-off and ended with crash" in again.stdout, "an unexpected end is no failure", again)
    print("ways out: all contained")


def shares():
    image = tiny_guest("pane_escape.c", folder)
    guests = [(name, "memory 4M", f"kernel {image.name}", f"cmdline {way}") for name, way in [("a", "witness"), ("b", "witness"), ("c", "exits")]]
    finished = pane(config("shares.txt", *guests), image)
    ended_well(finished, "abc")
    ran = {g: (int(x), int(y)) for g, x, y in re.findall(r"^([abc]) .* ran (\d+) ms of (\d+) ms", finished.stdout, re.M)}
    for guest, (used, all_of_it) in ran.items():
        check(abs(3 * used - all_of_it) < 0.06 * all_of_it, f"{guest} had {used} ms of {all_of_it}, not a third", finished)
    rounds = [int(n) for n in re.findall(r"rounds of work: (\d+)", finished.stdout)]
    slice_ms = 5  # one may have had its last slice when the other ends
    check(len(rounds) == 2 and abs(rounds[0] - rounds[1]) < 1.1 * slice_ms / ran["a"][0] * rounds[0], f"unequal work: {rounds}", finished)
    print(f"shares: {ran}")


def capabilities():
    image = tiny_guest("pane_8259.c", folder)
    setup = config("chip.txt", ("chip", "memory 4M", f"kernel {image.name}"))
    listing = subprocess.run([options.vitrine, "explain", "vmx"], stdout=subprocess.PIPE, text=True, check=True).stdout
    without = refused = 0
    for name in dict.fromkeys(re.findall(r"^  (\S+)", listing, re.M)):
        finished = pane(setup, image, vmx=f"-{name}", memory="64M")
        if finished.returncode == 0:
            without += 1
            check("in service at the end: 0" in finished.stdout, f"without {name} the guest has not come to its end", finished)
        else:
            refused += 1
            check(finished.returncode == FAILED and re.search(r"^pane: needs '.*': \w", finished.stdout, re.M), f"without {name}: no reason given", finished)
    check(without > 50 and refused < 20, f"goes without {without}, refuses {refused}")
    print(f"goes without {without} capabilities, one at a time; says of {refused} why it cannot")


def config_errors():
    image = tiny_guest("pane_8259.c", folder)
    wrong = [
        ("guest a {\n    memory 4M\n    colour red\n}\n", "3:5: a guest has no 'colour'"),
        ("guest a {\n    memory 12Q\n}\n", "2:12: '12Q' is no number"),
        ("guest a {\n    memory 1M\n}\n", "2:12: the memory must lie between"),
        ("guest a {\n    kernel x\n", "3:1: the file ends within guest 'a'"),
        ("guest a {\n    cmdline \"x\n}\n", "2:13: this text has no closing quotation mark"),
        ("guest a {\n    cpus 1 2\n}\n", "2:12: '2' is too much on this line"),
        ("# nothing\n", "there is no guest"),
        ("gest a {\n}\n", "1:1: 'gest' is unknown here"),
        ("guest a {\n    kernel nowhere\n}\n", "guest 'a' names 'nowhere', and the boot loader gave no such module"),
    ]
    for text, message in wrong:
        path = folder / "wrong.txt"
        path.write_text(text)
        finished = pane(path, image, memory="64M", stop=1)
        check(message in finished.stdout, f"a wrong configuration should be told as '{message}'", finished)
    print(f"configuration: {len(wrong)} errors told with their place")


MODULES = "virtio_mmio,virtio_net,virtio_blk,virtio_console"


def linux_guests(guests, cpus, memory="1G", image=("--vmlinux", "--modules", MODULES), stop=60):
    kernel, initramfs = guest_image(*image)
    rows = []
    for name, number, more, command in guests:
        rows.append(linux_guest(name, kernel, initramfs, command, *more))
    disk = folder / "disk"
    disk.write_bytes(bytes(range(256)) * 4096)
    finished = pane(config("linux.txt", *rows), kernel, initramfs, disk, cpus=cpus, memory=memory, stop=stop)
    ended_well(finished, [g[0] for g in guests])
    for guest, *_ in guests:
        check("VITRINE-RUN-END status 0" in of_guest(finished, guest), f"the command of {guest} failed", finished)
    return finished


def linux():
    def command(own, other, more=""):
        # Without IPv6 nobody says anything by itself after the counters were read.
        return (f"echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ifconfig eth0 10.0.0.{own} up; until ping -c 1 -W 1 10.0.0.{other} >/dev/null; do :; done; ping -c 3 10.0.0.{other}; {more} sleep 2; "
                "cd /sys/class/net/eth0/statistics; echo sent $(cat tx_packets) received $(cat rx_packets); ifconfig eth0 down; cat /proc/interrupts")  # fmt: skip

    finished = linux_guests([("alpha", 1, ["network", "disk disk"], command(1, 2, "sha256sum /dev/vda; echo hello >/dev/hvc0;")),
                             ("beta", 2, ["network", "cpus 2"], command(2, 1, "nproc;"))], cpus=2)  # fmt: skip
    digest = hashlib.sha256(bytes(range(256)) * 4096).hexdigest()
    check(f"{digest}  /dev/vda" in of_guest(finished, "alpha") and "hello" in of_guest(finished, "alpha"), "disk or console of alpha", finished)
    check("2" in of_guest(finished, "beta"), "beta does not count two processors", finished)
    for guest in ("alpha", "beta"):
        lines = "\n".join(of_guest(finished, guest))
        check("3 packets transmitted, 3 packets received, 0% packet loss" in lines, f"{guest} has not been answered", finished)
        f = figures(finished, guest)
        for pin in re.findall(r"^ *(1[678]):", lines, re.M):
            counts = re.search(rf"^ *{pin}:((?: +\d+)+)", lines, re.M)[1]
            check(sum(map(int, counts.split())) == f.get(f"I/O APIC pin {pin}", 0), f"{guest}: interrupt {pin} is {counts} in /proc/interrupts", finished)
        ticks = sum(map(int, re.search(r"^LOC:((?: +\d+)+)", lines, re.M)[1].split()))
        told = f["local APIC timer interrupts"]
        check(ticks <= told <= ticks + 500, f"{guest}: {ticks} timer interrupts in /proc/interrupts, {told} told by Pane", finished)
        sent, received = map(int, re.search(r"^sent (\d+) received (\d+)$", lines, re.M).groups())
        told = re.search(rf"^\[{guest}\] virtio network +from the guest (\d+) .* to it (\d+)", finished.stdout, re.M)
        check((sent, received) == tuple(map(int, told.groups())), f"{guest} counts {sent} and {received} packets, Pane {told.groups()}", finished)
    print("two Debian guests ping each other; " + re.search("instructions .*", finished.stderr)[0])


def smp():
    finished = linux_guests([("four", 1, ["cpus 4"], "nproc; sha256sum /bin/busybox & sha256sum /bin/busybox & sha256sum /bin/busybox & sha256sum /bin/busybox & wait")], cpus=2)  # fmt: skip
    lines = of_guest(finished, "four")
    check("4" in lines, "the guest does not count four processors", finished)
    sums = [line for line in lines if line.endswith("/bin/busybox") and re.match("[0-9a-f]{64}", line)]
    check(len(sums) == 4 and len(set(sums)) == 1, f"digests: {sums}", finished)
    print("a Debian guest with 4 processors on 2")


def stress():
    """stress-ng's own checks of what it computes; one operation is one of its methods, and all have their turn."""
    command = "stress-ng --cpu {} --cpu-method all --cpu-ops {} --verify 2>&1"
    finished = linux_guests([("one", 1, [], command.format(1, 200)), ("four", 2, ["cpus 4"], command.format(4, 800))], cpus=2,
                            image=("--vmlinux", "--with", "stress-ng"), stop=3600)  # fmt: skip
    for guest in ("one", "four"):
        lines = "\n".join(of_guest(finished, guest))
        check("successful run completed" in lines and not re.search("fail|error", lines), f"stress-ng in {guest}:\n{lines}")
    print("stress-ng: right in guests with 1 and 4 processors")


def bzimage():
    finished = linux_guests([("packed", 1, [], "uname -r")], cpus=1, image=())
    check("6.1." in "".join(of_guest(finished, "packed")), "the guest does not say its kernel's version", finished)
    print("a Debian guest from its bzImage")


def shells():
    """Somebody at the terminal of ./run: live figures, one guest's shell, the other's, Pane's prompt, and both switched off."""
    setup = subprocess.run([TREE / "tools/demonstration", "prepare", folder, "--shell"], stdout=subprocess.PIPE, text=True, check=True)
    t = Terminal(options.vitrine, "run", *setup.stdout.split("\n")[:-1], "--kernel", options.pane, "--memory", "1G", "--cpus", 2)
    t.until(r"(?s)busybox on Debian's kernel.*busybox on Debian's kernel")
    t.until(r"\[alpha\] live at \d+ ms: \d+ VM exits, \d+ EPT violations, \d+ port writes; interrupts: \d+ physical, \d+ virtual")
    t.type("\x141")
    t.until("alpha has the terminal")
    t.type("\recho $((6*7)) from $(hostname -i 2>/dev/null; ifconfig | grep -o '10.0.2.[0-9]*' | head -1)\r")
    t.until("\n42 from .*10.0.2.1")
    t.type("ping -c 2 10.0.3.2\r")
    t.until("2 packets transmitted, 2 packets received, 0% packet loss")
    t.type("\x142")
    t.until("beta has the terminal")
    t.type("\r")
    t.until("~ # ")
    t.type("cat\r")
    t.until("cat\r*\n")
    t.type("echoed\r")
    t.until("echoed\r*\n+echoed")
    t.type("\x03")  # Ctrl-C is the guest's
    t.until("~ # ")
    t.type("echo $((8*9)) from beta\r")
    t.until("\n72 from beta")
    t.type("\x14p")
    t.until("pane> ")
    t.type("stats alpha\r")
    t.until(r"8259 master ICW1")
    t.type("pause alpha\r")
    t.until("pane> ")
    t.type("list\r")
    t.until("alpha +paused")
    t.type("resume alpha\r")
    t.until("pane> ")
    t.type("\x142\rpoweroff -f\r")
    t.until("guest 'beta' has ended: power-off")
    t.type("\x141\rpoweroff -f\r")
    t.until("PANE-DONE all guests ended as they should")
    check(t.end() == 0, f"Pane at a terminal: {t.said}")
    print("two shells, typed into one after the other; the prompt; all switched off")


def on_bochs(seconds, *modules):
    """What Pane says on Bochs, another maker's VMX, until it is done; Debian's 2.7 is slow."""
    sys.path.insert(0, str(TREE / "bench"))
    from bochs import ENDED, make_iso, start, stop

    entry = ["multiboot /boot/pane.elf", *(f"module /boot/{m.name} {m.name}" for m in map(Path, modules))]
    place = folder / f"on-bochs-{Path(modules[0]).stem}"
    place.mkdir()
    iso = make_iso(place, {"pane.elf": options.pane, **{Path(m).name: Path(m) for m in modules}}, entry)
    process, serial = start(place, iso)
    limit = threading.Timer(seconds, lambda: stop(process))
    limit.start()
    said = []
    for line in iter(serial.readline, b""):
        said.append(line.decode(errors="replace").strip())
        if said[-1].endswith(ENDED) or said[-1].startswith(("PANE-DONE", "PANE-PANIC", "PANE-FAILED")):
            break
    limit.cancel()
    stop(process)
    text = "\n".join(said)
    check(said[-1].startswith("PANE-DONE"), f"Pane on Bochs has not come to its end:\n{text}")
    return text


def bochs():
    chip_image, apic_image, escape_image = (tiny_guest(name, folder) for name in ("pane_8259.c", "pane_apic.c", "pane_escape.c"))
    ways = ["witness", "memory", "ports", "msrs", "vmx", "exits", "triple"]
    guests = [("chip", "memory 4M", f"kernel {chip_image.name}"), ("apic", "memory 4M", f"kernel {apic_image.name}"), *escapes(escape_image, ways[:6])]
    text = on_bochs(600, config("bochs.txt", *guests), chip_image, apic_image, escape_image)
    for guest, said in [("chip", "masks read back: 65279"), ("chip", "timer ticks while masked: 0"), ("chip", "ticks on the new vector: 1"),
                        ("chip", "poll answers: 128"), ("chip", "in service at the end: 0"), *[("apic", f"  {line}") for line in APIC_MODE], *CONTAINED]:  # fmt: skip
        check(f"[{guest}] {said}" in text, f"on Bochs {guest} does not say '{said}':\n{text}")
    text = on_bochs(600, config("triple.txt", *escapes(escape_image, ["witness", "triple"])), escape_image)
    check("guest 'triple' has ended: crash (triple fault)" in text and f"[witness] {CONTAINED[0][1]}" in text, f"a triple fault on Bochs:\n{text}")
    print("on Bochs: the 8259's guest, the local APIC's, ways out")


def bochs_linux():
    kernel, initramfs = map(Path, guest_image("--vmlinux"))
    row = ("debian", "memory 128M", f"kernel {kernel.name}", f"initrd {initramfs.name}",
           f'cmdline "console=ttyS0 quiet panic=-1 vitrine.run={encode("sha256sum /bin/busybox; uname -r")}"')  # fmt: skip
    text = on_bochs(7200, config("linux.txt", row), kernel, initramfs)
    check("VITRINE-RUN-END status 0" in text and "6.1." in text, f"Linux on Pane on Bochs:\n{text}")
    print("on Bochs: stock Debian Linux")


parts = [linux, smp, stress, bzimage, shells, chip, apic, tour, prompt, escape, shares, capabilities, bochs, bochs_linux]
{"config": config_errors, **{part.__name__.replace("_", "-"): part for part in parts}}[options.only]()
