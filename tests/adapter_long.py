#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Endurance: a file of 1 GiB from the host by HTTP through the user-mode network, whole; or ten million packets by the kernel's own generator
# from one adapter to the other, and every one is either received or in a counter that says why not.

import argparse
import hashlib
import http.server
import threading
import time
from pathlib import Path

from adapter_machine import DRIVERS, check_quiet, devices, run_script, values
from machines import check

parser = argparse.ArgumentParser(description="Many packets.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--adapter", choices=DRIVERS, default="i82576", help="that receives")
parser.add_argument("--packets", type=int, help="so many, between two adapters")
parser.add_argument("--megabytes", type=int, help="so much by HTTP")
options = parser.parse_args()
started = time.monotonic()

PIECE = 1 << 20


def piece(n):
    return hashlib.shake_128(n.to_bytes(4, "big")).digest(PIECE)


class File(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(options.megabytes * PIECE))
        self.end_headers()
        for n in range(options.megabytes):
            self.wfile.write(piece(n))

    def log_message(self, *arguments):
        pass


def by_http():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), File)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    script = f"""
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
carrier eth0
mkfifo /tmp/pipe
wc -c </tmp/pipe >/tmp/size &
busybox wget -q -O - http://10.0.2.2:{server.server_address[1]}/ | tee /tmp/pipe | sha256sum
wait
echo size $(cat /tmp/size)
value eth0 rx_packets | sed 's/^/received /'
ethtool -S eth0 | grep -E 'rx_.*(err|miss|no_buffer)' | grep -v ': 0$' | sed 's/^/count /'
warnings
"""
    lines, finished = run_script(options.vitrine, script, devices(options.adapter, net="kind=user"), modules=[DRIVERS[options.adapter]], timeout=7200, seconds=7200)
    check_quiet(lines, finished)
    whole = hashlib.sha256()
    for n in range(options.megabytes):
        whole.update(piece(n))
    check(f"{whole.hexdigest()}  -" in lines, "the file's checksum is another", finished)
    check(f"size {options.megabytes * PIECE}" in lines, "the file's size is another", finished)
    check(not [line for line in lines if line.startswith("count ")], "counters of errors", finished)
    print(f"{options.megabytes} MiB, the right checksum, {values(lines)['received']} frames, {time.monotonic() - started:.0f} s")


def by_generator():
    other = next(name for name in DRIVERS if name != options.adapter)
    # The sender comes first on the bus, and its driver too: it is eth0.
    script = f"""
apart eth1
b ethtool -A eth1 rx off tx off 2>/dev/null
ethtool -A eth0 rx off tx off 2>/dev/null
ip link set eth0 up
b ip link set eth1 up
carrier eth0
sleep 3
g() {{ echo "$2" >/proc/net/pktgen/$1; }}
g kpktgend_0 rem_device_all
g kpktgend_0 "add_device eth0"
g eth0 "count {options.packets}"
g eth0 "clone_skb 1000"
g eth0 "burst 16"
g eth0 "pkt_size 60"
g eth0 "delay 0"
g eth0 "dst_mac 02:56:49:54:00:01"
g eth0 "dst 10.1.0.2"
g pgctrl start
sleep 3
sed -n 's/.*pkts-sofar: \\([0-9]*\\) .*errors: \\([0-9]*\\).*/generated \\1\\nerrors \\2/p' /proc/net/pktgen/eth0
r() {{ b ethtool -S eth1 | sed -n "s/^ *\\($1\\): //p" | awk '{{ n += $1 }} END {{ print n + 0 }}'; }}
echo sent $(value eth0 {"tx_packets" if other == "i82576" else "tx_pkts_nic"})
echo received $(r {"rx_packets" if options.adapter == "i82576" else "rx_pkts_nic"})
echo missed $(r 'rx_missed_errors')
echo dropped $(r {"'rx_queue_[0-9]*_drops'" if options.adapter == "i82576" else "'rx_no_dma_resources'"})
echo taken $(r 'rx_queue_[0-9]*_packets')
warnings
"""
    lines, finished = run_script(options.vitrine, script, devices(other, options.adapter), modules=[DRIVERS[other], DRIVERS[options.adapter], "pktgen"], programs="ethtool,ip", timeout=7200,
                                 seconds=7200)  # fmt: skip
    check_quiet(lines, finished)
    n = {name: int(value) for name, value in values(lines).items() if value.isdigit()}
    check(n["generated"] == options.packets and n["sent"] == options.packets, f"not everything was sent: {n}", finished)
    check(n["received"] + n["missed"] == n["sent"], f"on the wire and not accounted for: {n}", finished)
    check(n["taken"] + n["dropped"] == n["received"], f"received and not accounted for: {n}", finished)
    print(f"{n['sent']} packets: {n['taken']} taken, {n['missed']} missed, {n['dropped']} without descriptor; {time.monotonic() - started:.0f} s")


if options.packets:
    by_generator()
if options.megabytes:
    by_http()
