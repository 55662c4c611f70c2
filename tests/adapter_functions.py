#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Virtual functions under the stock drivers: all of them at once behind the IOMMU; traffic among them, the physical function and the outside;
# what they must not send or hear, tried with crafted frames; the physical function's settings for them; coming and going under traffic.

import argparse
import re
import tempfile
from pathlib import Path

import crafted
from adapter_machine import DRIVERS, FUNCTIONS, check_quiet, devices, run_script
from machines import check

parser = argparse.ArgumentParser(description="Virtual functions.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--adapter", choices=DRIVERS, default="i82576")
parser.add_argument("--only", choices=("all", "switch", "churn"), required=True)
options = parser.parse_args()
driver, most = DRIVERS[options.adapter], FUNCTIONS[options.adapter]
# The other adapter is the outside. It comes second on the bus, so that eth0 is the one under test.
outside = next(name for name in DRIVERS if name != options.adapter)
ixgbe = driver == "ixgbe"

ALL = f"""
ip link set eth0 up
carrier eth0
echo {most} >/sys/class/net/eth0/device/sriov_numvfs
echo enabled $(cat /sys/class/net/eth0/device/sriov_numvfs)
modprobe {driver}vf
sleep 2
cd /sys/bus/pci/drivers/{driver}vf
echo driven $(ls -d 0000:* | wc -l)
echo groups $(for f in 0000:*; do readlink $f/iommu_group; done | sort -u | wc -l)
echo shared $(for f in 0000:*; do ls $f/iommu_group/devices | wc -l; done | sort -u)
cd /root
for n in $(seq 0 {most - 1}); do
    dev=$(ls /sys/class/net/eth0/device/virtfn$n/net)
    ip link set $dev up
    [ $n -lt 3 -o $n = {most - 1} ] && ip addr add 10.1.$n.1/24 dev $dev
done
sleep 3
echo links $(for n in $(seq 0 {most - 1}); do cat /sys/class/net/$(ls /sys/class/net/eth0/device/virtfn$n/net)/carrier; done | grep -c 1)
echo 0 >/sys/class/net/eth0/device/sriov_numvfs
sleep 1
echo left $(ls /sys/bus/pci/devices | grep -c 0000:01:1)
dmesg | grep -c 'DMAR.*fault' | sed 's/^/faults /'
warnings '{driver}|DMAR'
"""

# Four functions in namespaces v0 to v3, the outside in namespace o; addresses 10.1.0.1 (physical), .10 to .13, .100 (outside).
NAMESPACES = f"""
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
in_() {{ ns=$1; shift; ip netns exec $ns "$@"; }}
namespace() {{ # name, interface, address
    ip netns add $1 2>/dev/null
    in_ $1 sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up'
    ip link set $2 netns $1
    in_ $1 ip link set $2 name e
    in_ $1 ip addr add $3/24 dev e
    in_ $1 ip link set e up
}}
namespace o eth1 10.1.0.100
ip addr add 10.1.0.1/24 dev eth0
ip link set eth0 up
carrier eth0
functions() {{
    echo 4 >/sys/class/net/eth0/device/sriov_numvfs
    for n in 0 1 2 3; do ip link set eth0 vf $n mac 02:56:00:00:00:1$n; done
    modprobe {driver}vf 2>/dev/null
    sleep 1
    for n in 0 1 2 3; do
        f=$(basename $(readlink /sys/class/net/eth0/device/virtfn$n))
        # A driver takes the address that its function has when it begins.
        echo $f >/sys/bus/pci/drivers/{driver}vf/unbind
        echo $f >/sys/bus/pci/drivers/{driver}vf/bind
        namespace v$n $(ls /sys/class/net/eth0/device/virtfn$n/net) 10.1.0.1$n
    done
    carrier eth0
    sleep 3
}}
up() {{ in_ $1 cat /sys/class/net/e/carrier; }}
until_up() {{ n=0; until [ "$(up $1)" = 1 ] || [ $n = 300 ]; do sleep 0.1; n=$((n + 1)); done; echo $(up $1); }}
try() {{ echo "ping $1 $(in_ $2 ping -c 2 -q -W 1 $3 | grep -o '[0-9]* packets received')"; }}
"""

P, O, V = "02:56:49:54:00:00", "02:56:49:54:00:01", [f"02:56:00:00:00:1{n}" for n in range(4)]
STRANGER = "02:99:99:99:99:99"


def frame(to, source, mark, tag=None):
    return crafted.ethernet(to, source, bytes([mark]) * 46, tag=tag)


# name: who sends, who listens, the frame, whether it is heard
PLAIN = {
    "vf-to-vf": ("v1", "v0", frame(V[0], V[1], 0x11), True),
    "not-for-it": ("v1", "v2", frame(V[0], V[1], 0x12), False),
    "outside-to-vf": ("o", "v0", frame(V[0], O, 0x13), True),
    "vf-to-outside": ("v0", "o", frame(O, V[0], 0x14), True),
    "broadcast": ("v1", "v0", frame("ff:ff:ff:ff:ff:ff", V[1], 0x15), True),
    "outside-to-stranger": ("o", "v0", frame(STRANGER, O, 0x16), False),
    "spoofed-to-vf": ("v1", "v0", frame(V[0], STRANGER, 0x17), False),
    "spoofed-to-outside": ("v1", "o", frame(O, P, 0x18), False),
    "spoofed-as-another": ("v1", "o", frame(O, V[2], 0x19), False),
}
UNCHECKED = {"unchecked-to-vf": ("v1", "v0", frame(V[0], STRANGER, 0x21), True), "unchecked-to-outside": ("v1", "o", frame(O, STRANGER, 0x22), True)}
# Functions 0 and 2 are in VLAN 10, 1 in VLAN 20; the outside sees tags.
VLANS = {
    "same-vlan": ("v2", "v0", frame(V[0], V[2], 0x31), True),
    "other-vlan": ("v1", "v0", frame(V[0], V[1], 0x32), False),
    "other-vlan-broadcast": ("v1", "v0", frame("ff:ff:ff:ff:ff:ff", V[1], 0x33), False),
    "tagged-from-outside": ("o", "v0", frame(V[0], O, 0x34, 10), True),
    "untagged-from-outside": ("o", "v0", frame(V[0], O, 0x35), False),
    "wrong-tag-from-outside": ("o", "v0", frame(V[0], O, 0x36, 20), False),
    "tag-of-its-own": ("v1", "v0", frame(V[0], V[1], 0x37, 10), False),
    "to-outside": ("v0", "o", frame(O, V[0], 0x38), True),
}


def tries(table):
    text = ""
    for name, (sender, listener, data, _) in table.items():
        text += f"""
in_ {listener} frames listen e 0.6 88b5 >/tmp/heard &
sleep 0.3
in_ {sender} frames send e {data} 2 >/dev/null
wait $!
echo "heard {name} $(grep -c {data[28:48] if data[24:28] == '88b5' else data[36:56]} /tmp/heard) $(sed -n 's/.*\\(vlan [-0-9]*\\).*/\\1/p' /tmp/heard | head -1)"
"""
    return text


SWITCH = f"""{NAMESPACES}
functions
for n in 0 1 2 3; do echo up $n $(until_up v$n); done
ip link show eth0 | grep -o 'vf [0-9].*' | sed 's/^/shown /'
try vf-vf v0 10.1.0.11
try vf-pf v0 10.1.0.1
try vf-outside v0 10.1.0.100
echo "ping pf-outside $(ping -c 2 -q 10.1.0.100 | grep -o '[0-9]* packets received')"
in_ v1 iperf3 -s >/dev/null 2>&1 &
in_ o iperf3 -s >/dev/null 2>&1 &
sleep 0.5
in_ v0 iperf3 -c 10.1.0.11 -n 2M -P 2 >/dev/null 2>&1; echo "stream vf-vf $?"
in_ v0 iperf3 -c 10.1.0.100 -n 2M >/dev/null 2>&1; echo "stream vf-outside $?"
in_ v0 iperf3 -c 10.1.0.100 -n 2M -R >/dev/null 2>&1; echo "stream outside-vf $?"
iperf3 -c 10.1.0.11 -n 2M >/dev/null 2>&1; echo "stream pf-vf $?"
warnings
{tries(PLAIN)}
sleep 3
dmesg -c | grep -iE 'spoof' | sed 's/^/spoof /'
ip link set eth0 vf 1 spoofchk off
{tries(UNCHECKED)}
ip link set eth0 vf 1 spoofchk on
# A rate.
ip link set eth0 vf 0 max_tx_rate 50
in_ v0 iperf3 -c 10.1.0.100 -n 1M -f m | sed -n 's/.* \\([0-9.]*\\) Mbits.sec .*receiver/rate limited \\1/p'
ip link set eth0 vf 0 max_tx_rate 0
in_ v0 iperf3 -c 10.1.0.100 -n 1M -f m | sed -n 's/.* \\([0-9.]*\\) Mbits.sec .*receiver/rate free \\1/p'
# The link: {"the port's settings for a function, then " if ixgbe else ""}the physical function's own.
{'''ip link set eth0 vf 0 state disable
sleep 1
echo "link disabled $(up v0) $(up v1)"
ip link set eth0 vf 0 state auto
sleep 1
echo "link auto $(until_up v0)"''' if ixgbe else ""}
ip link set eth0 down
sleep 5
echo "link down $(up v0) $(up v1)"
ip link set eth0 up
carrier eth0
echo "link again $(until_up v0) $(until_up v1)"
warnings
try after-link v0 10.1.0.11
ip link set eth0 vf 2 trust on && echo trusted
# VLANs of functions.
for n in 0 2; do ip link set eth0 vf $n vlan 10; done
ip link set eth0 vf 1 vlan 20
sleep 2
for n in 0 1 2; do in_ v$n ip link set e down; in_ v$n ip link set e up; done
for n in 0 1 2; do echo up $n $(until_up v$n); done
in_ o ip link add link e name e10 type vlan id 10
in_ o ip link set e10 up
in_ o ethtool -K e rx-vlan-filter off >/dev/null 2>&1
sleep 2
dmesg -c >/dev/null
{tries(VLANS)}
for n in 0 1 2; do ip link set eth0 vf $n vlan 0; done
echo ended
"""

CHURN = f"""{NAMESPACES}
functions
in_ o iperf3 -s >/dev/null 2>&1 &
sleep 0.5
iperf3 -c 10.1.0.100 -t 15 -b 5M >/tmp/stream 2>&1 &
stream=$!
for round in 1 2 3; do
    # Until its device is gone.
    (while in_ v0 frames send e {frame(V[1], V[0], 0x41)} 200; do :; done) >/dev/null 2>&1 &
    (while in_ v1 frames send e {frame(O, V[1], 0x42)} 200; do :; done) >/dev/null 2>&1 &
    sleep 0.05
    echo 0 >/sys/class/net/eth0/device/sriov_numvfs
    echo "gone $(ls /sys/bus/pci/devices | grep -c 0000:01:1)"
    functions
    echo "round $round $(until_up v0)$(until_up v3)"
    try back-$round v0 10.1.0.100
    try between-$round v1 10.1.0.13
done
wait $stream
echo "stream $?"
grep receiver /tmp/stream | sed 's/^/pf /'
warnings
"""

# igb 6.1 looks at the address of a request to clear all filters, which has none, and igbvf asks so each time it comes up; and igbvf sets its
# address even if the physical function has given it one.
habits = [] if ixgbe else ["attempted to set invalid MAC filter", "requested MAC filter but is administratively denied", "Reload the VF driver",
                           "attempted to override administratively set MAC address"]  # fmt: skip
warned = ["spoof", "Spoof", *habits]
with tempfile.TemporaryDirectory() as folder:
    scripts = {"all": ALL, "switch": SWITCH, "churn": CHURN}
    more = {"all": ["--iommu", "on"]}.get(options.only, [])
    lines, finished = run_script(options.vitrine, scripts[options.only], devices(options.adapter, outside), *more, modules=[driver, DRIVERS[outside]],
                                 carry=[f"{driver}vf", "8021q"], add=[crafted.program(folder)], memory="1G",
                                 append="intel_iommu=on" if more else "")  # fmt: skip
said = "\n".join(lines)


def expect(line):
    check(line in lines, f"missing: {line}", finished)


if options.only == "all":
    check_quiet(lines, finished, *habits)
    for line in (f"enabled {most}", f"driven {most}", f"groups {most}", "shared 1", f"links {most}", "left 0", "faults 0"):
        expect(line)
    print(f"{most} functions, as many drivers and IOMMU groups, all with link")
elif options.only == "switch":
    check_quiet(lines, finished, *warned)
    for name in ("vf-vf", "vf-pf", "vf-outside", "pf-outside", "after-link"):
        expect(f"ping {name} 2 packets received")
    for name in ("vf-vf", "vf-outside", "outside-vf", "pf-vf"):
        expect(f"stream {name} 0")
    heard = {name: (int(n), rest) for name, n, rest in re.findall(r"^heard (\S+) (\d+) ?(.*)$", said, re.M)}
    for name, (_, _, _, wanted) in (PLAIN | UNCHECKED | VLANS).items():
        check(name in heard and (heard[name][0] == 2) == wanted and heard[name][0] in (0, 2), f"{name}: heard {heard.get(name)}", finished)
    check(heard["to-outside"][1] == "vlan 10", f"the function's VLAN outside: {heard['to-outside']}", finished)
    check(heard["same-vlan"][1] == "vlan -1" and heard["tagged-from-outside"][1] == "vlan -1", "a function sees its port VLAN's tag", finished)
    check("spoof " in said, "the driver does not say that somebody spoofs", finished)
    check(len(re.findall(r"^shown vf \d .*02:56:00:00:00:1\d.*spoof checking on", said, re.M)) == 4, "ip link shows something else", finished)
    rates = {name: float(n) for name, n in re.findall(r"^rate (\S+) ([\d.]+)$", said, re.M)}
    check(35 < rates["limited"] < 52 and rates["free"] > 100, f"rates: {rates}", finished)
    if ixgbe:
        expect("link disabled 0 1")
        expect("link auto 1")
    for line in ("link down 0 0", "link again 1 1", "trusted", "ended"):
        expect(line)
    check(lines.count("up 0 1") == 2, "links", finished)
    print(f"{len(heard)} crafted frames as they should be; rates {rates} Mb/s")
else:
    check_quiet(lines, finished, *habits)
    for n in (1, 2, 3):
        for line in (f"round {n} 11", f"ping back-{n} 2 packets received", f"ping between-{n} 2 packets received"):
            expect(line)
    check(lines.count("gone 0") == 3, "functions are left", finished)
    expect("stream 0")
    print(next(line for line in lines if line.startswith("pf ")))
