#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Traffic classes (DCB) by a stock user: `tc ... mqprio ... hw 1` and iproute2's `dcb` on Debian's ixgbe, between two 82599. Which queues frames
# leave by and come to, how strict and weighted classes share the wire, and that flow control, the link's and that of priorities, loses nothing.

import argparse
import re
from pathlib import Path

from adapter_machine import check_quiet, devices, run_script, values
from machines import check

parser = argparse.ArgumentParser(description="Traffic classes of the 82599.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

CLASS = {p: p // 2 for p in range(8)}  # of a priority
SENT = {p: 80 + 8 * p for p in range(8)}  # bursts of 8
HEARD = CLASS | {7: 0}  # ixgbe gives frames of priority 7, the kernel's control frames, no tag
RX_QUEUES, TX_QUEUES = [0, 32, 64, 96], [0, 64, 96, 112]  # where a class's queues begin, of four
RACE, FLOOD = 25000, 20000
MAP = " ".join(f"{p}:{c}" for p, c in CLASS.items())

# `stream NAME COUNT SIZE PRIORITY` makes a stream ready; `go` sends what is ready.
SCRIPT = f"""
tc() {{ /usr/sbin/tc "$@"; }}
apart eth1
ethtool -L eth0 combined 1
b ethtool -L eth1 combined 1
ip addr add 10.1.0.1/24 dev eth0
b ip addr add 10.1.0.2/24 dev eth1
ip link set eth0 up
b ip link set eth1 up
carrier eth0
sleep 1
g() {{ echo "$2" >/proc/net/pktgen/$1 || echo "failed: $1 $2"; }}
stream() {{
    for word in "count $2" "pkt_size $3" "skb_priority $4" "queue_map_min $(($4 / 2))" "queue_map_max $(($4 / 2))" "clone_skb 1000" "burst 8" "delay 0" \\
                "dst_mac 02:56:49:54:00:01" "dst 10.1.0.2"; do
        g $1 "$word"
    done
}}
begin() {{ # a processor each
    g kpktgend_0 rem_device_all
    g kpktgend_1 rem_device_all
    n=0
    for name; do g kpktgend_$n "add_device $name"; n=$((n + 1)); done
}}
go() {{
    g pgctrl start
    sleep 0.3
}}
rx() {{ b ethtool -S eth1 | sed -n "s/^ *rx_queue_\\([0-9]*\\)_packets: /$1 \\1 /p"; }}
tx() {{ value eth0 tx_queue_$1_packets; }}

# by mqprio
tc qdisc add dev eth0 root mqprio num_tc 4 map 0 0 1 1 2 2 3 3 hw 1 || echo failed: mqprio
carrier eth0
tc qdisc add dev eth0 clsact
tc filter add dev eth0 egress matchall action skbedit priority 5
ping -c 1 -q 10.1.0.2 >/dev/null
before=$(tx 2)
ping -c 20 -i 0.01 -q 10.1.0.2 | grep received
echo mqprio $(($(tx 2) - before))
tc qdisc del dev eth0 clsact
tc qdisc del dev eth0 root

# by dcb
both() {{ dcb "$@" dev eth0 $more || echo "failed: $* $more"; b dcb "$@" dev eth1 $more || echo "failed: $* $more"; }}
more="host ieee" both dcbx set
more="prio-tc {MAP} tc-tsa all:strict" both ets set
carrier eth0
sleep 1
dcb ets show dev eth0 prio-tc
begin eth0
rx before
for p in 0 1 2 3 4 5 6 7; do
    stream eth0 $((80 + 8 * p)) 200 $p
    go
done
rx after

# two classes want the whole wire; the frames are too long for the other side
begin eth0@0 eth0@1
shares() {{ ethtool -S eth0 | sed -n "s/^ *tx_queue_\\([03]\\)_packets: /$1 \\1 /p"; }}
race() {{ # the generators begin within a tenth of a second
    stream eth0@0 {RACE} 9000 0
    stream eth0@1 {RACE} 9000 6
    g pgctrl start &
    sleep 0.14
    shares "$1 first"
    sleep 0.03
    shares "$1 last"
    wait
}}
race strict
dcb ets set dev eth0 tc-tsa all:ets tc-bw 0:25 1:0 2:0 3:75 || echo failed: weights
race weighted
dcb ets set dev eth0 tc-tsa all:ets tc-bw 0:50 1:0 2:0 3:50 || echo failed: weights
race equal

# a receiver that looks once in a millisecond
begin eth0
b ethtool -G eth1 rx 64
b ethtool -C eth1 rx-usecs 1000
carrier eth0
sleep 1
flood() {{
    before=$(b ethtool -S eth1 | sed -n 's/^ *rx_queue_1_packets: //p')
    missed=$(b ethtool -S eth1 | awk '/rx_no_dma_resources|rx_missed_errors/ {{ n += $2 }} END {{ print n }}')
    stream eth0 {FLOOD} 1000 2
    go
    sleep 2
    echo $1 came $(($(b ethtool -S eth1 | sed -n 's/^ *rx_queue_1_packets: //p') - before))
    echo $1 lost $(($(b ethtool -S eth1 | awk '/rx_no_dma_resources|rx_missed_errors/ {{ n += $2 }} END {{ print n }}') - missed))
    b ethtool -S eth1 | sed -n "s/^ *tx_pb_\\([23]\\)_pxoff: /$1 sent\\1 /p; s/^ *tx_flow_control_xoff: /$1 sent /p"
    ethtool -S eth0 | sed -n "s/^ *rx_pb_\\([23]\\)_pxoff: /$1 heard\\1 /p; s/^ *rx_flow_control_xoff: /$1 heard /p"
}}
flood link
ethtool -A eth0 autoneg off rx off tx off
b ethtool -A eth1 autoneg off rx off tx off
carrier eth0
sleep 1
flood without
more="prio-pfc 2:on 3:on" both pfc set
sleep 1
flood with
warnings
"""

lines, finished = run_script(options.vitrine, SCRIPT, devices("i82599", "i82599"), "--stats", "--cpus", "2", programs="ethtool,ip,tc,dcb", append="net.ifnames=0",
                             modules=["ixgbe", "pktgen", "sch_mqprio", "sch_ingress", "cls_matchall", "act_skbedit"])  # fmt: skip
check_quiet(lines, finished)
wrong = [line for line in lines if "failed" in line]
check(not wrong, f"not everything was taken: {wrong}", finished)

check("20 packets transmitted, 20 packets received, 0% packet loss" in lines, "frames of a class of mqprio do not come", finished)
left = int(values(lines)["mqprio"])
check(left >= 20, f"{left} frames of priority 5 left by the third class", finished)

before, after = (values(lines, f"{when} ") for when in ("before", "after"))
for c in range(4):
    got, wanted = int(after[str(c)]) - int(before[str(c)]), sum(n for p, n in SENT.items() if HEARD[p] == c)
    check(wanted <= got <= wanted + 3, f"class {c} got {got} frames of {wanted}", finished)  # a few are the stack's own
counts = {name: int(n) for name, n in re.findall(r"^count vtc\.(\S+) (\d+)$", finished.stderr, re.M)}
for c in range(4):
    for name in (f"nic1.queue{RX_QUEUES[c]}.rx-frames", f"nic0.queue{TX_QUEUES[c]}.tx-frames"):
        check(counts.get(name, 0) > 0, f"{name}: nothing", finished)

shares = {}
# A strict class leaves the wire to the other one while its generator's processor does something else and its queue is empty.
for race, (least, most) in {"strict": (0.85, 1), "weighted": (0.69, 0.81), "equal": (0.44, 0.56)}.items():
    first, last = (values(lines, f"{race} {when} ") for when in ("first", "last"))
    slow, fast = (int(last[ring]) - int(first[ring]) for ring in ("0", "3"))
    shares[race] = fast / (slow + fast)
    check(slow + fast > 3000, f"{race}: {slow} and {fast} frames do not fill the wire", finished)
    check(least <= shares[race] <= most, f"{race}: the priority's stream has {shares[race]:.2f} of the wire, not {least:.2f} to {most:.2f}", finished)

floods = {when: {name: int(n) for name, n in values(lines, f"{when} ").items()} for when in ("link", "without", "with")}
of = floods["link"]
EXTRA = range(4)  # frames that the stack sends
check(of["lost"] == 0 and of["came"] - FLOOD in EXTRA and of["sent"] == of["heard"] > 10, f"with the link's flow control, as the driver begins: {of}", finished)
of = floods["without"]
check(of["lost"] > 1000 and of["came"] + of["lost"] - FLOOD in EXTRA and of["sent2"] == 0, f"without flow control: {of}", finished)
of = floods["with"]
check(of["lost"] == 0 and of["came"] - FLOOD in EXTRA, f"with priority flow control frames are lost: {of}", finished)
check(of["sent2"] == of["heard2"] > 10 and of["sent3"] == of["heard3"] > 10, f"pause frames: {of}", finished)
print(f"{left} frames by mqprio's class; " + ", ".join(f"{race}: {share:.2f}" for race, share in shares.items()) +
      f" of the wire; {floods['without']['lost']} of {FLOOD} lost without flow control; none with it, {floods['link']['sent']} times told to wait by the link's, {of['sent2']} by that of priorities")  # fmt: skip
