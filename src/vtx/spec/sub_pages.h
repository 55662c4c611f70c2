// SPDX-License-Identifier: Apache-2.0
// The sub-page-permission table: four levels, of which the last holds the write permissions of a page's 32 sub-pages
// (SDM volume 3, Sub-Page Write Permissions).
#pragma once

#include "words/bits.h"

namespace vitrine::vtx {

inline constexpr u64 sub_page_size = 128;
inline constexpr unsigned sub_page_levels = 4;

/// An entry of the levels above the last one.
struct SubPageTableEntry {
    Field valid{0, rw, "valid", "there is a table"};
    Field reserved{11, 1, rw, "reserved", "must be zero, as bits 63:N (N is the physical-address width)"};
} inline constexpr sub_page_table_entry;

/// Of the last level: bit 2n is the permission of sub-page n.
inline constexpr u64 sub_page_reserved = 0xaaaa'aaaa'aaaa'aaaa;

constexpr bool sub_page_writable(u64 entry, u64 address) {
    return entry >> (2 * (address % 4096 / sub_page_size)) & 1;
}

} // namespace vitrine::vtx
