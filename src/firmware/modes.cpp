// SPDX-License-Identifier: Apache-2.0
// Control registers, segments, a GDT and page tables for a kernel's first instruction.
#include "firmware/modes.h"

#include "firmware/bytes.h"

namespace vitrine::firmware {

namespace {

constexpr u64 cr0_pe = bit(0), cr0_et = bit(4), cr0_pg = bit(31);
constexpr u64 cr4_pae = bit(5);
constexpr u64 efer_lme = bit(8), efer_lma = bit(10);

// Selectors as the Linux boot protocol demands them; the others do not care.
constexpr u16 code_selector = 0x10, data_selector = 0x18, tss_selector = 0x20;
constexpr u16 gdt_entries = 6; ///< null, unused, code, data, TSS of two

constexpr SegmentState code_32{code_selector, 0, 0xffff'ffff, 0xc09b};
constexpr SegmentState code_64{code_selector, 0, 0xffff'ffff, 0xa09b};
constexpr SegmentState data{data_selector, 0, 0xffff'ffff, 0xc093};
constexpr SegmentState tss{tss_selector, 0, 0x67, 0x008b};

Expected<BootState> with_segments(Arena& arena, const SegmentState& code) {
    const u64 gdt = TRY(low_room(arena, gdt_entries * 8, 8));
    Bytes table;
    table.qword(0).qword(0).qword(descriptor(code)).qword(descriptor(data)).qword(descriptor(tss)).qword(0);
    arena.write(gdt, table.span());
    BootState s;
    s.cs = code;
    s.ds = s.es = s.ss = s.fs = s.gs = data;
    s.tr = tss;
    s.ldtr = {0, 0, 0, SegmentState::unusable};
    s.gdtr = {gdt, gdt_entries * 8 - 1};
    return s;
}

} // namespace

u64 descriptor(const SegmentState& s) {
    const u64 rights = s.access_rights;
    const u64 limit = bits(rights, 15, 15) ? s.limit >> 12 : s.limit;
    return bits(limit, 15, 0) | bits(s.base, 23, 0) << 16 | bits(rights, 7, 0) << 40 | bits(limit, 19, 16) << 48 |
           bits(rights, 15, 12) << 52 | bits(s.base, 31, 24) << 56;
}

Expected<u64> low_room(Arena& arena, u64 size, u64 align) {
    if (const auto at = arena.lowest(size, align, low_memory::first_free, Arena::four_gib))
        return *at;
    return Error("--memory: no " + std::to_string((size >> 10) + 1) +
                 " KiB are left beside the kernel for what it must be told; give more memory");
}

Expected<BootState> protected_mode(Arena& arena, u32 entry) {
    BootState s = TRY(with_segments(arena, code_32));
    s.rip = entry;
    s.cr0 = cr0_pe | cr0_et;
    return s;
}

Expected<BootState> long_mode(Arena& arena, u64 entry) {
    static constexpr u64 directories = 4; // of 1 GiB each
    static constexpr u64 present_writable = 3, page_2m = bit(7);
    BootState s = TRY(with_segments(arena, code_64));
    const u64 tables = TRY(low_room(arena, (2 + directories) * page_size, page_size));
    const u64 pointers = tables + page_size, first_directory = pointers + page_size;
    Bytes t;
    t.qword(pointers | present_writable).zeros(page_size - 8);
    for (u64 i = 0; i < directories; ++i)
        t.qword((first_directory + i * page_size) | present_writable);
    t.zeros(page_size - 8 * directories);
    for (u64 i = 0; i < directories * 512; ++i)
        t.qword(i * 2_MiB | present_writable | page_2m);
    arena.write(tables, t.span());
    s.rip = entry;
    s.cr0 = cr0_pe | cr0_et | cr0_pg;
    s.cr3 = tables;
    s.cr4 = cr4_pae;
    s.efer = efer_lme | efer_lma;
    return s;
}

} // namespace vitrine::firmware
