#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Filters for flows: the 82599's flow director with the signatures that its driver learns from what it sends, and with perfect filters (masks,
# drop) that ethtool sets and crafted frames meet. The hashes are the driver's, so a wrong one in the adapter finds nothing. igb offers no such
# filters for the 82576.

import argparse
import re
import tempfile
from pathlib import Path

import crafted
from adapter_machine import check_quiet, devices, run_script, values
from machines import check

parser = argparse.ArgumentParser(description="Filters for flows.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

A, B = "02:56:49:54:00:00", "02:56:49:54:00:01"  # the 82576 and the 82599


def udp(port, source="10.1.0.1", tag=None):
    return crafted.udp(B, A, "10.1.0.2", source, port, 4000, tag)


SCRIPT = f"""
apart eth1
ip addr add 10.1.0.1/24 dev eth0
b ip addr add 10.1.0.2/24 dev eth1
ip link set eth0 up
b ip link set eth1 up
b ip link add link eth1 name v7 type vlan id 7
b ip link set v7 up
carrier eth0
sleep 2
ping -c 1 -q 10.1.0.2 >/dev/null
queues() {{ sleep 0.2; $2 ethtool -S $1 | sed -n 's/^ *rx_queue_\\([0-9]*\\)_packets: \\([0-9]*\\)/\\1=\\2/p' | tr '\\n' ' '; }}
send() {{ # what, from, to, the prefix of either, frame
    echo "before $1 $(queues $3 "$5")"
    $4 frames send $2 $6 10 >/dev/null
    echo "after $1 $(queues $3 "$5")"
}}
toB() {{ send $1 eth0 eth1 '' b $2; }}

# Signatures: the driver adds them as it sends.
b iperf3 -s >/dev/null 2>&1 &
sleep 0.5
iperf3 -c 10.1.0.2 -P 4 -n 2M >/dev/null 2>&1
echo iperf $?
b ethtool -S eth1 | grep fdir | sed 's/^ */signature_/; s/://'
kill %1

# Perfect filters under one mask: destination and its port.
b ethtool -K eth1 ntuple on
b ethtool -N eth1 flow-type udp4 dst-ip 10.1.0.2 dst-port 5001 action 3 loc 1
b ethtool -N eth1 flow-type udp4 dst-ip 10.1.0.2 dst-port 5002 action 1 loc 2
b ethtool -N eth1 flow-type udp4 dst-ip 10.1.0.2 dst-port 5003 action -1 loc 3
echo rules $(b ethtool -n eth1 | grep -c Filter)
n=0; until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && b ping -c 1 -W 1 -q 10.1.0.1 >/dev/null || [ $n = 50 ]; do sleep 0.2; n=$((n + 1)); done
toB third {udp(5001)}
toB first {udp(5002)}
toB dropped {udp(5003)}
toB tagged {udp(5001, tag=7)}
b ethtool -N eth1 delete 3
toB deleted {udp(5003)}
b ethtool -N eth1 delete 1
b ethtool -N eth1 delete 2
# Another mask: the source alone, whatever the transport.
b ethtool -N eth1 flow-type ip4 src-ip 10.1.0.77 action 2 loc 4
toB source {udp(6000, "10.1.0.77")}
b ethtool -N eth1 delete 4
b ethtool -S eth1 | grep fdir | sed 's/^ */perfect_/; s/://'

warnings
"""

with tempfile.TemporaryDirectory() as folder:
    lines, finished = run_script(options.vitrine, SCRIPT, devices("i82576", "i82599"), "--cpus", "4", modules=["igb", "ixgbe"], carry=["8021q"],
                                 add=[crafted.program(folder)], programs="ethtool,ip,iperf3")  # fmt: skip
check_quiet(lines, finished)
said = "\n".join(lines)


def queues(when, what):
    line = re.search(rf"^{when} {what} (.*)$", said, re.M)
    return {int(q): int(n) for q, n in re.findall(r"(\d+)=(\d+)", line[1])} if line else {}


def gained(what):
    """Frames that the queues got, by queue."""
    before, after = queues("before", what), queues("after", what)
    return {q: n - before.get(q, 0) for q, n in after.items() if n != before.get(q, 0)}


check("iperf 0" in lines, "iperf3 has failed", finished)
counted = {k: int(v) for k, v in values(lines).items() if "fdir" in k}
check(counted["signature_fdir_match"] > 100, f"the signatures are not found: {counted}", finished)
check(counted["signature_fdir_overflow"] == 0, f"the table of signatures overflows: {counted}", finished)
check("rules 3" in lines, "ethtool has not taken the rules", finished)
for what, queue in (("third", 3), ("first", 1), ("tagged", 3), ("source", 2)):
    check(gained(what) == {queue: 10}, f"{what}: queues {gained(what)}, not {{{queue}: 10}}", finished)
check(gained("dropped") == {}, f"frames that a filter drops: {gained('dropped')}", finished)
check(sum(gained("deleted").values()) == 10, f"without its filter: {gained('deleted')}", finished)
check(counted["perfect_fdir_match"] - counted["signature_fdir_match"] >= 50, f"matches are not counted: {counted}", finished)
print(f"signatures matched {counted['signature_fdir_match']} packets; every filter gave its frames to its queue")
