// SPDX-License-Identifier: Apache-2.0
// EPT paging-structure entries, and what makes one a misconfiguration (SDM volume 3, EPT Misconfigurations).
#pragma once

#include "vtx/spec/capabilities.h"

namespace vitrine::vtx {

/// An entry of any level; which of these mean something depends on the level.
struct EptEntry {
    Field readable{0, rw, "R", "data reads are allowed"};
    Field writable{1, rw, "W", "data writes are allowed"};
    Field executable{2, rw, "X", "instruction fetches are allowed; with mode-based execute control those by supervisor-mode addresses"};
    Field memory_type{5, 3, rw, "memory type", "of the page; reserved in an entry that refers to a table"};
    Field ignore_pat{6, rw, "IPAT", "the guest's PAT does not matter"};
    Field page{7, rw, "PS", "maps a page above the last level"};
    Field accessed{8, rw, "A", "has been used"};
    Field dirty{9, rw, "D", "the page has been written"};
    Field user_executable{10, rw, "XU", "instruction fetches by user-mode addresses are allowed"};
    Field sub_pages{61, rw, "SPP", "of a 4-KByte page: sub-page write permissions are asked"};
    Field suppress_ve{63, rw, "suppress #VE", "violations exit"};
} inline constexpr ept_entry;

inline constexpr unsigned most_ept_levels = 5;
inline constexpr const char* ept_level_names[most_ept_levels] = {"EPT PTE", "EPT PDE", "EPT PDPTE", "EPT PML4E", "EPT PML5E"};

/// How many levels the EPTP says: 4 or 5.
constexpr unsigned ept_levels(u64 eptp) { return static_cast<unsigned>(ept_pointer.walk_length(eptp)) + 1; }

/// Bits of a guest-physical address that so many levels translate.
constexpr unsigned ept_width(unsigned levels) { return 12 + 9 * levels; }

/// Whether the processor walks as many levels as the EPTP says. `capabilities`: IA32_VMX_EPT_VPID_CAP.
constexpr bool ept_walk_supported(u64 eptp, u64 capabilities) {
    const unsigned levels = ept_levels(eptp);
    return (levels == 4 && ept_vpid.walk_length_4(capabilities)) || (levels == 5 && ept_vpid.walk_length_5(capabilities));
}

/// The level of the root is the highest, 1 the last one.
constexpr bool ept_leaf(u64 entry, unsigned level) { return level == 1 || (level < 4 && ept_entry.page(entry)); }

/// What is wrong with a present entry; null: nothing. `capabilities`: IA32_VMX_EPT_VPID_CAP.
constexpr const char* ept_misconfiguration(u64 entry, unsigned level, u64 capabilities, unsigned physical_bits) {
    const bool leaf = ept_leaf(entry, level);
    if (!ept_entry.readable(entry) && ept_entry.writable(entry))
        return "writable and not readable";
    if (!ept_entry.readable(entry) && !ept_vpid.execute_only(capabilities))
        return "executable and not readable, without support for execute-only translations";
    if (entry & ~low_mask(physical_bits) & low_mask(52))
        return "an address beyond the physical-address width";
    if (!leaf)
        return entry & 0xf8 ? "a reserved bit among 7:3" : nullptr;
    if ((level == 3 && !ept_vpid.page_1g(capabilities)) || (level == 2 && !ept_vpid.page_2m(capabilities)))
        return "a page of a size that is not supported";
    if (entry & (level == 3 ? 0x3fff'f000 : level == 2 ? 0x1f'f000 : 0))
        return "low address bits of a large page";
    const u64 type = ept_entry.memory_type(entry);
    return type == 2 || type == 3 || type == 7 ? "a reserved memory type" : nullptr;
}

} // namespace vitrine::vtx
