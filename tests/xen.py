#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Debian's Xen: the stock kernel as PV domain 0 starts, with Xen's own tools, a PVH guest of the stock kernel, which computes and ends.

import argparse
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
options = parser.parse_args()

QUESTION = "nproc; dmesg | grep 'Hypervisor detected'; sha256sum /bin/busybox; echo inner ended"

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
cat >/guest.cfg <<END
name="guest"
type="pvh"
kernel="/inner/vmlinuz"
ramdisk="/inner/initramfs"
cmdline="console=hvc0 panic=-1 vitrine.run={encode(QUESTION)}"
memory=256
vcpus={options.cpus}
END
xl create /guest.cfg || exit 14
i=0
while [ $i -lt 60 ] && xl domid guest 2>/dev/null >&2; do sleep 1; i=$((i+1)); done
cat {LOG}/*
xl list
sha256sum /bin/busybox
"""

with tempfile.TemporaryDirectory() as folder:
    script = Path(folder) / "script"
    script.write_text(SCRIPT)
    inner_kernel, inner_initramfs = guest_image()
    tools = ",".join(f"{TOOLS}/{tool}" for tool in ("xl", "xenstored", "xenconsoled", "xen-init-dom0"))
    kernel, initramfs = guest_image("--modules", MODULES, "--with", tools, "--add", f"{LIBGCC}:{LIBGCC}", "--add", f"{script}:/script",
                                    "--add", f"{inner_kernel}:/inner/vmlinuz", "--add", f"{inner_initramfs}:/inner/initramfs")  # fmt: skip
iommu = "iommu=verbose,intremap" if options.iommu else ""
finished = run(options.vitrine, "--vmx", "on", "--iommu", "on" if options.iommu else "off", "--kernel", XEN, "--append",
               f"no-real-mode edd=off com1=115200,8n1 console=com1 dom0_mem=1024M loglvl=all {iommu}".rstrip(), "--module",
               f"{kernel},console=hvc0 panic=-1 vitrine.run={encode('sh /script')}", "--module", initramfs, "--memory", "2G", "--cpus", options.cpus,
               "--no-reboot", "--stats", timeout=options.timeout)  # fmt: skip
check(finished.returncode == 0, "Vitrine's exit status is not 0", finished)
text = finished.stdout.replace("\r", "")
check("(XEN) HVM: VMX enabled" in text and "(XEN) HVM: Hardware Assisted Paging (HAP) detected" in text, "Xen does not see VT-x", finished)
if options.iommu:
    for wanted in ("Intel VT-d Queued Invalidation enabled", "Intel VT-d Interrupt Remapping enabled", "I/O virtualisation enabled"):
        check(f"(XEN) {wanted}" in text, f"Xen does not say: {wanted}", finished)
    check(re.search(r"^count vtd\.fault\.recorded 0$", finished.stderr, re.M), "there were faults", finished)
    check(not re.search(r"^count vtd\.interrupt\.remapped 0$", finished.stderr, re.M), "no interrupt was remapped", finished)
told = text[text.index("VITRINE-RUN-BEGIN") :]
check(re.search(r"^xen_caps .* hvm-3\.0-x86_64", told, re.M), "HVM is not available", finished)
check("inner ended" in told, "the guest has not run its command", finished)
check(re.search(r"Hypervisor detected: Xen HVM", told), "the guest does not see Xen", finished)
check(f"\n{options.cpus}\n" in told, f"the guest does not count {options.cpus} processors", finished)
sums = re.findall(r"^([0-9a-f]{64})  /bin/busybox$", told, re.M)
check(len(sums) == 2 and sums[0] == sums[1], f"digests: {sums}", finished)
check("reboot: System halted" in told, "the guest has not halted", finished)  # Xen gives a PVH guest nothing to power off by
check(not re.search(r"^guest ", told, re.M), "Xen still has the guest", finished)
check("reboot: Power down" in told, "domain 0 has not powered off", finished)
check(re.search(r"^VITRINE-RUN-END status 0$", told, re.M), "the command in domain 0 failed", finished)
exits = dict(re.findall(r"^count vmx\.exit\.(\w+) (\d+)$", finished.stderr, re.M))
print(f"Xen with a PVH guest of {options.cpus} processors: {sum(map(int, exits.values()))} exits; {re.search('instructions .*', finished.stderr)[0]}")
