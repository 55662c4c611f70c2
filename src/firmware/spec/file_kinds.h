// SPDX-License-Identifier: Apache-2.0
// Files that somebody may take for a kernel of this machine, by their magic; and ELF and PE machine numbers by name.
#pragma once

#include "words/integers.h"

namespace vitrine::firmware {

struct FileKind {
    u64 offset;
    const char* magic;
    u64 length;
    const char* what; ///< completes "is ..."
};

// clang-format off
inline constexpr FileKind file_kinds[] = {
    {0x38, "ARM\x64",                  4, "a Linux Image for AArch64; this machine is x86-64"},
    {0x24, "\x18\x28\x6f\x01",         4, "a Linux zImage for 32-bit ARM; this machine is x86-64"},
    {0x38, "RSC\x05",                  4, "a Linux Image for RISC-V; this machine is x86-64"},
    {0x04, "zimg",                     4, "a compressed EFI kernel (zboot) of another architecture; give an x86 bzImage"},
    {0x00, "\x27\x05\x19\x56",         4, "a U-Boot image; give the kernel inside it"},
    {0x00, "\xd0\x0d\xfe\xed",         4, "a device tree; give a kernel"},
    {0x00, "\xfd" "7zXZ",              5, "compressed with xz; decompress it first (only gzip is understood)"},
    {0x00, "\x28\xb5\x2f\xfd",         4, "compressed with zstd; decompress it first (only gzip is understood)"},
    {0x00, "BZh",                      3, "compressed with bzip2; decompress it first (only gzip is understood)"},
    {0x00, "\x02\x21\x4c\x18",         4, "compressed with lz4; decompress it first (only gzip is understood)"},
    {0x00, "070701",                   6, "a cpio archive; give it with --initrd"},
    {0x00, "QFI\xfb",                  4, "a qcow2 disk image; give a kernel"},
    {0x00, "!<arch>",                  7, "an archive or a Debian package; give a kernel"},
    {0x8001, "CD001",                  5, "a CD image; give the kernel that is on it"},
    {0x1fe, "\x55\xaa",                2, "a boot sector or disk image, no Linux bzImage; give a kernel"},
};

struct MachineName {
    u16 number;
    const char* name;
};

inline constexpr MachineName elf_machines[] = {
    {2, "SPARC"}, {3, "i386"}, {8, "MIPS"}, {20, "PowerPC"}, {21, "64-bit PowerPC"}, {22, "s390"}, {40, "32-bit ARM"},
    {43, "64-bit SPARC"}, {50, "Itanium"}, {62, "x86-64"}, {183, "AArch64"}, {243, "RISC-V"}, {247, "BPF"}, {258, "LoongArch"},
};

inline constexpr MachineName pe_machines[] = {
    {0x14c, "i386"}, {0x1c0, "32-bit ARM"}, {0x1c2, "32-bit ARM"}, {0x200, "Itanium"}, {0x5032, "RISC-V"}, {0x5064, "RISC-V"},
    {0x6232, "LoongArch"}, {0x6264, "LoongArch"}, {0x8664, "x86-64"}, {0xaa64, "AArch64"},
};
// clang-format on

inline constexpr u16 elf_i386 = 3, elf_x86_64 = 62;

} // namespace vitrine::firmware
