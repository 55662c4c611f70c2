# SPDX-License-Identifier: Apache-2.0
# Guests that are hosts: images with KVM and Debian's QEMU in them, and the shell commands that start the next level.

from machines import encode, guest_image

QEMU_FILES = {
    "/usr/share/qemu/linuxboot_dma.bin": "/usr/share/qemu/linuxboot_dma.bin",
    "/usr/share/qemu/kvmvapic.bin": "/usr/share/qemu/kvmvapic.bin",
    "/usr/share/seabios/bios-256k.bin": "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/qboot.rom": "/usr/share/qemu/bios-microvm.bin",
}


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
