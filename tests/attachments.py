# SPDX-License-Identifier: Apache-2.0
# Guests of KVM (L2) on the network of an 82599 that Debian (L1) drives, attached in every way that stock software has, and a peer outside.
"""L1 has two processors. Everything that serves the guests is on CPU0: their virtual processors, QEMU, vhost, the adapter's interrupts. The
peer is another adapter on the same network, and its driver, programs and interrupts are on CPU1; so what CPU0 does is what a frame costs.
"""

import subprocess
from pathlib import Path
from typing import Callable, NamedTuple

import hypervisors
from machines import TREE, encode, guest_image, with_script

PEER, PF = "02:00:00:00:00:01", "02:00:00:00:00:f0"
PEER_ADDRESS = "10.0.0.1"
ADAPTERS = ["--net", "lan,kind=switch", "--device", f"i82599,net=lan,mac={PF}", "--device", f"i82599,net=lan,mac={PEER}"]
MODULES = ["ixgbe", "tun", "vhost_net", "macvtap", "bridge"]
PROGRAMS = ["ip", "ethtool"]


def mac(guest):
    return f"02:00:00:00:00:{guest + 2:02x}"


def address(guest):
    return f"10.0.0.{guest + 2}"


OWN_IP = 'ip() { /usr/sbin/ip "$@"; }'  # busybox's shell would take its own

# Shell functions of L1. The guests' addresses on the links are fixed, and so are those of the neighbours: nothing else is on the network.
FUNCTIONS = f"""{OWN_IP}
by_mac() {{ for d in /sys/class/net/*; do [ "$(cat $d/address)" = $1 ] && echo ${{d##*/}}; done; }}
interrupts_of() {{ awk -F: -v name="$1" '$0 ~ name {{ gsub(/ /, "", $1); print $1 }}' /proc/interrupts; }}
to_cpu() {{ for irq in $(interrupts_of $2); do echo $1 >/proc/irq/$irq/smp_affinity; done 2>/dev/null; }}
taskset -p 2 $$ >/dev/null
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
pf=$(by_mac {PF}) peer=$(by_mac {PEER})
ethtool -L $pf combined 1
ethtool -L $peer combined 1
ip addr add {PEER_ADDRESS}/24 dev $peer
ip link set $peer up
"""


def up(guests):
    """L1: links up, neighbours known, interrupts where they belong."""
    known = "".join(f"ip neigh replace {address(n)} lladdr {mac(n)} dev $peer\n" for n in range(guests))
    return f"ip link set $pf up\n{known}to_cpu 1 $pf\nto_cpu 2 $peer\n"


def virtual_functions(guests):
    macs = "".join(f"ip link set $pf vf {n} mac {mac(n)}\n" for n in range(guests))
    devices = [f"0000:01:{(0x80 + 2 * n) >> 3:02x}.{2 * n & 7}" for n in range(guests)]
    return f"echo {guests} >/sys/class/net/$pf/device/sriov_numvfs\n{macs}{hypervisors.give_to_vfio(*devices)}\n", [
        f"-device vfio-pci,host={device}" for device in devices
    ]  # fmt: skip


def bridged(guests, model, more):
    """A software bridge with the physical function and a tap device for each guest."""
    taps = "".join(f"ip tuntap add tap{n} mode tap\nip link set tap{n} master br0 up\n" for n in range(guests))
    text = f"ip link add br0 type bridge mcast_snooping 0\nip link set $pf master br0\nip link set br0 up\n{taps}"
    return text, [f"-netdev tap,id=n,ifname=tap{n},script=no,downscript=no{more} -device {model},netdev=n,mac={mac(n)},romfile=" for n in range(guests)]


def emulated(guests):
    return bridged(guests, "e1000e", "")


def vhost(guests):
    return bridged(guests, "virtio-net-pci", ",vhost=on")


def vmdq(guests):
    """A queue pair of the adapter for each guest: a macvtap device that ixgbe takes into a pool of its own."""
    text = "ethtool -K $pf l2-fwd-offload on\nip link set $pf up\n"
    for n in range(guests):
        text += f"ip link add link $pf name mv{n} type macvtap mode bridge\nip link set mv{n} address {mac(n)} up\n"
    return text, [f"-netdev tap,id=n,fd=3,vhost=on -device virtio-net-pci,netdev=n,mac={mac(n)},romfile= 3<>/dev/tap$(cat /sys/class/net/mv{n}/ifindex)" for n in range(guests)]


class Attachment(NamedTuple):
    attach: Callable  # of the number of guests: what L1 does before, and QEMU's options for each guest
    detach: str       # what L1 does when the guests have ended
    iommu: str        # the machine's
    throttled: tuple  # where interrupt throttling is set


NO_BRIDGE = "ip link set $pf nomaster\nip link del br0\nfor tap in $(ls /sys/class/net | grep ^tap); do ip link del $tap; done\n"
NO_POOLS = "for mv in $(ls /sys/class/net | grep ^mv); do ip link del $mv; done\nethtool -K $pf l2-fwd-offload off\n"
NO_FUNCTIONS = "echo 0 >/sys/class/net/$pf/device/sriov_numvfs\n"

ATTACHMENTS = {
    "emulated": Attachment(emulated, NO_BRIDGE, "on", ("outer", "inner")),
    "vhost": Attachment(vhost, NO_BRIDGE, "on", ("outer",)),
    "vmdq": Attachment(vmdq, NO_POOLS, "on", ("outer",)),
    "vf-unsafe": Attachment(virtual_functions, NO_FUNCTIONS, "on,intremap=off", ("inner",)),
    "vf-remapped": Attachment(virtual_functions, NO_FUNCTIONS, "on,pi=off", ("inner",)),
    "vf-posted": Attachment(virtual_functions, NO_FUNCTIONS, "on", ("inner",)),
}


def build_frames(folder):
    program = Path(folder) / "frames"
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", TREE / "tests/guests/datagrams.c", "-o", program], check=True)
    return program


def start_guest(number, devices, mask, command):
    """A shell command that starts a guest on the processors of `mask`. It has its address and knows its neighbours, and runs `command`; its
    console is /tmp/log<number>."""
    others = "".join(f"ip neigh add {address(n)} lladdr {mac(n)} dev eth0\n" for n in range(2) if n != number)
    script = f"""{OWN_IP}
ip addr add {address(number)}/24 dev eth0
ip link set eth0 up
ip neigh add {PEER_ADDRESS} lladdr {PEER} dev eth0
{others}{command}"""
    append = f"console=ttyS0 quiet panic=-1 ipv6.disable=1 vitrine.run={encode(script)}"
    return (f"taskset {mask} qemu-system-x86_64 -accel kvm -cpu host -M pc -smp 1 -m 256 -nodefaults -no-reboot -display none -serial file:/tmp/log{number} "
            f"-kernel /inner/vmlinux -initrd /inner/initramfs -append '{append}' {devices} </dev/null &\nqemu{number}=$!\n")  # fmt: skip


# vhost's threads are the kernel's; they belong to CPU0 as well.
PIN_VHOST = """
for p in /proc/[0-9]*; do
    if grep -qs '^vhost-' $p/comm; then taskset -p 1 ${p##*/} >/dev/null; fi
done
"""


class Machine:
    """L1 with everything that any attachment needs, and L2 in it. Images are made once, in `folder`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        inner_kernel, inner_initramfs = guest_image("--vmlinux", "--modules", "ixgbevf,e1000e,virtio_pci,virtio_net", "--with", "ip,ethtool",
                                                    "--add", f"{build_frames(folder)}:/bin/frames")  # fmt: skip
        self.kernel, self.initramfs = hypervisors.outer_image("", folder, {inner_kernel: "vmlinux", inner_initramfs: "initramfs"}, MODULES, PROGRAMS,
                                                              {self.folder / "frames": "/bin/frames"})  # fmt: skip

    def options(self, script, iommu):
        """Vitrine's, for an L1 that runs the script."""
        initramfs = with_script(self.initramfs, script, self.folder / "outer.cpio")
        return ["--vmx", "on", "--iommu", iommu, "--kernel", self.kernel, "--initrd", initramfs, "--memory", "2G", "--cpus", 2, *ADAPTERS, "--no-reboot",
                "--append", "console=ttyS0 panic=-1 intel_iommu=on iommu=pt ipv6.disable=1 irqaffinity=0 kvm.halt_poll_ns=0 "
                f"vfio_iommu_type1.allow_unsafe_interrupts={int('intremap=off' in iommu)} vitrine.run={encode('sh /script')}"]  # fmt: skip
