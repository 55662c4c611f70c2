#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# VMDq by a stock user: ixgbe with `l2-fwd-offload` gives each macvlan device a pool of the 82599, and the adapter sorts the frames.

import argparse
import re
from pathlib import Path

from adapter_machine import check_quiet, devices, run_script
from machines import check

parser = argparse.ArgumentParser(description="macvlan devices on pools of the adapter.")
parser.add_argument("vitrine", type=Path, help="the program under test")
options = parser.parse_args()

PINGS = {1: 20, 2: 30}  # by pool

SCRIPT = f"""
apart eth0
b ip addr add 10.1.0.100/24 dev eth0
b ip link set eth0 up
ethtool -K eth1 l2-fwd-offload on
ip link set eth1 up
for n in {" ".join(map(str, PINGS))}; do
    ip link add link eth1 name mv$n type macvlan mode bridge
    ip netns add guest$n
    ip link set mv$n netns guest$n
    ip netns exec guest$n sh -c "ip addr add 10.1.0.$n/24 dev mv$n; ip link set mv$n up"
done
carrier eth1
sleep 2
{"".join(f"b ping -c {count} -i 0.05 -q 10.1.0.{pool} | sed 's/^/pool {pool}: /'{chr(10)}" for pool, count in PINGS.items())}
warnings
"""

lines, finished = run_script(options.vitrine, SCRIPT, devices("i82576", "i82599"), "--stats", modules=["igb", "ixgbe", "macvlan"])
check_quiet(lines, finished)
counts = {name: int(n) for name, n in re.findall(r"^count vtc\.nic1\.(\S+) (\d+)$", finished.stderr, re.M)}
for pool, count in PINGS.items():
    answered = f"pool {pool}: {count} packets transmitted, {count} packets received, 0% packet loss"
    check(answered in lines, f"it does not say: {answered}", finished)
    # The driver's pool gets the requests and nothing else; who searches for its address by broadcast reaches the macvlan driver by the port's own pool.
    got, sent = counts.get(f"pool{pool}.rx-frames", 0), counts.get(f"pool{pool}.tx-frames", 0)
    check(got == count and sent >= count, f"pool {pool} got {got} frames and sent {sent}", finished)
print("frames by pool of the 82599: " + ", ".join(f"{counts[f'pool{pool}.rx-frames']} for macvlan {pool}" for pool in PINGS))
