// SPDX-License-Identifier: Apache-2.0
// Bits of a word: masks, fields with names, and layouts that are lists of fields; freestanding.
#pragma once

#include "words/integers.h"

#include <bit>
#include <type_traits>

namespace vitrine {

constexpr u64 bit(unsigned n) { return 1ull << n; }

/// The lowest `n` bits set; n = 64 gives all ones.
constexpr u64 low_mask(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

/// Bits `high` down to `low`, as the manuals print them.
constexpr u64 bits(u64 value, unsigned high, unsigned low) { return (value >> low) & low_mask(high - low + 1); }

constexpr u64 align_down(u64 value, u64 to) { return value & ~(to - 1); }

constexpr u64 align_up(u64 value, u64 to) { return (value + to - 1) & ~(to - 1); }

constexpr bool is_aligned(u64 value, u64 to) { return (value & (to - 1)) == 0; }

/// Sign-extends the lowest `n` bits.
constexpr u64 sign_extend(u64 value, unsigned n) {
    return static_cast<u64>(static_cast<i64>(value << (64 - n)) >> (64 - n));
}

/// What software may do with a field of a register.
enum class FieldKind : u8 {
    rw,       ///< read and write
    ro,       ///< writes are ignored
    rw1c,     ///< writing 1 clears
    rw1s,     ///< writing 1 sets
    wo,       ///< reads as zero
    reserved, ///< writes are ignored, and told
};
inline constexpr FieldKind rw = FieldKind::rw, ro = FieldKind::ro, rw1c = FieldKind::rw1c, rw1s = FieldKind::rw1s,
                           wo = FieldKind::wo;

/// A run of bits in a word, with the name that the manual gives it.
class Field {
public:
    constexpr Field(u8 low, FieldKind kind, const char* name, const char* meaning)
        : Field(low, low, kind, name, meaning) {}

    /// `first` and `last` in either order: the manual's 15:8 and our 8, 15 are the same field.
    constexpr Field(u8 first, u8 last, FieldKind kind, const char* name, const char* meaning)
        : low_(first < last ? first : last), high_(first < last ? last : first), kind_(kind), name_(name),
          meaning_(meaning) {}

    constexpr u64 operator()(u64 word) const { return bits(word, high_, low_); }

    constexpr u64 mask() const { return low_mask(width()) << low_; }

    /// `word` with this field replaced by `value`.
    constexpr u64 with(u64 word, u64 value) const { return (word & ~mask()) | ((value << low_) & mask()); }

    constexpr unsigned low() const { return low_; }

    constexpr unsigned high() const { return high_; }

    constexpr unsigned width() const { return high_ - low_ + 1u; }

    constexpr FieldKind kind() const { return kind_; }

    constexpr const char* name() const { return name_; }

    constexpr const char* meaning() const { return meaning_; }

private:
    u8 low_, high_;
    FieldKind kind_;
    const char* name_;
    const char* meaning_;
};

} // namespace vitrine
