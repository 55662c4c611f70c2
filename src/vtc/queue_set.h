// SPDX-License-Identifier: Apache-2.0
// A set of an adapter's queues, and the next of them in turn.
#pragma once

#include "words/integers.h"

#include <array>
#include <bit>

namespace vitrine::vtc {

class QueueSet {
public:
    static constexpr unsigned most = 128;

    void add(unsigned queue) { words_[queue / 64] |= u64{1} << (queue % 64); }
    void remove(unsigned queue) { words_[queue / 64] &= ~(u64{1} << (queue % 64)); }
    void add_all() { words_.fill(~u64{0}); }
    bool has(unsigned queue) const { return words_[queue / 64] >> (queue % 64) & 1; }
    bool any() const { return words_[0] | words_[1]; }
    QueueSet operator&(const QueueSet& o) const { return QueueSet{{words_[0] & o.words_[0], words_[1] & o.words_[1]}}; }

    /// The first that is `queue` or behind it, else the first of all; there must be one.
    unsigned next_from(unsigned queue) const {
        const unsigned first = queue / 64;
        if (const u64 rest = words_[first] & ~u64{0} << (queue % 64))
            return first * 64 + static_cast<unsigned>(std::countr_zero(rest));
        const unsigned other = words_[1 - first] ? 1 - first : first;
        // From the upper word it goes on in the lower one; from the lower word the upper one is behind it.
        return other * 64 + static_cast<unsigned>(std::countr_zero(words_[other]));
    }

    QueueSet() = default;

private:
    explicit QueueSet(std::array<u64, 2> words) : words_(words) {}

    std::array<u64, 2> words_{};
};

} // namespace vitrine::vtc
