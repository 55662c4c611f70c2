// SPDX-License-Identifier: Apache-2.0
// Banks of registers.
#include "vtc/bank.h"

#include <algorithm>

namespace vitrine::vtc {

namespace {

/// Whether a register's value says nothing about filters, pools and queues.
constexpr bool is_traffic(Effect effect) {
    switch (effect) {
    case Effect::counter:
    case Effect::queue:
    case Effect::cause:
    case Effect::cause_set:
    case Effect::mask_set:
    case Effect::mask_clear:
    case Effect::vector_cause:
    case Effect::vector_cause_set:
    case Effect::vector_mask_set:
    case Effect::vector_mask_clear:
    case Effect::throttle:
    case Effect::time:
    case Effect::stamp:
    case Effect::mailbox:
    case Effect::mailbox_memory:
    case Effect::mailbox_cause:
        return true;
    default:
        return false;
    }
}

} // namespace

Bank::Bank(std::span<const RegisterRow> rows, u32 size) : rows_(rows), slots_(size / 4, nowhere) {
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const RegisterRow& row = rows[r];
        for (u32 i = 0; i < row.count; ++i) {
            const u32 dword = (row.offset + i * row.stride) / 4;
            VERIFY(dword < slots_.size() && slots_[dword] == nowhere);
            slots_[dword] = static_cast<u16>(row_of_.size());
            row_of_.push_back(static_cast<u16>(r));
            traffic_.push_back(is_traffic(row.effect));
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
    ++version_;
    for (std::size_t n = 0; n < values_.size(); ++n)
        values_[n] = rows_[row_of_[n]].reset;
}

void Bank::state(Visitor& v) {
    version_ += v.loading();
    v.bytes("registers", {reinterpret_cast<u8*>(values_.data()), values_.size() * 4});
}

} // namespace vitrine::vtc
