// SPDX-License-Identifier: Apache-2.0
// Banks of registers.
#include "vtc/bank.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine::vtc {

Bank::Bank(std::span<const RegisterRow> rows, u32 size) : rows_(rows), slots_(size / 4, nowhere) {
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const RegisterRow& row = rows[r];
        for (u32 i = 0; i < row.count; ++i) {
            const u32 dword = (row.offset + i * row.stride) / 4;
            VERIFY(dword < slots_.size() && slots_[dword] == nowhere);
            slots_[dword] = static_cast<u16>(row_of_.size());
            row_of_.push_back(static_cast<u16>(r));
        }
    }
    VERIFY(row_of_.size() < nowhere);
    values_.resize(row_of_.size());
    reset();
}

Bank::Place Bank::find(u32 offset) const {
    const u16 slot = slots_[offset / 4];
    if (slot == nowhere)
        return {};
    const RegisterRow& row = rows_[row_of_[slot]];
    return {&row, slot, row.stride ? (offset - row.offset) / row.stride : 0};
}

u32& Bank::at(u32 offset) {
    const Place place = find(offset);
    VERIFY(place.row);
    return values_[place.slot];
}

u32 Bank::get(u32 offset) const {
    const Place place = find(offset);
    VERIFY(place.row);
    return values_[place.slot];
}

void Bank::count(u32 offset, u64 n) {
    u32& value = at(offset);
    value = static_cast<u32>(std::min<u64>(value + n, 0xffff'ffff));
}

void Bank::count_wide(u32 offset, u64 n) {
    u32 &low = at(offset), &high = at(offset + 4);
    const u64 sum = (static_cast<u64>(high) << 32 | low) + n;
    low = static_cast<u32>(sum);
    high = static_cast<u32>(sum >> 32);
}

void Bank::reset() {
    for (std::size_t n = 0; n < values_.size(); ++n)
        values_[n] = rows_[row_of_[n]].reset;
}

void Bank::state(Visitor& v) { v.bytes("registers", {reinterpret_cast<u8*>(values_.data()), values_.size() * 4}); }

} // namespace vitrine::vtc
