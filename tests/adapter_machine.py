# SPDX-License-Identifier: Apache-2.0
# What the tests of the adapters share: Debian's kernel with stock drivers and tools on one or two adapters, and what it said.

import tempfile

import machines
from machines import check

DRIVERS = {"i82576": "igb", "i82599": "ixgbe"}
FUNCTIONS = {"i82576": 7, "i82599": 63}
TOOLS = "ethtool,ip,iperf3"

# Every script begins so. `apart IF` moves an interface into a network namespace of its own, where `b COMMAND` runs; neither side speaks IPv6.
# `warnings` are what the kernel said at the level of warnings or above since the last time.
HEAD = """
echo 'precedence ::ffff:0:0/96 100' >/etc/gai.conf
echo 'nameserver 10.0.2.3' >/etc/resolv.conf
echo 'iperf3 5201/tcp' >/etc/services
ip() { /usr/sbin/ip "$@"; }
ping() { /bin/busybox ping "$@"; }
b() { ip netns exec b "$@"; }
no_ipv6() { echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; }
apart() {
    ip netns add b
    ip link set $1 netns b
    no_ipv6
    b sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
    ip link set lo up
    b ip link set lo up
}
value() { ethtool -S $1 | sed -n "s/^ *$2: //p"; }
carrier() { n=0; until [ "$(cat /sys/class/net/$1/carrier 2>/dev/null)" = 1 ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done; echo carrier $1 $(cat /sys/class/net/$1/carrier); }
warnings() { dmesg -r | grep -E '^<[0-4]>' | grep -E "${1:-igb|ixgbe}" | sed 's/^/warning /'; dmesg -c >/dev/null; }
dmesg -r | grep -E '^<[0-4]>.*(igb|ixgbe)' | sed 's/^/warning /'
dmesg -c >/dev/null
"""


def devices(*adapters, net="kind=switch", properties=""):
    """Arguments for adapters on one network; the second has an address of its own."""
    given = ["--net", f"lan,{net}"]
    for n, adapter in enumerate(adapters):
        given += ["--device", f"{adapter},net=lan,mac=02:56:49:54:00:{n:02x}{properties}"]
    return given


def run_script(vitrine, script, given, *more, modules, carry=(), programs=TOOLS, add=(), memory="512M", append="", timeout=1800, seconds=600):
    """The lines that the script printed, without the kernel's, and the whole run; it must have come to its end with status 0."""
    with tempfile.TemporaryDirectory() as folder:
        added = [word for pair in add for word in ("--add", pair)]
        arguments = ["--vmlinux", "--modules", ",".join(modules), "--carry", ",".join(carry), "--with", programs, *added]
        kernel, initramfs = machines.script_image(HEAD + script, folder, *arguments)
        finished = machines.run(vitrine, "--kernel", kernel, "--initrd", initramfs, "--memory", memory, "--time", "warp", "--no-reboot", "--stop-after",
                                str(seconds), "--append", f"console=ttyS0 panic=-1 {append} vitrine.run={machines.encode('sh /script')}", *given, *more,
                                timeout=timeout)  # fmt: skip
    said = machines.said(finished)
    check(finished.returncode == 0 and said is not None, "the guest's script has not run to its end", finished)
    lines, status = said
    lines = [line.rstrip() for line in lines if not line.startswith("[")]
    check(status == 0, f"the guest's script ended with status {status}", finished)
    return lines, finished


def check_quiet(lines, finished, *allowed):
    """No driver has warned."""
    found = [line for line in lines if line.startswith("warning ") and not any(text in line for text in allowed)]
    check(not found, f"the drivers warn: {found}", finished)


def values(lines, prefix=""):
    """`name value` lines as a dictionary."""
    pairs = [line.removeprefix(prefix).split(None, 1) for line in lines if line.startswith(prefix)]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
