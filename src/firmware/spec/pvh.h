// SPDX-License-Identifier: Apache-2.0
// The PVH boot protocol: Xen's x86/HVM direct boot ABI and struct hvm_start_info.
#pragma once

#include "words/integers.h"

namespace vitrine::firmware::pvh {

inline constexpr u32 note_phys32_entry = 18; ///< XEN_ELFNOTE_PHYS32_ENTRY, of owner "Xen"
inline constexpr u32 start_magic = 0x336e'c578;
inline constexpr u32 start_version = 1; ///< with a memory map
inline constexpr u64 start_info_size = 56;
inline constexpr u64 module_size = 32;
inline constexpr u64 memory_entry_size = 24;

} // namespace vitrine::firmware::pvh
