#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Debian's Xen: the stock kernel as PV or PVH domain 0 starts, with Xen's own tools, a PVH guest of the stock kernel, which computes and ends; or a PV
# guest that has a disk of its own: an NVMe controller assigned to it, whose DMA VT-d translates.

import argparse
import hashlib
import re
import tempfile
from pathlib import Path

from machines import check, encode, guest_image, run

XEN = Path("/boot/xen-4.17-amd64.gz")
TOOLS = "/usr/lib/xen-4.17/bin"
LIBGCC = "/lib/x86_64-linux-gnu/libgcc_s.so.1"  # pthread_cancel loads it by name
MODULES = "xenfs,xen-evtchn,xen-gntdev,xen-gntalloc,xen-privcmd"
LOG = "/var/log/xen/console"

parser = argparse.ArgumentParser(description="Boots Xen, a domain 0 and a PVH guest.")
parser.add_argument("vitrine", type=Path, help="the program under test")
parser.add_argument("--cpus", type=int, default=1)
parser.add_argument("--timeout", type=int, default=1500)
parser.add_argument("--iommu", action="store_true", help="with VT-d, which Xen then uses")
parser.add_argument("--dom0", choices=("pv", "pvh"), default="pv", help="what domain 0 is; pvh needs --iommu")
parser.add_argument("--assign", action="store_true", help="the guest is a PV guest with the disk's controller; needs --iommu")
options = parser.parse_args()

MIB = 1 << 20
noise = hashlib.shake_128(b"disk").digest(4 * MIB)
QUESTION = "nproc; dmesg | grep 'Hypervisor detected'; sha256sum /bin/busybox; echo inner ended"
DISK = """dmesg | grep 'Hypervisor detected'; sha256sum /dev/nvme0n1
dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k seek=32 count=32 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
sha256sum /dev/nvme0n1; grep nvme /proc/interrupts; sha256sum /bin/busybox; nproc; echo inner ended"""
# The disk's controller is taken from domain 0.
ASSIGN = """
modprobe xen-pciback
xl pci-assignable-add 0000:01:00.0 || exit 15
echo assignable $(xl pci-assignable-list)
"""

# It lies in the initramfs because Xen passes 1023 characters of command line to domain 0.
SCRIPT = f"""
export PATH=$PATH:{TOOLS}
mount -t xenfs xenfs /proc/xen
mkdir -p /etc/xen /run/xen /var/run/xen /var/run/xenstored /var/lib/xen /var/lib/xenstored {LOG}
>/etc/xen/xl.conf
xenstored --pid-file=/run/xenstored.pid || exit 11
sleep 1
xen-init-dom0 || exit 12
xenconsoled --log=guest --log-dir={LOG} --pid-file=/run/xenconsoled.pid || exit 13
xl info | grep -E '^(xen|virt)_caps'
{ASSIGN if options.assign else ""}
cat >/guest.cfg <<END
name="guest"
type="{"pv" if options.assign else "pvh"}"
kernel="/inner/vmlinuz"
ramdisk="/inner/initramfs"
cmdline="console=hvc0 panic=-1 vitrine.run={encode(DISK if options.assign else QUESTION)}"
memory=256
vcpus={options.cpus}
{"pci=['0000:01:00.0']" if options.assign else ""}
END
xl create /guest.cfg || exit 14
i=0
while [ $i -lt {300 if options.assign else 60} ] && xl domid guest 2>/dev/null >&2; do sleep 1; i=$((i+1)); done
cat {LOG}/*
xl list
xl dmesg | grep -iE 'vt-d|d0:|iommu' | head -n 60
sha256sum /bin/busybox
"""

with tempfile.TemporaryDirectory() as folder:
    script = Path(folder) / "script"
    script.write_text(SCRIPT)
    disk = Path(folder) / "disk"
    disk.write_bytes(noise)
    inner_kernel, inner_initramfs = guest_image(*(("--modules", "xen-pcifront,nvme") if options.assign else ()))
    tools = ",".join(f"{TOOLS}/{tool}" for tool in ("xl", "xenstored", "xenconsoled", "xen-init-dom0"))
    carried = ("--carry", "xen-pciback") if options.assign else ()
    kernel, initramfs = guest_image("--modules", MODULES, *carried, "--with", tools, "--add", f"{LIBGCC}:{LIBGCC}", "--add", f"{script}:/script",
                                    "--add", f"{inner_kernel}:/inner/vmlinuz", "--add", f"{inner_initramfs}:/inner/initramfs")  # fmt: skip
    iommu = "iommu=verbose,intremap" if options.iommu else ""
    dom0 = "dom0=pvh" if options.dom0 == "pvh" else ""
    disks = ("--disk", f"{disk},discard") if options.assign else ()
    finished = run(options.vitrine, "--vmx", "on", "--iommu", "on" if options.iommu else "off", "--kernel", XEN, "--append",
                   " ".join(f"no-real-mode edd=off com1=115200,8n1 console=com1 dom0_mem=1024M loglvl=all {iommu} {dom0}".split()), "--module",
                   f"{kernel},console=hvc0 panic=-1 vitrine.run={encode('sh /script')}", "--module", initramfs, "--memory", "2G", "--cpus", options.cpus,
                   *disks, "--no-reboot", "--stats", timeout=options.timeout)  # fmt: skip
check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
text = finished.stdout.replace("\r", "")
check("(XEN) HVM: VMX enabled" in text and "(XEN) HVM: Hardware Assisted Paging (HAP) detected" in text, "Xen does not see VT-x", finished)
if options.iommu:
    for wanted in ("Intel VT-d Queued Invalidation enabled", "Intel VT-d Interrupt Remapping enabled", "I/O virtualisation enabled"):
        check(f"(XEN) {wanted}" in text, f"Xen does not say: {wanted}", finished)
    check(re.search(r"^count vtd\.fault\.recorded 0$", finished.stderr, re.M), "there were faults", finished)
    check(not re.search(r"^count vtd\.interrupt\.remapped 0$", finished.stderr, re.M), "no interrupt was remapped", finished)
check(f"(XEN) *** Building a {options.dom0.upper()} Dom0 ***" in text, f"domain 0 is not {options.dom0}", finished)
told = text[text.index("VITRINE-RUN-BEGIN") :]
check(re.search(r"^xen_caps .* hvm-3\.0-x86_64", told, re.M), "HVM is not available", finished)
check("inner ended" in told, "the guest has not run its command", finished)
kind = "PV" if options.assign else "HVM"
check(re.search(rf"Hypervisor detected: Xen {kind}", told), "the guest does not see Xen", finished)
check(f"\n{options.cpus}\n" in told, f"the guest does not count {options.cpus} processors", finished)
sums = re.findall(r"^([0-9a-f]{64})  /bin/busybox$", told, re.M)
check(len(sums) == 2 and sums[0] == sums[1], f"digests: {sums}", finished)
if options.assign:
    check("assignable 0000:01:00.0" in told, "domain 0 has not given its device away", finished)
    disks = re.findall(r"^([0-9a-f]{64})  /dev/nvme0n1$", told, re.M)
    check(disks == [hashlib.sha256(data).hexdigest() for data in (noise, noise[: 2 * MIB] * 2)], f"what the disk holds: {disks}", finished)
    check(re.search(r" nvme0q1$", told, re.M), "the guest's disk has no interrupt", finished)
    traffic = dict(re.findall(r"^count vtd\.(domain\.\w+)\.bytes (\d+)$", finished.stderr, re.M))
    check(any(int(n) >= 8 * MIB for n in traffic.values()), f"the disk's DMA went through no domain: {traffic}", finished)
check("reboot: System halted" in told, "the guest has not halted", finished)  # Xen gives a PVH guest nothing to power off by
check(not re.search(r"^guest ", told, re.M), "Xen still has the guest", finished)
check("reboot: Power down" in told, "domain 0 has not powered off", finished)
check(re.search(r"^VITRINE-RUN-END status 0$", told, re.M), "the command in domain 0 failed", finished)
exits = dict(re.findall(r"^count vmx\.exit\.(\w+) (\d+)$", finished.stderr, re.M))
guest = "a PV guest with the NVMe controller" if options.assign else f"a PVH guest of {options.cpus} processors"
print(f"Xen, {options.dom0.upper()} domain 0, {guest}: {sum(map(int, exits.values()))} exits; {re.search('instructions .*', finished.stderr)[0]}")
