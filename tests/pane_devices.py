#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Devices that Pane assigns to guests: data and interrupts arrive, with posted interrupts and without; and nothing gets out by a device.

import hashlib
import re

from machines import check, script_image, tiny_guest
from panes import FAILED, Panes, agrees, counted, ended_well, figures, linux_guest, of_guest
from terminals import Terminal

harness = Panes(["own", "contained", "stopped", "refused", "nvme", "reset"], "Boots Pane with devices for its guests.")
options, folder, config, pane = harness.options, harness.folder, harness.config, harness.run

EDU = ["--device", "edu,dma_mask=0xffffffffffff"]
ON = ["--iommu", "on"]
FUNCTION = "00:01.0"
POSTED, REMAPPED = "posted interrupts, taken by Pane for it", "device interrupts, remapped through Pane"


def owner(image, ways, *lines):
    return ("owner", "memory 4M", f"kernel {image.name}", f"device {FUNCTION}", f'cmdline "{ways}"', *lines)


def witness(image):
    return ("witness", "memory 4M", f"kernel {image.name}", "cmdline witness")


def with_edu(ways, *lines, top=(), more=ON, vmx="on", cpus=2):
    """A guest with edu, and a witness beside it, whose memory must be as it was."""
    own, other = tiny_guest("pane_devices.c", folder), tiny_guest("pane_escape.c", folder)
    finished = pane(config("edu.txt", owner(own, ways, *lines), witness(other), lines=top), own, other, cpus=cpus, vmx=vmx, more=[*EDU, *more])
    if "all guests have ended" in finished.stdout:
        agrees(finished, ["owner", "witness"])
        check("words of the witness that have changed: 0" in of_guest(finished, "witness"), "the witness has changed", finished)
        check("its own code is unchanged" in finished.stdout, "Pane has changed", finished)
    return finished


def expect(finished, *lines):
    for line in lines:
        check(line in of_guest(finished, "owner"), f"the owner does not say '{line}'", finished)


def faults_agree(finished, dma, interrupts):
    """The owner is charged for exactly what the unit has blocked, and nothing was lost."""
    f = figures(finished, "owner")
    told = f.get("DMA faults", 0), f.get("interrupt faults", 0)
    true = counted(finished, "vtd.dma.blocked"), counted(finished, "vtd.interrupt.blocked")
    check(told == true == (dma, interrupts), f"faults: Pane tells {told}, Vitrine {true}, and there were {(dma, interrupts)}", finished)
    check(counted(finished, "vtd.fault.lost") == 0, "faults were lost", finished)
    check("faults" not in "".join(figures(finished, "witness")), "the witness is charged for a fault", finished)


def device_interrupts(finished):
    """Of the machine's processors: interrupts for Pane, posted ones that woke a guest."""
    rows = re.findall(r"^processor \d+: interrupts of devices: (\d+) for Pane, (\d+) posted ones", finished.stdout, re.M)
    return sum(int(a) for a, _ in rows), sum(int(b) for _, b in rows)


def own():
    """The device works, and its interrupts reach a guest that runs, one that sleeps, and one that sends itself NMIs."""
    exits = {}
    xapic = ["--cpu", "icelake-server,-x2apic", "--iommu"]
    for name, top, more, vmx in [("posted", (), ON, "on"), ("posted off", ("posted off",), ON, "on"), ("pi=off", (), ["--iommu", "on,pi=off"], "on"),
                                 ("xAPIC", (), [*xapic, "on,eim=off"], "on"), ("39 bits", (), ["--iommu", "on,aw=39,cm=on,snoop=off"], "on"),
                                 ("one processor", (), ON, "on"), ("without delivery", (), ON, "-virtual-interrupt-delivery")]:  # fmt: skip
        finished = with_edu("work", top=top, more=more, vmx=vmx, cpus=1 if name == "one processor" else 2)
        ended_well(finished, ["owner", "witness"])
        expect(finished, "its registers answer: 1", "a word came back by DMA: 1", "interrupts taken while it runs: 16",
               "interrupts taken in its sleep: 1", "interrupts that woke it: 8", "interrupts that woke it early or late: 200", "interrupts at the end of DMA that it missed: 0",
               "NMIs by its own message: 1")  # fmt: skip
        faults_agree(finished, 0, 0)
        f, (for_pane, _) = figures(finished, "owner"), device_interrupts(finished)
        posted, remapped = counted(finished, "vtd.interrupt.posted"), counted(finished, "vtd.interrupt.remapped")
        check((posted, remapped) == ((0, 526) if name in ("posted off", "pi=off", "without delivery") else (525, 1)), f"{name}: {posted} posted, {remapped} remapped", finished)
        check(f[REMAPPED] == remapped == for_pane, f"{name}: Pane tells {f[REMAPPED]} and {for_pane} interrupts, Vitrine {remapped}", finished)
        check(f[POSTED] <= posted, f"{name}: {f[POSTED]} of {posted} posted ones", finished)
        exits[name] = f.get("exit 1  external interrupt", 0)
    # With posted interrupts only the NMI, which cannot be posted, makes a running guest exit, and what wakes it.
    check(exits["posted"] < 10 and exits["posted off"] > 300, f"exits for external interrupts: {exits}")
    print(f"edu works for a guest; exits for external interrupts: {exits}")


def contained():
    """DMA beyond its memory, forged interrupts, its configuration space, a storm of faults, an end in the midst of DMA."""
    finished = with_edu("wild forge space late")
    ended_well(finished, ["owner", "witness"])
    expect(finished, "foreign addresses tried, twice each: 16", "of these reads that brought something: 0", "its own memory is still reached: 1",
           "interrupts forged: 26", "of these that came to itself: 0", "interrupts by a message with a handle: 1", "interrupts by a message to memory: 0",
           "words that it wrote there: 0", "other words that could be changed: 0", "address bits that its BAR leaves: 20", "DMA without bus mastering: 0",
           "other functions that answer: 0")  # fmt: skip
    faults_agree(finished, 32, 26)
    told = re.findall(rf"^pane: (?:an interrupt|a read|a write) of {FUNCTION} \((\w+)\) is blocked", finished.stdout, re.M)
    check(set(told) == {"owner"} and len(told) == 16, f"the first eight of each kind are told: {told}", finished)
    # One that raises its own interrupt first has an entry; it may name that one, and no other.
    finished = with_edu("work forge")
    ended_well(finished, ["owner", "witness"])
    faults_agree(finished, 0, 25)
    finished = with_edu("storm")
    ended_well(finished, ["owner", "witness"])
    check(f"{FUNCTION} of guest 'owner' does no DMA any more" in finished.stdout, "a storm of faults does not end", finished)
    faults_agree(finished, 4096, 0)
    # An MSI-X table, with more entries than one guest gets.
    disk = folder / "disk"
    disk.write_bytes(NOISE)
    image, other = tiny_guest("pane_devices.c", folder), tiny_guest("pane_escape.c", folder)
    for top, kind in [([], "interrupt remapping entries"), (["posted off"], "vectors")]:
        setup = config("table.txt", ("owner", "memory 4M", f"kernel {image.name}", "device 01:00.0", "cmdline table"), witness(other), lines=top)
        finished = pane(setup, image, other, cpus=2, more=[*ON, "--disk", f"{disk},discard"])
        ended_well(finished, ["owner", "witness"])
        expect(finished, "entries of its table that hold something else: 0", "it has more than one: 1")
        faults_agree(finished, 0, 0)
    print("a device: 32 addresses, 26 forged interrupts, 5000 faults; all contained and charged to its owner")


def stopped():
    """`faults stop`, and a BAR that moves: the guest ends, its neighbour does not."""
    for ways, top, why in [("wild", ["faults stop"], "its device reached for memory that is not its own"),
                           ("forge", ["faults stop"], "its device raised an interrupt that was not given to it"),
                           ("moves", [], "moved a BAR of its device: Pane has one place for each")]:  # fmt: skip
        finished = with_edu(ways, "ends crash", top=top)
        ended_well(finished, ["owner", "witness"])
        check(f"guest 'owner' has ended: crash ({why})" in finished.stdout, f"{ways}: not told: {why}", finished)
    print("a guest whose device breaks out is stopped, where the configuration says so")


def refused():
    image = tiny_guest("pane_devices.c", folder)
    plain = owner(image, "work")
    without = "without VT-d nothing would keep it within the guest's memory"

    def device(*names):
        return [line for line in plain if not line.startswith("device")] + [f"device {name}" for name in names]

    for guests, top, more, words in [
        ([plain], [], [], ["pane: no VT-d: the machine has none (no DMAR table)", without]),
        ([plain], ["vtd off"], ON, ["pane: VT-d stays off, as the configuration says", without]),
        ([plain], [], ["--iommu", "on,intremap=off"], ["pane: no VT-d: a unit cannot remap interrupts", without]),
        ([plain], [], ["--iommu", "on,eim=off"], ["pane: no VT-d: a unit has no extended interrupt mode", without]),
        ([device("00:09.0")], [], ON, ["cannot have device 00:09.0: the machine has no such function"]),
        ([device("00:1f.0")], [], ON, ["cannot have device 00:1f.0: it is a bridge"]),
        ([device("vf")], [], ON, ["cannot have device vf: no adapter offers a virtual function any more"]),
        ([device(FUNCTION, FUNCTION)], [], ON, [f"cannot have device {FUNCTION}: another guest has it"]),
        ([device("1:0")], [], ON, ["refused.txt:6:12: a device is vf, or bus:device.function such as 01:00.0, and not '1:0'"]),
        ([plain], ["posted maybe"], ON, ["refused.txt:2:8: here must stand on or off, and not 'maybe'"]),
    ]:
        finished = pane(config("refused.txt", *guests, lines=top), image, memory="64M", stop=1, more=[*EDU, *more])
        check(finished.returncode == FAILED or "PANE-PANIC the configuration" in finished.stdout, "Pane goes on", finished)
        for said in words:
            check(said in finished.stdout, f"Pane does not say '{said}'", finished)
    finished = pane(config("none.txt", ("plain", "memory 4M", f"kernel {tiny_guest('pane_8259.c', folder).name}")), folder / "pane_8259", memory="64M", stop=5)
    ended_well(finished, ["plain"])
    print("what cannot be assigned is refused with its reason; without VT-d Pane goes on for guests without devices")


MIB = 1 << 20
NOISE = hashlib.shake_128(b"disk").digest(4 * MIB)
WORK = """
sha256sum /dev/nvme0n1
dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k seek=32 count=32 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
sha256sum /dev/nvme0n1
grep nvme /proc/interrupts
cd /sys/bus/pci/devices/0000:00:01.0
echo reset by $(cat reset_method)
echo 1 >reset
echo 3 >/proc/sys/vm/drop_caches
echo again $(sha256sum /dev/nvme0n1)
dmesg -r | grep -E '^<[0-3]>' | grep -iE 'nvme|pci' | sed 's/^/warning /'
true
"""


def nvme():
    """A stock guest with two processors and an NVMe disk of its own."""
    disk = folder / "disk"
    disk.write_bytes(NOISE)
    kernel, initramfs = script_image(WORK, folder, "--vmlinux", "--modules", "nvme")
    after = NOISE[: 2 * MIB] * 2
    exits = {}
    for name, top in [("posted", []), ("posted off", ["posted off"])]:
        setup = config("nvme.txt", linux_guest("alpha", kernel, initramfs, "sh /script", "cpus 2", "device 01:00.0"), lines=top)
        finished = pane(setup, kernel, initramfs, cpus=2, memory="1G", stop=60, more=[*ON, "--disk", f"{disk},discard"])
        ended_well(finished, ["alpha"])
        lines = of_guest(finished, "alpha")
        for data in (NOISE, after):
            check(f"{hashlib.sha256(data).hexdigest()}  /dev/nvme0n1" in lines, f"{name}: wrong data", finished)
        check("reset by flr" in lines and f"again {hashlib.sha256(after).hexdigest()} /dev/nvme0n1" in lines, f"{name}: after a function-level reset", finished)
        check(not [line for line in lines if line.startswith("warning")], f"{name}: the guest's kernel complains", finished)
        f, (for_pane, woken) = figures(finished, "alpha"), device_interrupts(finished)
        seen = sum(sum(map(int, re.findall(r"(?<= )\d+(?= )", line.split("PCI-MSI")[0]))) for line in lines if "PCI-MSI" in line)
        posted, remapped = counted(finished, "vtd.interrupt.posted"), counted(finished, "vtd.interrupt.remapped")
        check(f.get("DMA faults", 0) + f.get("interrupt faults", 0) + counted(finished, "vtd.dma.blocked") == 0, f"{name}: faults", finished)
        check(0 < seen <= posted + remapped, f"{name}: {seen} in /proc/interrupts, {posted} posted, {remapped} remapped", finished)
        check(f[REMAPPED] == remapped == for_pane and (posted == 0 or remapped == 0), f"{name}: {for_pane} for Pane, {remapped} remapped", finished)
        check((posted == 0) == bool(top), f"{name}: {posted} posted", finished)
        check(woken <= posted, f"{name}: {woken} of {posted} woke the guest", finished)
        exits[name] = (seen, for_pane, woken, f["VM exits"])
    print(f"NVMe in a stock guest: interrupts seen, for Pane, that woke it, all VM exits: {exits}")


AGAIN = """
modprobe nvme; until [ -b /dev/nvme0n1 ]; do sleep 0.1; done
if dd if=/dev/nvme0n1 bs=4 count=1 2>/dev/null | grep -q MARK; then
    dd if=/dev/nvme0n1 bs=1M skip=1 2>/dev/null | sha256sum
    exit 0
fi
echo MARK | dd of=/dev/nvme0n1 conv=notrunc,fsync 2>/dev/null
echo reading for good
while :; do dd if=/dev/nvme0n1 of=/dev/null bs=64k iflag=direct 2>/dev/null; done
"""


def reset():
    """The guest is reset in the midst of its device's DMA: the device begins anew, and its second life finds what the first has written."""
    disk = folder / "disk"
    disk.write_bytes(NOISE)
    kernel, initramfs = script_image(AGAIN, folder, "--vmlinux", "--modules", "nvme")
    setup = config("reset.txt", linux_guest("alpha", kernel, initramfs, "sh /script", "device 01:00.0"))
    modules = [word for m in (setup, kernel, initramfs) for word in ("--module", m)]
    t = Terminal(options.vitrine, "run", "--vmx", "on", "--kernel", options.pane, *modules, "--memory", "1G", "--cpus", 1, "--debug-exit", "0xf4",
                 *ON, "--disk", f"{disk},discard", *(["--stale", "max"] if options.stale else []))  # fmt: skip
    t.until("reading for good")
    t.type("\x14p")
    t.until("pane> ")
    t.type("reset alpha\r")
    t.until(hashlib.sha256(NOISE[MIB:]).hexdigest())
    t.until("PANE-DONE all guests ended as they should")
    check(t.end() == 0, f"Pane at a terminal: {t.said}")
    check("is blocked" not in t.said and "timeout" not in t.said, f"the reset is not clean: {t.said}")
    # What no driver clears is cleared too.
    image = tiny_guest("pane_devices.c", folder)
    setup = config("keep.txt", ("owner", "memory 4M", f"kernel {image.name}", "device 01:00.0", "cmdline keep", "ends stopped"))
    t = Terminal(options.vitrine, "run", "--vmx", "on", "--kernel", options.pane, "--module", setup, "--module", image, "--memory", "64M", "--debug-exit", "0xf4",
                 *ON, "--disk", f"{disk},discard")  # fmt: skip
    for command in ("reset owner", "stop owner"):
        t.until("the register holds at first: 0")
        t.until(f"and then: {0x1f001f}")
        t.type("\x14p")
        t.until("pane> ")
        t.type(f"{command}\r")
    t.until("PANE-DONE all guests ended as they should")
    check(t.end() == 0, f"Pane at a terminal: {t.said}")
    print("a guest is reset in the midst of DMA; its disk goes on in its second life")


{part.__name__: part for part in (own, contained, stopped, refused, nvme, reset)}[options.only]()
