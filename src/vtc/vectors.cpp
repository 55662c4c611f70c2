// SPDX-License-Identifier: Apache-2.0
// Interrupt vectors: what is sent when.
#include "vtc/vectors.h"

#include <algorithm>
#include <bit>

namespace vitrine::vtc {

Vectors::Vectors(Clock& clock, const std::string& name, std::function<void(unsigned)> send)
    : clock_(clock), send_(std::move(send)), timer_(clock, name, [this] { send_due(); }) {}

void Vectors::raise(u64 causes) {
    cause_ |= causes;
    waiting_ |= causes;
    send_due();
}

void Vectors::raise_unmasked(u64 vectors) {
    unmasked_ |= vectors;
    send_due();
}

void Vectors::enable(u64 vectors) {
    enabled_ |= vectors;
    waiting_ |= vectors & cause_;
    send_due();
}

void Vectors::send_due() {
    const u64 now = clock_.now();
    u64 next = never;
    for (u64 left = (waiting_ & enabled_) | unmasked_; left; left &= left - 1) {
        const unsigned n = static_cast<unsigned>(std::countr_zero(left));
        if (now < allowed_[n]) {
            next = std::min(next, allowed_[n]);
            throttled_ += !(held_ & bit(n));
            held_ |= bit(n);
            continue;
        }
        if (waiting_ & enabled_ & bit(n)) {
            waiting_ &= ~bit(n);
            cause_ &= ~(bit(n) & auto_clear_);
            enabled_ &= ~(bit(n) & auto_mask_);
        }
        unmasked_ &= ~bit(n);
        held_ &= ~bit(n);
        allowed_[n] = now + interval_[n];
        ++sent_;
        send_(n);
    }
    timer_.arm(next);
}

void Vectors::reset() {
    timer_.cancel();
    cause_ = enabled_ = auto_clear_ = auto_mask_ = waiting_ = unmasked_ = held_ = 0;
    interval_.fill(0);
    allowed_.fill(0);
}

void Vectors::state(Visitor& v) {
    v.field("timer", timer_);
    v.field("cause", cause_);
    v.field("enabled", enabled_);
    v.field("auto clear", auto_clear_);
    v.field("auto mask", auto_mask_);
    v.field("waiting", waiting_);
    v.field("unmasked", unmasked_);
    v.field("interval", interval_);
    v.field("allowed", allowed_);
    v.field("sent", sent_);
    v.field("held", held_);
    v.field("throttled", throttled_);
}

} // namespace vitrine::vtc
