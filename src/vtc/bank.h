// SPDX-License-Identifier: Apache-2.0
// A bank of 32-bit registers made from a table of rows: found at once, masked as the rows say.
#pragma once

#include "base/error.h"
#include "base/visitor.h"
#include "vtc/spec/rows.h"

#include <span>
#include <vector>

namespace vitrine::vtc {

class Bank {
public:
    /// `size` is the region's, in bytes; the rows outlive the bank and do not overlap.
    Bank(std::span<const RegisterRow> rows, u32 size);

    struct Place {
        const RegisterRow* row = nullptr; ///< null: no register there
        u32 slot = 0;
        u32 index = 0; ///< in the row's array
    };

    /// `offset` is a multiple of 4 inside the region.
    Place find(u32 offset) const;

    /// A register that the table has.
    u32& at(u32 offset) { return changing(slot_of(offset)); }
    u32 get(u32 offset) const { return values_[slot_of(offset)]; }
    /// The same by what find() gave.
    u32& value(const Place& place) { return changing(place.slot); }

    /// Grows whenever a register may have changed that is more than traffic: what is made of registers stays right as long as it does not.
    u64 version() const { return version_; }

    /// Counts in a register that stops at its end.
    void count(u32 offset, u64 n = 1);
    /// The same in a 36- or 64-bit counter of two registers.
    void count_wide(u32 offset, u64 n);

    std::span<const RegisterRow> rows() const { return rows_; }

    void reset();
    void state(Visitor& v);

private:
    static constexpr u16 nowhere = 0xffff;

    u16 slot_of(u32 offset) const {
        const u16 slot = slots_[offset / 4];
        VERIFY(slot != nowhere);
        return slot;
    }
    u32& changing(u32 slot) {
        version_ += !traffic_[slot];
        return values_[slot];
    }

    std::span<const RegisterRow> rows_;
    std::vector<u16> slots_; ///< by dword of the region
    std::vector<u16> row_of_;
    std::vector<u8> traffic_; ///< by slot: changes with every frame or interrupt
    std::vector<u32> values_;
    u64 version_ = 0;
};

} // namespace vitrine::vtc
