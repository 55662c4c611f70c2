# SPDX-License-Identifier: Apache-2.0
# Guests that are hosts: images with KVM and Debian's QEMU in them, and the shell commands that start the next level.

from machines import encode, guest_image, script_image

QEMU_FILES = {
    "/usr/share/qemu/pvh.bin": "/usr/share/qemu/pvh.bin",
    "/usr/share/qemu/linuxboot_dma.bin": "/usr/share/qemu/linuxboot_dma.bin",
    "/usr/share/qemu/kvmvapic.bin": "/usr/share/qemu/kvmvapic.bin",
    "/usr/share/seabios/bios-256k.bin": "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/qboot.rom": "/usr/share/qemu/bios-microvm.bin",
}


def outer_image(script, folder, inner, modules=(), programs=(), files=None):
    """Kernel and initramfs of a level that has KVM, VFIO and QEMU, the script, and `inner`: paths here and the names they have under /inner."""
    files = QEMU_FILES | {path: f"/inner/{name}" for path, name in inner.items()} | (files or {})
    added = [word for here, there in files.items() for word in ("--add", f"{here}:{there}")]
    return script_image(script, folder, "--vmlinux", "--modules", ",".join(["kvm,kvm_intel,vfio-pci,vfio_iommu_type1", *modules]),
                        "--with", ",".join(["qemu-system-x86_64", *programs]), *added)  # fmt: skip


def give_to_vfio(*devices):
    """A shell command that takes these from their drivers, and says which one each has then."""
    return f"""
for d in {" ".join(devices)}; do
    [ -e /sys/bus/pci/devices/$d/driver ] && echo $d >/sys/bus/pci/devices/$d/driver/unbind
    echo vfio-pci >/sys/bus/pci/devices/$d/driver_override
    echo $d >/sys/bus/pci/drivers_probe
    echo bound $d $(readlink /sys/bus/pci/devices/$d/driver | sed 's,.*/,,')
done"""


def image(kernel, initramfs):
    """Kernel and initramfs of a level that has KVM and QEMU, and in it, under /inner, those of the next level."""
    files = QEMU_FILES | {kernel: "/inner/vmlinuz", initramfs: "/inner/initramfs"}
    added = [word for here, there in files.items() for word in ("--add", f"{here}:{there}")]
    return guest_image("--vmlinux", "--modules", "kvm,kvm_intel", "--with", "qemu-system-x86_64", *added)


def start_guest(command, machine, processors, mebibytes):
    """A shell command that runs QEMU with a guest whose init runs `command`."""
    append = f"console=ttyS0 panic=-1 vitrine.run={encode(command)}"
    return (f"qemu-system-x86_64 -machine {machine} -accel kvm -cpu host -smp {processors} -m {mebibytes} -nodefaults -no-reboot "
            f"-display none -serial stdio -kernel /inner/vmlinuz -initrd /inner/initramfs -append '{append}' </dev/null")  # fmt: skip
