#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Pane's driver of the 82576 and 82599: stock Debian guests on queue pairs (VMDq) and virtual functions of one adapter, whose files
# arrive whole and whose counters agree with Pane's and with what the adapter has done.

import hashlib
import re
import struct
import time
from collections import Counter

from machines import check, script_image, tiny_guest
from panes import Panes, ended_well, last_report, linux_guest, of_guest
from terminals import Terminal

harness = Panes(["vmdq", "vf", "both", "vlan", "reset", "mailbox", "config"], "Boots Pane with a network adapter.",
                [("--adapter", {"choices": ("i82576", "i82599"), "default": "i82599"})])  # fmt: skip
options, folder = harness.options, harness.folder

FUNCTION_DRIVER = {"i82576": "igbvf", "i82599": "ixgbevf"}[options.adapter]
SIZE = 1 << 20
KINDS = {"switch": 1, "vmdq": 2, "vf": 3}  # and the third byte of their addresses

SET_UP = """
own=$1 other=$2
# Queue pair and virtual function are on one wire: each answers for its own address alone.
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce
for dev in /sys/class/net/eth*; do
    name=${dev##*/} driver=$(readlink $dev/device/driver)
    case "${driver##*/} $(cat $dev/address)" in
        "virtio_net 52:54"*) net=1;;
        virtio_net*) net=2;;
        *) net=3;;
    esac
    ifconfig $name 10.0.$net.$own netmask 255.255.255.0 up
    echo network $net is $name $(cat $dev/address)
    nets="$nets $net:$name"
done
"""

# Each guest asks the other for a file on each network that both have, and waits until the other has got what it wants.
SCRIPT = SET_UP + f"""
mkdir /www
seq 1 400000 | head -c {SIZE} >/www/file
httpd -h /www
for pair in $nets; do
    net=${{pair%:*}}
    until ping -c 1 -W 1 10.0.$net.$other >/dev/null; do :; done
    echo network $net ping $(ping -c 3 10.0.$net.$other | grep -o '[0-9]* packets received')
    echo network $net file $(wget -q -O - http://10.0.$net.$other/file | sha256sum)
done
touch /www/done
until wget -q -O /dev/null http://10.0.$net.$other/done; do sleep 0.2; done
sleep 2
for pair in $nets; do
    cd /sys/class/net/${{pair#*:}}/statistics
    echo network ${{pair%:*}} counts $(cat tx_packets) $(cat tx_bytes) $(cat rx_packets) $(cat rx_bytes)
    ifconfig ${{pair#*:}} down
done
"""
DIGEST = hashlib.sha256("".join(f"{n}\n" for n in range(1, 400001)).encode()[:SIZE]).hexdigest()


def guests(lines, top, numbers=((1, 2), (2, 1)), script=SCRIPT, iommu=True, properties=""):
    """Two stock Debian guests with these lines of configuration, and what they said by network."""
    kernel, initramfs = script_image(script, folder, "--vmlinux", "--modules", f"virtio_mmio,virtio_net,{FUNCTION_DRIVER}")
    rows = [linux_guest(name, kernel, initramfs, f"sh /script {number} {other}", *own)
            for name, own, (number, other) in zip(("alpha", "beta", "gamma"), lines, numbers)]  # fmt: skip
    adapter = ["--device", f"{options.adapter},net=lan{properties}", "--trace", "vtc", "--trace-file", folder / "trace"]
    finished = harness.run(harness.config("network.txt", *rows, lines=top), kernel, initramfs, cpus=2, memory="1G", stop=60,
                           more=["--net", "lan,kind=switch", *adapter, *(["--iommu", "on"] if iommu else [])])  # fmt: skip
    ended_well(finished, [name for name, *_ in rows])
    said = {}
    for name, *_ in rows:
        check("VITRINE-RUN-END status 0" in of_guest(finished, name), f"the command of {name} failed", finished)
        said[name] = {}
        for net, what, value in re.findall(rf"^\[{name}\] network (\d) (\w+) (.*)$", finished.stdout, re.M):
            said[name].setdefault(int(net), {})[what] = value
    return finished, said


def of_adapter(trace):
    """Frames by pool that the adapter has delivered and sent, as it tells itself."""
    got, sent = Counter(), Counter()
    text = trace.read_text()
    got.update(int(pool, 16) for pool in re.findall(r" vtc (?:received|looped) .*? pool=([0-9a-f]+)", text))
    sent.update(int(pool, 16) for pool in re.findall(r" vtc sent .*? pool=([0-9a-f]+)", text))
    return got, sent


def check_files(finished, said, kinds):
    for guest, networks in said.items():
        for kind in kinds:
            n = networks.get(KINDS[kind], {})
            check(n.get("ping") == "3 packets received", f"{guest} has not been answered by {kind}: {n}", finished)
            check(n.get("file", "").split()[:1] == [DIGEST], f"the file that {guest} has got by {kind} is wrong: {n}", finished)


def check_pool(finished, guest, counts):
    report = last_report(finished)
    numbers = re.search(rf"^\[{guest}\] VMDq pool (\d+), \S+: from the guest (\d+) \((\d+) bytes\), to it (\d+) \((\d+) bytes\), interrupts (\d+), "
                        r"ring full (\d+), damaged (\d+)$", report, re.M)  # fmt: skip
    check(numbers, f"no pool of {guest} is in the report", finished)
    pool, sent, sent_bytes, got, got_bytes, interrupts, waits, damaged = map(int, numbers.groups())
    virtio = re.search(rf"^\[{guest}\] virtio vmdq +from the guest (\d+) \((\d+) bytes\), to it (\d+) \((\d+) bytes\), interrupts \d+, dropped (\d+)$", report, re.M)
    *passed, dropped = map(int, virtio.groups())
    check(passed == counts, f"{guest} counts {counts} packets and bytes sent and received, Pane {passed}", finished)
    check([sent, sent_bytes] == counts[:2] and got == counts[2] + dropped and damaged == 0, f"pool {pool} of {guest}: {numbers[0]}; the guest: {counts}", finished)
    delivered, sent_by_adapter = of_adapter(folder / "trace")
    check((sent, got) == (sent_by_adapter[pool], delivered[pool]), f"pool {pool}: the adapter has sent {sent_by_adapter[pool]} frames and delivered "
          f"{delivered[pool]}, Pane counts {sent} and {got}", finished)  # fmt: skip
    check(0 < interrupts <= got + waits, f"pool {pool}: {interrupts} interrupts for {got} frames", finished)
    return f"pool {pool}: {sent} frames out, {got} in, {interrupts} interrupts"


def check_function(finished, guest, counts):
    report = last_report(finished)
    row = re.search(rf"^\[{guest}\] VF (\d+) VFGPRC (\d+), VFGORC (\d+), VFGPTC (\d+), VFGOTC (\d+), VFMPRC (\d+)$", report, re.M)
    mail = re.search(rf"^\[{guest}\] VF (\d+) at \S+ \S+: mailbox messages (\d+), refused (\d+), resets (\d+), silenced (\d+), spoofed (\d+)$", report, re.M)
    check(row and mail and row[1] == mail[1], f"no virtual function of {guest} is in the report", finished)
    number, got, got_bytes, sent, sent_bytes, _ = map(int, row.groups())
    check((sent, got, got_bytes) == (counts[0], counts[2], counts[3]), f"{guest} counts {counts}, its virtual function {row[0]}", finished)
    check(counts[1] <= sent_bytes <= counts[1] + 18 * sent, f"{guest} counts {counts}, its virtual function {row[0]}", finished)  # short frames are padded
    delivered, sent_by_adapter = of_adapter(folder / "trace")
    check((sent, got) == (sent_by_adapter[number], delivered[number]), f"virtual function {number}: the adapter tells of {sent_by_adapter[number]} and "
          f"{delivered[number]} frames", finished)  # fmt: skip
    messages, refused, resets, silenced, spoofed = map(int, mail.groups()[1:])
    check(messages > refused and resets >= 1 and silenced == 0 and spoofed == 0, f"the mailbox of {guest}: {mail[0]}", finished)
    return f"VF {number}: {sent} frames out, {got} in, {messages} messages"


def counts_of(said, guest, kind):
    """Packets and bytes sent, packets and bytes received; a file has gone each way."""
    counts = list(map(int, said[guest][KINDS[kind]]["counts"].split()))
    check(counts[1] > SIZE and counts[3] > SIZE, f"the file of {guest} has not gone by {kind}: {counts}")
    return counts


def check_quiet(finished):
    check(re.search(r"^adapter \S+ link up, .* frames refused as spoofed 0, missed 0$", last_report(finished), re.M), "the adapter has lost something", finished)


def vmdq():
    """On the last two pools: all others are virtual functions', which nobody has."""
    functions = {"i82576": 6, "i82599": 62}[options.adapter]
    finished, said = guests([["network vmdq"]] * 2, [f"adapter any virtual-functions {functions}"], iommu=False)
    check_files(finished, said, ["vmdq"])
    check_quiet(finished)
    for guest in said:
        print(f"{options.adapter}, {guest}: " + check_pool(finished, guest, counts_of(said, guest, "vmdq")))


def vf():
    finished, said = guests([["device vf"]] * 2, ["adapter 01:00.0 virtual-functions 2"])
    check_files(finished, said, ["vf"])
    check_quiet(finished)
    for guest in said:
        print(f"{options.adapter}, {guest}: " + check_function(finished, guest, counts_of(said, guest, "vf")))


def both():
    """A software switch, a queue pair and a virtual function in each guest, at the same time."""
    finished, said = guests([["network", "network vmdq", "device vf"]] * 2, ["adapter any virtual-functions 2"])
    check_files(finished, said, KINDS)
    check_quiet(finished)
    for guest in said:
        print(f"{options.adapter}, {guest}: " + check_pool(finished, guest, counts_of(said, guest, "vmdq")))
        print(f"{options.adapter}, {guest}: " + check_function(finished, guest, counts_of(said, guest, "vf")))
        told = re.search(rf"^\[{guest}\] virtio network +from the guest (\d+) \((\d+) bytes\), to it (\d+) \((\d+) bytes\)", last_report(finished), re.M)
        check(list(map(int, told.groups())) == counts_of(said, guest, "switch"), f"the switch: {told[0]}, {guest} {said[guest]}", finished)


RESET_SCRIPT = SET_UP + """
for pair in $nets; do
    until ping -c 1 -W 1 10.0.${pair%:*}.$other >/dev/null; do :; done
    echo guest $own: network ${pair%:*} is answered
done
while :; do
    ping -c 1 -W 1 10.0.2.$other >/dev/null
    sleep 0.2
done
"""


def reset():
    """A guest is reset while it uses both, and ended while it is asked: in each further life it has them again."""
    kernel, initramfs = script_image(RESET_SCRIPT, folder, "--vmlinux", "--modules", f"virtio_mmio,virtio_net,{FUNCTION_DRIVER}")
    rows = [linux_guest(name, kernel, initramfs, f"sh /script {number} {3 - number}", "network vmdq", "device vf", "ends stopped")
            for name, number in (("alpha", 1), ("beta", 2))]  # fmt: skip
    modules = [word for m in (harness.config("reset.txt", *rows, lines=["adapter any virtual-functions 2"]), kernel, initramfs) for word in ("--module", m)]
    t = Terminal(options.vitrine, "run", "--vmx", "on", "--kernel", options.pane, *modules, "--memory", "1G", "--cpus", 2, "--debug-exit", "0xf4", "--iommu",
                 "on", "--net", "lan,kind=switch", "--device", f"{options.adapter},net=lan", *(["--stale", "max"] if options.stale else []))  # fmt: skip
    one, other = (f"guest {n}: network 3 is answered" for n in (1, 2))
    t.until(f"(?s){one}.*{other}|{other}.*{one}", seconds=400)
    t.type("\x14p")
    t.until("pane> ")
    t.type("reset alpha\r")
    t.until(one, seconds=400)
    t.type("stop alpha\r")
    t.until("guest 'alpha' has ended: stopped")
    time.sleep(3)  # beta goes on asking
    t.type("reset alpha\r")
    t.until(one, seconds=400)
    t.type("stop alpha\rstop beta\r")
    said = t.until("PANE-DONE all guests ended as they should").replace("\r", "")
    check(t.end() == 0, f"Pane at a terminal: {said}")
    resets = {guest: int(n) for guest, n in re.findall(r"^\[(\w+)\] VF \d at .* resets (\d+),", said, re.M)}
    check(resets["alpha"] > resets["beta"] > 0, f"resets of virtual functions: {resets}\n{said}")
    check(re.search(r"^adapter \S+ link up, .* frames refused as spoofed 0, missed 0$", said, re.M), said)
    print(f"{options.adapter}: a guest is reset, and has its queue pair and its virtual function again")


VLAN_SCRIPT = """
ifconfig eth0 10.0.2.$1 netmask 255.255.255.0 up
answers() { ping "$@" | grep -o '[0-9]* packets received'; }
if [ $1 = 3 ]; then
    sleep 3
    echo network 2 ping $(answers -c 2 -W 1 10.0.2.$2)
    ifconfig eth0 down hw ether 52:50:54:00:00:00
    ifconfig eth0 10.0.2.$1 up
    echo network 2 spoof $(answers -c 2 -W 1 10.0.2.$2)
else
    until ping -c 1 -W 1 10.0.2.$2 >/dev/null; do :; done
    echo network 2 ping $(answers -c 3 10.0.2.$2)
    sleep 9
fi
"""


def vlan():
    """Two guests on a VLAN of which they do not know, a third outside, which then sends in another's name."""
    capture = folder / "capture"
    finished, said = guests([["network vmdq vlan 5"], ["network vmdq vlan 5"], ["network vmdq"]], ["adapter any"], numbers=((1, 2), (2, 1), (3, 1)),
                            script=VLAN_SCRIPT, iommu=False, properties=f",pcap={capture}")  # fmt: skip
    for guest, answers in (("alpha", 3), ("beta", 3), ("gamma", 0)):
        check(said[guest][2]["ping"] == f"{answers} packets received", f"{guest} has had other than {answers} answers: {said}", finished)
    check(said["gamma"][2]["spoof"] == "0 packets received", f"gamma is answered with another's address: {said}", finished)
    tags = {}
    for frame in frames_of(capture):
        tags.setdefault(frame[6:12].hex(":"), set()).add(int.from_bytes(frame[14:16], "big") & 0xFFF if frame[12:14] == b"\x81\x00" else 0)
    check(tags == {"52:50:54:00:00:00": {5}, "52:50:54:00:00:01": {5}, "52:50:54:00:00:02": {0}}, f"VLANs on the wire by source: {tags}", finished)
    refused = int(re.search(r"frames refused as spoofed (\d+)", last_report(finished))[1])
    told = len(re.findall(r" vtc spoofed .* pool=2 why=source address is not the pool's", (folder / "trace").read_text()))
    check(refused == told and refused >= 2, f"Pane tells of {refused} spoofed frames, the adapter of {told}", finished)
    print(f"{options.adapter}: VLAN 5 is closed, {refused} frames in another's name refused")


def frames_of(capture):
    data, at, found = capture.read_bytes(), 24, []
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


ATTEMPTS = {"a question before the beginning is refused": 1, "the beginning is granted": 1, "its own address is granted": 1,
            "its neighbour's address is refused": 1, "too many multicast addresses are granted": 1, "a network that is another guest's is refused": 1,
            "a network that is nobody's is granted": 1, "long frames are refused": 1, "unknown questions answered": 240, "unknown questions granted": 0,
            "an answer comes although the mailbox is held": 1, "questions without an end": 1, "acknowledgements without an end": 1,
            "resets without an end": 1, "it is heard again": 1}  # fmt: skip


def mailbox():
    """A virtual function whose guest asks without an end costs Pane a bounded work, which is on that guest's account."""
    hostile, witness = tiny_guest("pane_mailbox.c", folder), tiny_guest("pane_escape.c", folder)
    top = ["adapter any virtual-functions 2"]
    rows = [("hostile", "memory 4M", f"kernel {hostile.name}", "device vf"),
            ("witness", "memory 4M", f"kernel {witness.name}", "cmdline witness", "network vmdq vlan 5")]  # fmt: skip
    finished = harness.run(harness.config("mailbox.txt", *rows, lines=top), hostile, witness, memory="256M",
                           more=["--iommu", "on", "--net", "lan,kind=switch", "--device", f"{options.adapter},net=lan"])  # fmt: skip
    ended_well(finished, ["hostile", "witness"])
    for what, value in ATTEMPTS.items():
        check(f"{what}: {value}" in of_guest(finished, "hostile"), f"the hostile guest does not say '{what}: {value}'", finished)
    check("words of the witness that have changed: 0" in of_guest(finished, "witness"), "the witness", finished)
    report = last_report(finished)
    mail = re.search(r"^\[hostile\] VF 0 at \S+ \S+: mailbox messages (\d+), refused (\d+), resets (\d+), silenced (\d+), spoofed 0$", report, re.M)
    messages, refused, resets, silenced = map(int, mail.groups())
    milliseconds = int(re.search(r"^hostile .* ran \d+ ms of (\d+) ms", report, re.M)[1])
    check(silenced >= 5 and messages <= 17 * (milliseconds + 1) and refused > 200, f"{mail[0]} in {milliseconds} ms", finished)
    interrupts, deafened = map(int, re.search(r"interrupts for mailboxes and link (\d+), deafened (\d+),", report).groups())
    check(deafened >= 5 and interrupts <= 42 * (milliseconds + 1), f"{interrupts} interrupts in {milliseconds} ms, deafened {deafened} times", finished)
    print(f"{options.adapter}: {messages} messages, {refused} refused, {silenced} times silenced, {interrupts} interrupts, {deafened} times deafened")


def config():
    image = tiny_guest("pane_8259.c", folder)
    guest = ("a", "memory 4M", f"kernel {image.name}")
    adapter = ["--net", "lan,kind=switch", "--device", f"{options.adapter},net=lan"]
    wrong = [
        (["adapter 1:0"], guest, adapter, "2:9: '1:0' is no place on the PCI bus; one is 01:00.0"),
        (["adapter any functions"], guest, adapter, "2:13: 'functions' is too much on this line"),
        (["adapter any virtual-functions 64"], guest, adapter, "the number of virtual functions must lie between 1 and 63"),
        ([], (*guest, "network vmdq"), adapter, "guest 'a' has a network of the adapter's, and no line names the adapter"),
        (["adapter any"], (*guest, "network vmdq vlan 4095"), adapter, "the VLAN must lie between 1 and 4094"),
        (["adapter any"], (*guest, *["network"] * 5), adapter, "guest 'a' has 4 networks already"),
        (["adapter any"], guest, [], "there is neither an 82576 (8086:10c9) nor an 82599 (8086:10fb)"),
        (["adapter 02:00.0"], guest, adapter, "the configuration names the adapter 02:00.0, and"),
        (["adapter any virtual-functions 63"], (*guest, "network vmdq", "network vmdq"), adapter, "pools: too few for 63 virtual functions and 2 networks of guests"),
        (["adapter any virtual-functions 1"], (*guest, "device 01:00.0"), ["--iommu", "on", *adapter], "cannot have device 01:00.0: Pane drives it itself"),
    ]  # fmt: skip
    for top, lines, more, message in wrong:
        finished = harness.run(harness.config("wrong.txt", lines, lines=top), image, memory="64M", stop=1, more=more)
        check(message in finished.stdout, f"a wrong configuration should be told as '{message}'", finished)
    print(f"configuration: {len(wrong)} errors told")


{part.__name__: part for part in (vmdq, vf, both, vlan, reset, mailbox, config)}[options.only]()
