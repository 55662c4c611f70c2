// SPDX-License-Identifier: Apache-2.0
// Multiboot Specification 0.6.96: the header that a kernel shows and the information that it gets.
#pragma once

#include "words/bits.h"
#include "words/integers.h"

namespace vitrine::firmware::multiboot {

inline constexpr u32 header_magic = 0x1bad'b002;
inline constexpr u32 loader_magic = 0x2bad'b002; ///< in EAX
inline constexpr u64 search_length = 8192;

// Header, offsets from the magic.
inline constexpr u64 flags = 4, checksum = 8, header_addr = 12, load_addr = 16, load_end_addr = 20, bss_end_addr = 24,
                     entry_addr = 28;

// Bits 15:0 must be understood by the loader; bits 31:16 may be ignored.
inline constexpr u32 align_modules = bit(0);
inline constexpr u32 want_memory = bit(1);
inline constexpr u32 want_video = bit(2);
inline constexpr u32 must_understand = 0xffff;
inline constexpr u32 address_fields = bit(16);

/// Information: offsets, and the flag that says the field is there.
namespace info {
inline constexpr u64 flags = 0, mem_lower = 4, mem_upper = 8, cmdline = 16, mods_count = 20, mods_addr = 24,
                     mmap_length = 44, mmap_addr = 48, boot_loader_name = 64, size = 120;
inline constexpr u32 has_memory = bit(0), has_cmdline = bit(2), has_mods = bit(3), has_mmap = bit(6),
                     has_boot_loader_name = bit(9);
} // namespace info

inline constexpr u64 module_size = 16;
inline constexpr u64 mmap_entry_size = 24; ///< with its size field, which does not count itself

} // namespace vitrine::firmware::multiboot
