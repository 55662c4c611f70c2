#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The report of a run: its figures are those of --json and of the software that ran, it changes nothing, and a browser shows it at every width.

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

import hypervisors
from machines import TREE, check, encode, guest_image, run, said, script_image

parser = argparse.ArgumentParser(description="Runs machines with --report.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("pane", type=Path, nargs="?", help="pane.elf")
parser.add_argument("--only", required=True, choices=["pane", "network", "assigned"])
parser.add_argument("--keep", metavar="DIR", type=Path, help="leave the page and pictures of it there")
options = parser.parse_args()
scratch = tempfile.TemporaryDirectory()
folder = options.keep or Path(scratch.name)
folder.mkdir(exist_ok=True)
page = folder / f"{options.only}.html"


def figures_of(path):
    """Every figure of the page by its name; each name is there once."""
    found = re.findall(r'data-figure="([^"]*)" data-value="(\d+)"', path.read_text())
    figures = {name: int(n) for name, n in found}
    check(len(figures) == len(found), "a figure is on the page twice")
    check(len(figures) > 20, f"the page has {len(figures)} figures")
    return figures


def json_of(finished):
    return json.loads(finished.stdout.splitlines()[-1])


def total(figures, pattern):
    return sum(n for name, n in figures.items() if re.fullmatch(pattern, name))


def check_exits(figures, report, finished):
    """VM exits by reason and by VMCS, and instructions, as Vitrine counts them besides."""
    exits = {name.removeprefix("vmx.exit."): n for name, n in report["counters"].items() if name.startswith("vmx.exit.")}
    for reason, n in exits.items():
        told = total(figures, rf"vm\d+\.exit\.{reason}")
        check(told == n, f"VM exits by {reason}: {told} on the page, {n} in --json", finished)
    check(figures["vm-exits"] == sum(exits.values()), "the sum of VM exits", finished)
    check(total(figures, r"series\.exits\..*") == sum(exits.values()), "VM exits over time do not sum up", finished)
    check(total(figures, r"cpu\d+\.retired") == report["retired"] == figures["retired"], "instructions by processor", finished)
    for cpu in range(len(re.findall(r"cpu\d+\.retired", " ".join(figures)))):
        check(sum(figures[f"cpu{cpu}.{mode}"] for mode in ("guests", "root", "outside")) == figures[f"cpu{cpu}.retired"], f"the modes of CPU{cpu}", finished)
    check(total(figures, r"vm\d+\.guest-instructions") == total(figures, r"cpu\d+\.guests"), "instructions in VMX non-root operation", finished)
    # The last exit of each processor is followed by no VM entry: --json leaves its cost out.
    costs = {}
    for processor in report.get("virtual_processors", []):
        for row in processor["reasons"]:
            costs[row["reason"]] = costs.get(row["reason"], 0) + row["instructions"]
    more = [reason for reason, n in costs.items() if total(figures, rf"vm\d+\.exit\.{reason}\.vmm-instructions") != n]
    check(len(more) <= len([f for f in figures if re.fullmatch(r"cpu\d+\.retired", f)]), f"the VMM's instructions differ behind {more}", finished)
    for counter in ("vtd.interrupt.remapped", "vtd.interrupt.posted", "vtd.dma.blocked", "vtd.fault.recorded"):
        if counter in report["counters"]:
            check(figures[counter] == report["counters"][counter], counter, finished)


def check_same(plain, watched):
    """The report has changed nothing."""
    one, other = json_of(plain), json_of(watched)
    for what in ("hash", "instructions", "retired", "virtual_seconds", "counters", "virtual_processors"):
        check(one.get(what) == other.get(what), f"--report changes the run: {what}", watched)


def look(path):
    """A browser at three widths, light and dark: no complaint, nothing asked of anybody, nothing beyond the edge."""
    from browser import Browser

    with Browser() as browser:
        for width, height, dark in ((1280, 900, False), (390, 844, False), (390, 844, True), (1280, 900, True)):
            complaints, asked = browser.show(path, width, height, dark)
            check(not complaints, f"the browser complains at {width}: {complaints}")
            check(not asked, f"the page asks for {asked}")
            # With everything opened, too.
            for _ in range(2):
                wide, inner = browser.value("document.documentElement.scrollWidth"), browser.value("innerWidth")
                check(wide <= inner == width, f"the page is {wide} wide where there are {inner}")
                browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
            if options.keep:
                browser.show(path, width, height, dark)
                browser.picture(folder / f"{options.only}-{width}{'-dark' if dark else ''}.png", whole=True)
        check(browser.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)", "dark is not dark")
        check(browser.value("document.querySelectorAll('svg').length") > 0, "nothing is drawn")


def pane():
    tool = TREE / "tools/demonstration"
    machine = subprocess.run([tool, "prepare", folder], stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
    arguments = [*machine, "--kernel", options.pane, "--memory", "1G", "--cpus", 2, "--json"]
    watched = run(options.vitrine, *arguments, "--report", page)
    check(watched.returncode == 0, "the demonstration has failed", watched)
    (folder / "output").write_text(watched.stdout)
    judged = subprocess.run([tool, "check", folder / "output", page], capture_output=True, text=True)
    check(judged.returncode == 0, f"what the demonstration says of itself: {judged.stdout}{judged.stderr}", watched)
    figures, report = figures_of(page), json_of(watched)
    check_exits(figures, report, watched)
    # What Pane says that it did for each guest.
    text = watched.stdout.replace("\r", "")
    text = text[text.index("all guests have ended") :]
    names = {
        "VM exits": "vm-exits", "intercepted port writes": "port-writes", "physical interrupts taken while it ran": "physical-interrupts",
        "exit 48 EPT violation": "exit.ept_violation", "exit 30 I/O instruction": "exit.io_instruction", "exit 10 CPUID": "exit.cpuid",
    }  # fmt: skip
    told, pages = set(), set()
    for guest in ("alpha", "beta"):
        own = {key.strip(): int(n) for key, n in re.findall(rf"^\[{guest}\] (.*?) +(\d+)$", text, re.M)}
        chips = {"-".join(key.removeprefix("8259 ").split(" (")[0].lower().split()): n for key, n in own.items() if key.startswith("8259 ")}
        check(len(chips) > 5, f"Pane tells nothing of {guest}'s 8259s", watched)
        told.add((tuple(own.get(name, 0) for name in names), tuple(sorted(chips.items()))))
    for number in (1, 2):
        own = {name.removeprefix(f"vm{number}."): n for name, n in figures.items() if name.startswith(f"vm{number}.")}
        chips = {name.removeprefix("8259."): n for name, n in own.items() if name.startswith("8259.") and n}
        pages.add((tuple(own.get(name, 0) for name in names.values()), tuple(sorted(chips.items()))))
    check(told == pages, f"Pane says\n{sorted(told)}\nand the page\n{sorted(pages)}", watched)
    words = watched.stderr
    check(re.search(r"^ +VM exits +[\d,]+$", words, re.M) and "Device I/O" in words, "the text on standard error", watched)
    check_same(run(options.vitrine, *arguments), watched)
    return f"{figures['vm-exits']} VM exits of {figures['guests']} guests, as Pane and --json have them"


NETWORK = """
ip link set eth0 up
sleep 1
echo 2 >/sys/class/net/eth0/device/sriov_numvfs
modprobe igbvf
sleep 1
ip addr add 10.0.2.15/24 dev eth0
ip addr add 10.0.2.21/24 dev eth1
ip link set eth1 up
sleep 2
ping -c 2 -q -I eth1 10.0.2.2 | grep -o '[0-9]* packets received'
ping -c 2 -q -I eth0 10.0.2.2 | grep -o '[0-9]* packets received'
sleep 3
for d in eth0 eth1; do cd /sys/class/net/$d/statistics; echo $d $(cat rx_packets tx_packets); done
"""


def network():
    kernel, initramfs = guest_image("--vmlinux", "--modules", "igb", "--carry", "igbvf")
    arguments = ["--kernel", kernel, "--initrd", initramfs, "--memory", "256M", "--time", "warp", "--json", "--iommu", "on", "--no-reboot", "--stop-after", 120,
                 "--append", f"console=ttyS0 panic=-1 intel_iommu=on vitrine.run={encode(NETWORK)}",
                 "--net", "lan,kind=user,restrict=on", "--device", "i82576,net=lan"]  # fmt: skip
    watched = run(options.vitrine, *arguments, "--report", page)
    heard = said(watched)
    check(watched.returncode == 0 and heard is not None, "the guest's command has not run", watched)
    lines = [line.strip() for line in heard[0]]
    check(lines.count("2 packets received") == 2, f"the guest says {lines}", watched)
    figures, report = figures_of(page), json_of(watched)
    check_exits(figures, report, watched)
    check(figures["vtd.interrupt.remapped"] > 0 and total(figures, r"vtd\.device\..*\.remapped") == figures["vtd.interrupt.remapped"], "remapped interrupts by device", watched)
    for name, n in report["counters"].items():
        found = re.fullmatch(r"vtd\.(device\.[^ ]*|domain\.[0-9a-f]{4})\.(reads|writes|bytes|blocked)", name)
        check(not found or figures.get(name) == n, f"{name}: {figures.get(name)} on the page, {n} in --json", watched)
    for interface, pool in (("eth1", 0), ("eth0", 2)):
        rx, tx = map(int, next(line for line in lines if line.startswith(f"{interface} ")).split()[1:])
        own = figures[f"nic0.pool.{pool}.rx-frames"], figures[f"nic0.pool.{pool}.tx-frames"]
        check(own >= (rx, tx) and own[0] - rx < 10, f"{interface}: {rx} received and {tx} sent; the page says {own}", watched)
    # One frame to the virtual function, from the wire to the processor.
    text = page.read_text()
    ways = re.findall(r"<details class=journey.*?</details>", text, re.S)
    whole = [w for w in ways if "pool 0, nic0vf0" in w and "taken by the VMM, or by the system" in w]
    check(whole, "no frame was followed to the virtual function and on to the processor", watched)
    for step in ("exact address", "descriptor fetched", "frame written", "descriptor written back", "in the ring of nic0vf0", "MSI-X message", "remapped: entry", "takes vector"):
        check(step in whole[0] or any(step in w for w in whole), f"a step is missing: {step}", watched)
    check_same(run(options.vitrine, *arguments), watched)
    return f"{figures['frames']} frames, {len(ways)} of them followed; {figures['vtd.interrupt.remapped']} interrupts remapped"


INNER = """
ip link set eth0 up
ip addr add 10.0.2.21/24 dev eth0
sleep 2
ping -c 5 -q 10.0.2.2 | grep -o '[0-9]* packets received'
grep eth0 /proc/interrupts
echo inner ended
"""
OUTER = """
ip link set eth0 up
sleep 1
echo 1 >/sys/class/net/eth0/device/sriov_numvfs
sleep 1
echo vfio-pci >/sys/bus/pci/devices/0000:01:10.0/driver_override
echo 0000:01:10.0 >/sys/bus/pci/drivers_probe
echo bound $(readlink /sys/bus/pci/devices/0000:01:10.0/driver | sed 's,.*/,,')
qemu-system-x86_64 -machine pc -accel kvm -cpu host -smp 1 -m 256 -nodefaults -no-reboot -display none -serial stdio -kernel /inner/vmlinuz \
    -initrd /inner/initramfs -device vfio-pci,host=0000:01:10.0 -append 'APPEND' </dev/null
echo QEMU $?
grep -E 'PIN|PIW|vfio' /proc/interrupts
"""


def assigned():
    """A virtual function that is a KVM guest's: its frames end in the guest, by posted interrupts and without a VM exit."""
    inner_kernel, inner_initramfs = script_image(INNER, scratch.name, "--modules", "igbvf")
    files = hypervisors.QEMU_FILES | {inner_kernel: "/inner/vmlinuz", inner_initramfs: "/inner/initramfs"}
    added = [word for here, there in files.items() for word in ("--add", f"{here}:{there}")]
    script = OUTER.replace("APPEND", f"console=ttyS0 panic=-1 vitrine.run={encode('sh /script')}")
    kernel, initramfs = script_image(script, scratch.name, "--vmlinux", "--modules", "kvm,kvm_intel,vfio-pci,vfio_iommu_type1,igb", "--with", "qemu-system-x86_64", *added)
    watched = run(options.vitrine, "--vmx", "on", "--iommu", "on", "--kernel", kernel, "--initrd", initramfs, "--memory", "1536M", "--no-reboot", "--json", "--time", "warp",
                  "--append", f"console=ttyS0 panic=-1 intel_iommu=on vitrine.run={encode('sh /script')}",
                  "--net", "lan,kind=user,restrict=on", "--device", "i82576,net=lan", "--report", page, timeout=3600)  # fmt: skip
    (folder / "assigned.out").write_text(watched.stdout)
    (folder / "assigned.err").write_text(watched.stderr)
    check(watched.returncode == 0 and "inner ended" in watched.stdout and "5 packets received" in watched.stdout, "the guest has not reached its end", watched)
    figures, report = figures_of(page), json_of(watched)
    check_exits(figures, report, watched)
    domains = [name for name in figures if re.fullmatch(r"vm\d+\.domain\.\d+\.writes", name)]
    check(len(domains) == 1, f"domains that are known to be the guest's: {domains}", watched)
    check(figures["vtd.device.01:10.0.posted"] > 0, "no interrupt was posted", watched)
    whole = [w for w in re.findall(r"<details class=journey.*?</details>", page.read_text(), re.S) if "its interrupt reached the guest" in w]
    check(any(all(step in w for step in ("exact address", "frame written", "posted: virtual vector", "takes virtual interrupt")) and "inferred" not in w for w in whole), "no frame was followed into the guest", watched)
    return f"{figures['vm-exits']} VM exits, {figures['vtd.device.01:10.0.posted']} interrupts posted, {len(whole)} frames followed into the guest"


print(f"{options.only}: {globals()[options.only]()}")
look(page)
