// SPDX-License-Identifier: Apache-2.0
// Weighted strict priority: classes that go first, then the others by their credits.
#include "vtc/traffic_classes.h"

#include <algorithm>
#include <bit>

namespace vitrine::vtc {

namespace {

constexpr i64 least_share = 64; ///< bytes: a class without credits must not stop the wire

bool has(u8 ready, unsigned n) { return ready >> n & 1; }

} // namespace

unsigned Arbiter::next(u8 ready, const ClassRules& rules) {
    payer_ = nobody;
    if (!rules.weighted) {
        do
            last_ = static_cast<u8>((last_ + 1) % most_classes);
        while (!has(ready, last_));
        return last_;
    }
    for (unsigned n = most_classes; n-- > 0;)
        if (has(ready, n) && rules.shares[n].first_of_all)
            return n; // on nobody's credits
    for (;;) {
        for (unsigned k = 0; k < most_classes; ++k) {
            const unsigned n = (last_ + k) % most_classes;
            if (!has(ready, n) || credits_[n] <= 0)
                continue;
            payer_ = last_ = static_cast<u8>(n);
            for (unsigned other = most_classes; other-- > 0;)
                if (has(ready, other) && rules.shares[other].first_in_group && rules.shares[other].group == rules.shares[n].group)
                    return other;
            return n;
        }
        // As many rounds of credits as the first of them needs.
        i64 rounds = -1;
        for (unsigned n = 0; n < most_classes; ++n)
            if (has(ready, n)) {
                const i64 refill = std::max<i64>(rules.shares[n].refill, least_share), needed = -credits_[n] / refill + 1;
                rounds = rounds < 0 ? needed : std::min(rounds, needed);
            }
        for (unsigned n = 0; n < most_classes; ++n)
            if (has(ready, n)) {
                const i64 refill = std::max<i64>(rules.shares[n].refill, least_share);
                credits_[n] = std::min(credits_[n] + rounds * refill, std::max<i64>(rules.shares[n].most, refill));
            }
        last_ = static_cast<u8>((last_ + 1) % most_classes);
    }
}

void Arbiter::sent(u64 bytes) {
    if (payer_ != nobody)
        credits_[payer_] -= static_cast<i64>(bytes);
}

void Arbiter::state(Visitor& v) {
    v.field("credits", credits_);
    v.field("last", last_);
    v.field("payer", payer_);
    if (v.loading())
        for (i64& c : credits_) // what a frame or a share can make of them
            c = std::clamp<i64>(c, -(i64{1} << 32), i64{1} << 32);
}

} // namespace vitrine::vtc
