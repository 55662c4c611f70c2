#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Adapters' state under traffic: a snapshot between two frames goes on as the run did, and a recording with a client outside is lived again.

import argparse
import atexit
import os
import re
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from machines import check, encode, guest_image, hashes, run, script_image

parser = argparse.ArgumentParser(description="Saves, restores, records and replays machines whose adapters are at work.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--only", required=True, choices=["snapshot", "replay"])
parser.add_argument("--cpus", type=int, default=1)
options = parser.parse_args()
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

# Four stations in network namespaces of their own: the physical functions of both adapters, and a virtual function of each. Files go from
# one adapter to the other in both directions at once.
SWITCH = """
of() { for d in /sys/class/net/*; do [ "$(basename $(readlink $d/device/driver) 2>/dev/null)" = $1 ] && basename $d && return; done; }
for driver in igb ixgbe; do
    ip link set $(of $driver) up
    echo 2 >/sys/class/net/$(of $driver)/device/sriov_numvfs
    modprobe ${driver}vf
done
dd if=/dev/urandom of=/tmp/file bs=64k count=32 2>/dev/null
n=0
for driver in igb ixgbe igbvf ixgbevf; do
    unshare -n sleep 10000 &
    eval "$driver=$!"
    sleep 0.1
    dev=$(of $driver)
    /usr/sbin/ip link set $dev netns $! || echo $driver has no namespace
    nsenter -t $! -n ip addr add 10.0.$((n / 2)).$((n % 2 + 1))/24 dev $dev
    nsenter -t $! -n ip link set $dev up
    nsenter -t $! -n httpd -h /tmp
    n=$((n + 1))
done
sleep 3
get() { nsenter -t $1 -n wget -q -O - http://$2/file | md5sum; }
get $igb 10.0.0.2 &
one=$!
get $ixgbe 10.0.0.1 &
two=$!
get $igbvf 10.0.1.2 &
three=$!
get $ixgbevf 10.0.1.1 &
wait $one $two $three $!
md5sum </tmp/file
"""


def snapshot():
    kernel, initramfs = script_image(SWITCH, folder, "--vmlinux", "--modules", "igb,ixgbe", "--carry", "igbvf,ixgbevf", "--with", "ip")
    machine = ["--kernel", kernel, "--initrd", initramfs, "--memory", "384M", "--cpus", options.cpus, "--no-reboot", "--stop-after", 200,
               "--append", f"console=ttyS0 panic=-1 vitrine.run={encode('sh /script')}", "--net", "lan,kind=switch", "--device", "i82576,net=lan",
               "--device", "i82599,net=lan"]  # fmt: skip
    trace = folder / "trace"
    first = run(options.vitrine, *machine, "--hash-every", 50_000_000, "--stats", "--trace", "vtc", "--trace-file", trace)
    sums = re.findall(r"^([0-9a-f]{32}) +-\r?$", first.stdout, re.M)
    check(first.returncode == 0 and len(sums) == 5 and len(set(sums)) == 1, f"the files have not arrived: {sums}", first)

    # In the middle of the physical functions' traffic, then of the virtual functions'.
    stored = [(int(n), function) for n, function in re.findall(r"^\[ *[\d.]+ (\d+) CPU\d+\] vtc stored .* function=(\S+)", trace.read_text(), re.M)]
    counts = [dict(re.findall(r"^count (vtc\.nic\S+) (\d+)$", first.stderr, re.M))]
    for pair in (("nic0", "nic1"), ("nic0vf0", "nic1vf0")):
        of_pair = [n for n, function in stored if function in pair]
        check(len(of_pair) > 400, f"{pair}: only {len(of_pair)} frames: {Counter(function for _, function in stored)}")
        middle = of_pair[len(of_pair) // 2] + 1
        saved = folder / pair[0]
        second = run(options.vitrine, *machine, "--hash-every", 50_000_000, "--stats", "--snapshot-at", f"{middle},{saved}")
        check(hashes(first) == hashes(second), "two runs of the same machine, one of which is traced and the other saved, differ", second)
        third = run(options.vitrine, "--restore", saved, "--no-reboot", "--hash-every", 50_000_000, "--stats", "--stop-after", 200)
        left = [h for h in hashes(first) if int(h[0]) > middle]
        check(len(left) >= 2, "too few hashes behind the snapshot")
        check(hashes(third) == left, "the restored machine is another", third)
        check(re.findall(r"^([0-9a-f]{32}) +-\r?$", third.stdout, re.M) == sums[len(sums) - len(re.findall(r"^[0-9a-f]{32} +-\r?$", third.stdout, re.M)):],
              "the restored machine's files are others", third)  # fmt: skip
        # What the adapters count is state: the restored machine has the same sums as the one that was not interrupted.
        for r in (second, third):
            counts.append(dict(re.findall(r"^count (vtc\.nic\S+) (\d+)$", r.stderr, re.M)))
            check(counts[0] == counts[-1] and len(counts[0]) > 20, f"the adapters' counters differ: {counts[0]}, {counts[-1]}", r)
        print(f"{options.cpus} processors: {pair[0]} and {pair[1]}, {len(of_pair)} frames, saved in the middle of them after {middle} instructions; {len(left)} hashes and {len(counts[0])} counters equal")


ECHO = """
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
sleep 2
echo READY
nc -l -p 7 -e cat
cat /proc/net/dev | grep eth0 | awk '{ print "received", $3, "sent", $11 }'
"""


def replay():
    adapter, driver = ("i82576", "igb") if options.cpus == 1 else ("i82599", "ixgbe")
    kernel, initramfs = guest_image("--vmlinux", "--modules", driver)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = folder / "log"
    command = [options.vitrine, "run", "--kernel", kernel, "--initrd", initramfs, "--memory", "256M", "--cpus", options.cpus, "--no-reboot", "--stop-after", 600,
               "--append", f"console=ttyS0 panic=-1 vitrine.run={encode(ECHO)}", "--net", f"lan,kind=user,hostfwd=tcp:127.0.0.1:{port}-:7",
               "--device", f"{adapter},net=lan", "--hash-every", 100_000_000, "--stats", "--record", log]  # fmt: skip
    sent = os.urandom(200_000)  # other bytes each time: the log has them
    with open(folder / "errors", "w+") as errors:
        process = subprocess.Popen([str(a) for a in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        atexit.register(process.kill)
        text = b""
        while b"READY" not in text:
            line = process.stdout.readline()
            check(line, f"the guest does not come so far: {text.decode(errors='replace')}")
            text += line
        with socket.create_connection(("127.0.0.1", port), timeout=300) as s:
            back = b""
            for at in range(0, len(sent), 20_000):
                s.sendall(sent[at : at + 20_000])
                while len(back) < at + 20_000:
                    piece = s.recv(65536)
                    check(piece, "the echo ends early")
                    back += piece
        check(back == sent, "the echo is another")
        text += process.stdout.read()
        process.wait()
        errors.seek(0)
        shown = text.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")  # as a process's text is read
        recorded = subprocess.CompletedProcess(command, process.returncode, shown, errors.read())
    check(recorded.returncode == 0, "the recorded run", recorded)
    told = re.search(r"^received (\d+) sent (\d+)\r?$", recorded.stdout, re.M)
    check(told and int(told[1]) >= 140 and int(told[2]) >= 140, "the traffic was not the adapter's", recorded)

    with socket.socket() as s:  # the port is somebody else's: a replay opens no network
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen()
        again = run(options.vitrine, "--replay", log, "--hash-every", 100_000_000, "--stats")
    check(again.returncode == 0 and again.stdout == recorded.stdout, "the replay prints something else", again)
    check(hashes(again) == hashes(recorded) and len(hashes(again)) >= 5, "the replay's hashes are others", again)
    last = [re.findall(r"^(?:hash +|instructions +|count vtc\.)(\S+.*)$", r.stderr, re.M) for r in (recorded, again)]
    check(last[0] == last[1], "the replay ends otherwise", again)
    print(f"{adapter}, {options.cpus} processors: 200,000 bytes there and back, {told[0].strip()}; {len(hashes(again))} hashes of the replay equal")


{"snapshot": snapshot, "replay": replay}[options.only]()
