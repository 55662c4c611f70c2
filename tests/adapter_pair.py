#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The two adapters of one machine talk to each other through their stock drivers, each in a network namespace of its own: streams of TCP and UDP
# both ways, jumbo frames, VLANs, offloads. The receiving kernel verifies every checksum itself, and each frame sent is a frame received.

import argparse
import re
from pathlib import Path

from adapter_machine import check_quiet, devices, run_script, values
from machines import check

parser = argparse.ArgumentParser(description="Two adapters on one wire.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--bytes", default="4M", help="of each run of iperf3")
options = parser.parse_args()

SCRIPT = f"""
apart eth1
for n in '' b; do $n ethtool -K eth$([ "$n" ] && echo 1 || echo 0) rx off lro off gro on 2>/dev/null; done
ip addr add 10.1.0.1/24 dev eth0
b ip addr add 10.1.0.2/24 dev eth1
ip link set eth0 up
b ip link set eth1 up
carrier eth0
b sh -c 'n=0; until [ "$(cat /sys/class/net/eth1/carrier)" = 1 ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done'
b iperf3 -s >/dev/null 2>&1 &
sleep 0.5
stream() {{ # name, options
    what=$1; shift
    iperf3 -c 10.1.0.2 -f m "$@" >/tmp/out 2>&1
    echo "status $what $?"
    sed -n 's/.*sec  *\\([0-9.]* [KMG]*Bytes\\) .* \\([0-9]*\\/[0-9]*\\) .*receiver/lost '"$what"' \\2/p' /tmp/out | tail -1
}}
account() {{ # when, what
    sleep 0.5
    echo "$1 $2 $(value eth0 tx_packets) $(b ethtool -S eth1 | sed -n 's/^ *rx_pkts_nic: //p') $(b ethtool -S eth1 | sed -n 's/^ *tx_pkts_nic: //p') $(value eth0 rx_packets)"
}}
# A driver's counters begin anew when it resets its adapter, which a new MTU makes it do.
for mtu in 1500 9000; do
    ip link set eth0 mtu $mtu
    b ip link set eth1 mtu $mtu
    carrier eth0
    sleep 3
    account before $mtu
    echo "ping $mtu $(ping -c 2 -q -s $((mtu - 28)) 10.1.0.2 | grep -o '[0-9]* packets received')"
    for streams in 1 8; do
        stream tcp-out-$streams-$mtu -P $streams -n {options.bytes}
        stream tcp-in-$streams-$mtu -P $streams -n {options.bytes} -R
        stream udp-out-$streams-$mtu -P $streams -n 512K -u -b 20M
        stream udp-in-$streams-$mtu -P $streams -n 512K -u -b 20M -R
    done
    account after $mtu
done
for n in 5 6; do
    ip link add link eth0 name v$n type vlan id $n
    ip addr add 10.1.$n.1/24 dev v$n
    ip link set v$n up
done
b ip link add link eth1 name v5 type vlan id 5
b ip addr add 10.1.5.2/24 dev v5
b ip link set v5 up
sleep 1
account before vlan
echo "ping vlan5 $(ping -c 2 -q -s 8000 10.1.5.2 | grep -o '[0-9]* packets received')"
echo "ping vlan6 $(ping -c 2 -q -W 1 10.1.6.2 | grep -o '[0-9]* packets received')"
iperf3 -c 10.1.5.2 -n {options.bytes} >/dev/null 2>&1
echo "status vlan $?"
ethtool -K eth0 tso off gso off tx off txvlan off rxvlan off 2>/dev/null
b ethtool -K eth1 tso off gso off tx off txvlan off rxvlan off 2>/dev/null
iperf3 -c 10.1.5.2 -n 1M >/dev/null 2>&1
echo "status plain $?"
echo "ping plain $(ping -c 2 -q -s 8000 10.1.5.2 | grep -o '[0-9]* packets received')"
account after vlan
for n in '' b; do
    name=${{n:-a}}
    $n awk '/^(Ip|Tcp|Udp):/ {{ if (key[$1]) {{ for (i = 2; i <= NF; i++) if (names[$1, i] ~ /InHdrErrors|InCsumErrors|InErrs/) print "checksum '$name'", $1 names[$1, i], $i }}
        else {{ key[$1] = 1; for (i = 2; i <= NF; i++) names[$1, i] = $i }} }}' /proc/net/snmp
done
echo segmented $(value eth0 tx_tcp_seg_good)
ethtool -S eth0 | sed 's/^/count0 /' | grep -E 'err|drop|miss|fail|no_buffer|timeout' | grep -v ': 0$'
b ethtool -S eth1 | sed 's/^/count1 /' | grep -E 'err|drop|miss|fail|no_buffer|timeout' | grep -v ': 0$'
warnings
"""

lines, finished = run_script(options.vitrine, SCRIPT, devices("i82576", "i82599"), modules=["igb", "ixgbe"], carry=["8021q"])
check_quiet(lines, finished)
said = "\n".join(lines)
streams = [f"{kind}-{way}-{n}-{mtu}" for mtu in (1500, 9000) for n in (1, 8) for kind in ("tcp", "udp") for way in ("out", "in")]
for name in (*streams, "vlan", "plain"):
    check(f"status {name} 0" in lines, f"iperf3 {name} has failed", finished)
lost = dict(re.findall(r"^lost (\S+) (\d+)/\d+$", said, re.M))
check(len(lost) == 8 and set(lost.values()) == {"0"}, f"datagrams that were lost: {lost}", finished)
for size in ("1500", "9000", "vlan5", "plain"):
    check(f"ping {size} 2 packets received" in lines, f"ping {size} has failed", finished)
check("ping vlan6 0 packets received" in lines, "a VLAN that the other side does not have was answered", finished)
wrong = re.findall(r"^checksum .* (?!0$)\d+$", said, re.M)
check(said.count("checksum ") >= 6 and not wrong, f"the kernel finds wrong packets: {wrong}", finished)
counted = values(lines)
accounts = {(when, what): [int(n) for n in numbers.split()] for when, what, numbers in re.findall(r"^(before|after) (\S+) ([\d ]+)$", said, re.M)}
frames = {}
for what in ("1500", "9000", "vlan"):
    sent, received, back, heard = (a - b for a, b in zip(accounts["after", what], accounts["before", what]))
    unheard = 3 if what == "vlan" else 0  # the other side's filter stops the search for somebody in VLAN 6
    check(sent == received + unheard and back == heard and sent > 100, f"frames are not accounted for: {what}, {sent} {received} {back} {heard}", finished)
    frames[what] = sent + back
check(int(counted["segmented"]) > 0, "nothing was segmented by the adapter", finished)
check("count0" not in said and "count1" not in said, "counters of errors", finished)
print(f"{len(streams)} streams, frames {frames}, all received; {counted['segmented']} segmentations")
