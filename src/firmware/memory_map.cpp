// SPDX-License-Identifier: Apache-2.0
// Builds the memory map by painting ranges over each other.
#include "firmware/memory_map.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine::firmware {

void MemoryMap::set(u64 base, u64 size, MemoryType type) {
    if (size == 0)
        return;
    const u64 end = base + size;
    VERIFY(end > base);
    std::vector<MapEntry> kept;
    for (const MapEntry& e : entries_) {
        if (e.base < base)
            kept.push_back({e.base, std::min(e.end(), base) - e.base, e.type});
        if (e.end() > end) {
            const u64 from = std::max(e.base, end);
            kept.push_back({from, e.end() - from, e.type});
        }
    }
    kept.push_back({base, size, type});
    std::sort(kept.begin(), kept.end(), [](const MapEntry& a, const MapEntry& b) { return a.base < b.base; });
    entries_.clear();
    for (const MapEntry& e : kept) {
        if (!entries_.empty() && entries_.back().end() == e.base && entries_.back().type == e.type)
            entries_.back().size += e.size;
        else
            entries_.push_back(e);
    }
}

u64 MemoryMap::kib_above_1m() const {
    for (const MapEntry& e : entries_)
        if (e.type == MemoryType::ram && e.base <= low_memory::end && e.end() > low_memory::end)
            return (e.end() - low_memory::end) >> 10;
    return 0;
}

u64 MemoryMap::kib_low() const {
    return !entries_.empty() && entries_[0].base == 0 && entries_[0].type == MemoryType::ram ? entries_[0].size >> 10
                                                                                             : 0;
}

MemoryMap memory_map(const Board& board, RamSize ram, Window tables, Window nvs) {
    MemoryMap map;
    map.set(0, ram.below_4g, MemoryType::ram);
    map.set(1ull << 32, ram.above_4g, MemoryType::ram);
    map.set(low_memory::ebda, low_memory::end - low_memory::ebda, MemoryType::reserved);
    map.set(tables.base, tables.size, MemoryType::acpi_reclaim);
    map.set(nvs.base, nvs.size, MemoryType::acpi_nvs);
    map.set(board.ecam.base, board.ecam.size, MemoryType::reserved);
    map.set(board.io_apic_address, 0x1000, MemoryType::reserved);
    map.set(board.local_apic_address, 0x1000, MemoryType::reserved);
    if (board.hpet_address)
        map.set(*board.hpet_address, 0x1000, MemoryType::reserved);
    for (const NamedWindow& w : board.fixed_mmio)
        map.set(w.window.base, w.window.size, MemoryType::reserved);
    return map;
}

} // namespace vitrine::firmware
