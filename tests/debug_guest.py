# SPDX-License-Identifier: Apache-2.0
# Builds the guest for debuggers (tests/debug) with the compiler that built Vitrine's own code.

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "debug"


def build(folder):
    """The guest's ELF file, which PVH boots; it has symbols and lines for gdb."""
    elf = Path(folder, "guest.elf")
    subprocess.run(
        ["gcc", "-g", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector",
         "-fcf-protection=none", "-nostdlib", "-static", "-Wl,-Ttext-segment=0x100000,-e,start32,--build-id=none",
         "-o", elf, SOURCES / "entry.S", SOURCES / "guest.c"],
        check=True,
    )  # fmt: skip
    return elf
