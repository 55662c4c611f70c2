// SPDX-License-Identifier: Apache-2.0
// A set of the 256 interrupt vectors: IRR, ISR or TMR of a local APIC.
#pragma once

#include "base/visitor.h"
#include "words/bits.h"

#include <array>

namespace vitrine {

class VectorSet {
public:
    bool test(u8 vector) const { return (words_[vector / 64u] >> (vector % 64u)) & 1; }

    void set(u8 vector, bool member = true) {
        u64& word = words_[vector / 64u];
        word = member ? word | bit(vector % 64u) : word & ~bit(vector % 64u);
    }

    /// The highest vector, which has the highest priority; 0 of an empty set: vectors below 16 are never members.
    u8 highest() const {
        for (unsigned i = 4; i-- > 0;)
            if (words_[i])
                return static_cast<u8>(64 * i + 63 - static_cast<unsigned>(std::countl_zero(words_[i])));
        return 0;
    }

    /// Register n of the eight that show the set, 32 vectors each.
    u32 word(unsigned n) const { return static_cast<u32>(words_[n / 2] >> (32 * (n & 1))); }

    void clear() { words_ = {}; }

    void state(Visitor& v) {
        v.field("words", words_);
        if (v.loading())
            words_[0] &= ~0xffffull;
    }

private:
    std::array<u64, 4> words_{};
};

} // namespace vitrine
