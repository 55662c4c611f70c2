#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# linuxptp over the two adapters: each has a PTP clock of its own, wrongly set, and ptp4l brings one to the other by the instants at which
# the adapters say that messages came and went. The wire takes no time; an offset that stays is the stamps' error.

import argparse
import re
from pathlib import Path

from adapter_machine import check_quiet, devices, run_script
from machines import check

parser = argparse.ArgumentParser(description="Clocks over a network.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--transport", choices=("ethernet", "udp"), default="ethernet")
options = parser.parse_args()
flag = {"ethernet": "-2", "udp": "-4"}[options.transport]

SCRIPT = f"""
apart eth1
ip addr add 10.1.0.1/24 dev eth0
b ip addr add 10.1.0.2/24 dev eth1
ip link set eth0 up
b ip link set eth1 up
carrier eth0
sleep 2
ethtool -T eth0 | sed 's/^/stamps0 /'
b ethtool -T eth1 | sed 's/^/stamps1 /'
mkdir -p /run/a /run/b
hwstamp_ctl -i eth0 -r 1 >/dev/null 2>&1 || echo all packets cannot be stamped
printf '[global]\\nlogAnnounceInterval -1\\nlogSyncInterval -3\\nlogMinDelayReqInterval -3\\nsummary_interval -1\\nstep_threshold 0.00001\\nfirst_step_threshold 0.00001\\n' >/tmp/conf
run() {{ # who is slave, the slave's and the master's prefix and interface
    echo direction $1
    $4 ptp4l {flag} -H -f /tmp/conf --uds_address /run/a/ptp4l -i $5 >/tmp/master 2>&1 &
    master=$!
    $2 ptp4l {flag} -H -f /tmp/conf --uds_address /run/b/ptp4l -s -m -i $3 >/tmp/slave 2>&1 &
    slave=$!
    sleep 25
    kill $slave $master
    wait
    grep -E 'rms|master offset' /tmp/slave | tail -12
    grep -iE 'fail|timed out|fault|missing' /tmp/slave /tmp/master | sed 's/^/ptp4l said: /'
}}
run i82576 '' eth0 b eth1
run i82599 b eth1 '' eth0
echo timeouts $(value eth0 tx_hwtstamp_timeouts) $(value eth0 rx_hwtstamp_cleared) $(b ethtool -S eth1 | grep hwtstamp | sed 's/.*: //')
warnings
"""

lines, finished = run_script(options.vitrine, SCRIPT, devices("i82576", "i82599"), modules=["igb", "ixgbe"], carry=["ptp"],
                             programs="ethtool,ip,ptp4l,hwstamp_ctl")  # fmt: skip
check_quiet(lines, finished)
said = "\n".join(lines)
check(said.count("hardware-transmit") == 2 and said.count("hardware-receive") == 2 and said.count("ptpv2-event") == 2, "the drivers stamp nothing", finished)
check("all packets cannot be stamped" in lines, "the 82576 is believed to stamp all packets", finished)
check("ptp4l said" not in said, "ptp4l complains", finished)
parts = said.split("direction ")[1:]
check(len(parts) == 2, "a direction is missing", finished)
for part in parts:
    name = part.split()[0]
    offsets = [int(n) for n in re.findall(r"rms +(\d+) max", part)]
    check(len(offsets) >= 6, f"{name} is not disciplined", finished)
    check(max(offsets[-4:]) < 200, f"the clock of the {name} is off by {offsets} ns", finished)
    print(f"{name} as slave, over {options.transport}: rms offsets {offsets} ns")
numbers = next(line for line in lines if line.startswith("timeouts ")).split()[1:]
check(numbers and set(numbers) == {"0"}, f"stamps that did not come or were not fetched: {numbers}", finished)
