// SPDX-License-Identifier: Apache-2.0
// A walk of the paging structures, EPT included, that changes nothing: by memory alone, or with the help of what is cached.
#pragma once

#include "x86/cpu.h"
#include "x86/page_rights.h"

#include <array>

namespace vitrine {

class StaleCache;

/// Where a linear address leads, before control registers are asked.
struct Mapped {
    u64 page = 0; ///< physical address of the 4 KiB page
    PageRights rights{};
    bool readable = true, writable = true, executable = true; ///< what the second level gives
};

Allowed allowed(const Cpu& cpu, const Mapped& mapped, Privilege privilege);

/// An entry that a walk came by; those of the second level too.
struct WalkStep {
    Physical at{};
    u64 value = 0;
    u8 level = 0;
    bool second = false;
};

/// A table that a walk went down to: what a paging-structure cache holds.
struct WalkTable {
    u64 address = 0; ///< physical
    u8 level = 0;    ///< of the entries in it: 1 is a page table
    PageRights rights{}; ///< given by all entries above
};

struct WalkResult {
    bool present = false;
    bool cached = false;    ///< something that is cached helped
    bool cached_second = false; ///< it was of the second level
    Mapped mapped;
    u8 size_log2 = 12; ///< the smaller one of both levels' pages
    bool global = false;
    u64 guest_physical = 0; ///< the last one that went through the second level
    unsigned steps_count = 0, tables_count = 0, seconds_count = 0;
    std::array<WalkStep, 40> steps;   ///< in the order in which they were read
    std::array<WalkTable, 5> tables;  ///< below the root
    struct Second {
        u64 guest_physical;
        SecondLevelLook look;
    };
    std::array<Second, 6> seconds; ///< looks at the second level by memory alone
};

/// Walks for `a` as the present registers say. `cache`: null for memory alone.
void look(Cpu& cpu, Linear a, StaleCache* cache, WalkResult& result);

} // namespace vitrine
