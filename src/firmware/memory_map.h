// SPDX-License-Identifier: Apache-2.0
// The memory map that kernels are given (E820): RAM, and what of the address space is taken.
#pragma once

#include "firmware/board.h"
#include "words/integers.h"

#include <vector>

namespace vitrine::firmware {

enum class MemoryType : u32 { ram = 1, reserved = 2, acpi_reclaim = 3, acpi_nvs = 4 };

struct MapEntry {
    u64 base;
    u64 size;
    MemoryType type;

    u64 end() const { return base + size; }

    bool operator==(const MapEntry&) const = default;
};

/// Ranges that never overlap: a later one takes what it covers from earlier ones. Sorted by address.
class MemoryMap {
public:
    void set(u64 base, u64 size, MemoryType type);

    const std::vector<MapEntry>& entries() const { return entries_; }

    /// KiB of RAM from 1 MiB up to the first address that is not plain RAM.
    u64 kib_above_1m() const;

    /// KiB of RAM from 0 to the EBDA.
    u64 kib_low() const;

private:
    std::vector<MapEntry> entries_;
};

/// Where firmware keeps its own things. All of it is RAM.
namespace low_memory {
inline constexpr u64 first_free = 0x1000; ///< below: interrupt vectors, BIOS data area
inline constexpr u64 ebda = 0x9fc00;      ///< 1 KiB
inline constexpr u64 vga = 0xa0000;
inline constexpr u64 bios = 0xf0000; ///< RSDP and SMBIOS, found here by scanning
inline constexpr u64 end = 0x10'0000;
} // namespace low_memory

struct RamSize {
    u64 below_4g;
    u64 above_4g;
};

/// `tables` and `nvs` are the ACPI tables and the FACS in RAM.
MemoryMap memory_map(const Board& board, RamSize ram, Window tables, Window nvs);

} // namespace vitrine::firmware
