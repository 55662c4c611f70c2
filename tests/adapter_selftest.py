#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# An adapter's stock driver judges it: what it is, its counters and offloads, and the driver's own self-test, item by item.

import argparse
import re
from pathlib import Path

from adapter_machine import DRIVERS, check_quiet, devices, run_script
from machines import check

parser = argparse.ArgumentParser(description="Runs the driver's self-test.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--adapter", choices=DRIVERS, default="i82576")
parser.add_argument("--no-msi", action="store_true", help="with the pin, not messages: the interrupt test is another one then")
options = parser.parse_args()
driver = DRIVERS[options.adapter]

SCRIPT = """
ip link set eth0 up
carrier eth0
ethtool -i eth0 | sed 's/^/info /'
ethtool -k eth0 | sed 's/^/offload /'
ethtool -S eth0 | sed 's/^/count /'
ethtool -d eth0 >/dev/null
ethtool -e eth0 length 128 >/dev/null
ethtool -t eth0 offline | sed 's/^/offline /'
carrier eth0
ethtool -t eth0 online | sed 's/^/online /'
warnings
"""

# What the driver calls its tests.
ITEMS = {"Register", "Eeprom", "Interrupt", "Loopback", "Link"}
OFFLOADS = ["rx-checksumming", "tx-checksumming", "tx-checksum-sctp", "scatter-gather", "tcp-segmentation-offload", "tx-tcp6-segmentation", "rx-vlan-offload",
            "tx-vlan-offload", "receive-hashing", "rx-vlan-filter"]  # fmt: skip

lines, finished = run_script(options.vitrine, SCRIPT, devices(options.adapter), modules=[driver], append="pci=nomsi" if options.no_msi else "")
# ixgbe names what it does without, where there is no MSI.
check_quiet(lines, finished, *(["Failed to allocate MSI", "Disabling SR-IOV support", "Disabling RSS support", "Disabling DCB support"] if options.no_msi else []))
check(lines.count("carrier eth0 1") == 2, "the link is not up before and after the test", finished)
said = "\n".join(lines)
check(f"info driver: {driver}" in said and "info bus-info: 0000:01:00.0" in said, "ethtool -i says something else", finished)
for offload in OFFLOADS:
    check(re.search(rf"^offload \s*{offload}: on", said, re.M), f"{offload} is not on", finished)
counts = dict(re.findall(r"^count \s*(\S+): (\d+)$", said, re.M))
check(len(counts) > 50, f"only {len(counts)} counters", finished)
errors = {name: n for name, n in counts.items() if re.search("err|drop|miss|fail|collision|timeout", name) and n != "0"}
check(not errors, f"counters of errors: {errors}", finished)
for kind in ("offline", "online"):
    check(f"{kind} The test result is PASS" in said, f"the {kind} test has failed", finished)
    items = re.findall(rf"^{kind} (\w+) test .*\t (\d+)$", said, re.M)
    check({name for name, _ in items} == ITEMS and all(n == "0" for _, n in items), f"items of the {kind} test: {items}", finished)
print(f"{driver}: {len(counts)} counters, the tests {', '.join(sorted(ITEMS))} pass")
