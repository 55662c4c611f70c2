// SPDX-License-Identifier: Apache-2.0
// MTRR values (SDM volume 3, "Memory Type Range Registers").
#include "firmware/mtrr.h"

#include "memory/space.h"
#include "words/bits.h"

#include <algorithm>
#include <bit>

namespace vitrine::firmware {

namespace {

enum MtrrMsr : u32 {
    physbase0 = 0x200,
    physmask0 = 0x201,
    fix64k_00000 = 0x250,
    fix16k_80000 = 0x258,
    fix16k_a0000 = 0x259,
    fix4k_c0000 = 0x268,
    def_type = 0x2ff,
};

enum Type : u64 { uncacheable = 0, write_protected = 5, write_back = 6 };

constexpr u64 eight(Type t) {
    return 0x0101'0101'0101'0101 * t;
}

} // namespace

std::vector<MsrValue> memory_types(const Board& board) {
    constexpr u64 fixed_enable = bit(10), enable = bit(11), valid = bit(11);
    constexpr unsigned pairs = 8;
    std::vector<MsrValue> msrs{
        {fix64k_00000, eight(write_back)}, {fix16k_80000, eight(write_back)}, {fix16k_a0000, eight(uncacheable)}};
    for (u32 i = 0; i < 8; ++i)
        msrs.push_back({fix4k_c0000 + i, eight(write_protected)});
    unsigned used = 0;
    // Each piece is as large as its alignment allows.
    const auto cover = [&](u64 base, u64 size) {
        while (size > 0 && used < pairs) {
            u64 piece = std::bit_floor(size);
            if (base)
                piece = std::min(piece, base & -base);
            msrs.push_back({physbase0 + 2 * used, base | uncacheable});
            msrs.push_back(
                {physmask0 + 2 * used, (low_mask(board.processor.physical_address_bits) & ~(piece - 1)) | valid});
            ++used;
            base += piece;
            size -= piece;
        }
    };
    cover(Space::low_end, Space::high_start - Space::low_end);
    cover(board.mmio64.base, board.mmio64.size);
    msrs.push_back({def_type, enable | fixed_enable | write_back});
    return msrs;
}

} // namespace vitrine::firmware
