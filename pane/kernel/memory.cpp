// SPDX-License-Identifier: Apache-2.0
// The list of free ranges: first fit from the top, so that what must lie low finds room.
#include "pane/kernel/memory.h"

#include "pane/kernel/panic.h"
#include "pane/kernel/processor.h"
#include "words/bits.h"

extern "C" char pane_start[], pane_code_end[], pane_end[];

namespace vitrine::pane {

namespace {

constexpr unsigned most_ranges = 96;
constexpr u64 mapped_end = 1ull << 32, low_end = 1 << 20;

MemoryRange ranges[most_ranges];
unsigned range_count;

void add(u64 base, u64 end) {
    if (base >= end)
        return;
    if (range_count == most_ranges)
        panic("memory is in more than {} pieces", most_ranges);
    ranges[range_count++] = {base, end - base};
}

/// What lies between `base` and `end` is no longer free.
void take(u64 base, u64 end) {
    for (unsigned n = range_count; n-- > 0;) {
        const MemoryRange r = ranges[n];
        if (r.end() <= base || end <= r.base)
            continue;
        ranges[n] = ranges[--range_count];
        add(r.base, base < r.base ? r.base : base);
        add(end < r.end() ? end : r.end(), r.end());
    }
}

} // namespace

void clear_pages(u64 base, u64 size) {
    u64 count = size / 8;
    asm volatile("rep stosq" : "+D"(base), "+c"(count) : "a"(0ull) : "memory");
}

void memory_start(const BootInformation& boot) {
    for (unsigned n = 0; n < boot.ram_count; ++n) {
        const MemoryRange& r = boot.ram[n];
        const u64 base = align_up(r.base, 4096), end = align_down(r.end() < mapped_end ? r.end() : mapped_end, 4096);
        add(base < low_end ? low_end : base, end); // below 1 MiB lie tables, and the page where processors start
    }
    take(reinterpret_cast<u64>(pane_start), reinterpret_cast<u64>(pane_end));
    for (unsigned n = 0; n < boot.module_count; ++n)
        take(align_down(boot.modules[n].memory.base, 4096), align_up(boot.modules[n].memory.end(), 4096));
}

u64 code_checksum() {
    u64 sum = 0;
    for (const auto* at = reinterpret_cast<const u64*>(pane_start); at < reinterpret_cast<const u64*>(pane_code_end); ++at)
        sum = (sum << 1 | sum >> 63) ^ *at;
    return sum;
}

u64 try_allocate(u64 size, u64 align) {
    size = align_up(size, 4096);
    for (unsigned n = 0; n < range_count; ++n) {
        const MemoryRange r = ranges[n];
        if (r.size < size)
            continue;
        const u64 base = align_down(r.end() - size, align);
        if (base < r.base)
            continue;
        take(base, base + size);
        clear_pages(base, size);
        return base;
    }
    return 0;
}

u64 allocate(u64 size, u64 align) {
    const u64 base = try_allocate(size, align);
    if (!base)
        panic("no room for {} bytes; {} are free", size, free_memory());
    return base;
}

void map_devices(u64 base, u64 size) {
    constexpr u64 present_write = 3, uncached = 0x18, large = 0x80, address_mask = 0x000f'ffff'ffff'f000;
    const auto table = [](u64& entry) {
        if (!entry)
            entry = allocate(4096) | present_write;
        return reinterpret_cast<u64*>(entry & address_mask);
    };
    if (base + size <= mapped_end)
        return;
    for (u64 at = align_down(base < mapped_end ? mapped_end : base, large_page); at < base + size; at += large_page) {
        u64* pdpt = table(reinterpret_cast<u64*>(read_cr3() & address_mask)[bits(at, 47, 39)]);
        table(pdpt[bits(at, 38, 30)])[bits(at, 29, 21)] = at | present_write | uncached | large; // nothing was there, so nothing is cached of it
    }
}

u64 free_memory() {
    u64 sum = 0;
    for (unsigned n = 0; n < range_count; ++n)
        sum += ranges[n].size;
    return sum;
}

} // namespace vitrine::pane
