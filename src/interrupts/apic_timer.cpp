// SPDX-License-Identifier: Apache-2.0
// The local APIC's timer, from due times instead of counting.
#include "interrupts/apic_timer.h"

namespace vitrine {

using apic::TimerMode;

ApicTimer::ApicTimer(Clock& clock, std::string_view name, std::function<void()> expired)
    : clock_(clock), expired_(std::move(expired)), event_(clock, name, [this] { fire(); }) {}

// Bits 3, 1 and 0: 000 divides by 2, 110 by 128, 111 by 1.
u64 ApicTimer::divisor() const {
    const unsigned code = (divide_ & 3u) | (divide_ >> 1 & 4u);
    return 1ull << ((code + 1) & 7);
}

void ApicTimer::settle() {
    const u64 now = clock_.now();
    if (due_ > now || event_.due() <= now) // what is due but not fired yet is the event's
        return;
    if (mode_ == TimerMode::periodic && initial_ != 0) {
        due_ += period() * (1 + (now - due_) / period());
    } else {
        due_ = never;
        deadline_ = 0;
    }
}

void ApicTimer::schedule() {
    event_.arm(masked_ ? never : due_);
}

void ApicTimer::fire() {
    settle();
    schedule();
    expired_();
}

void ApicTimer::configure(TimerMode mode, bool masked) {
    settle();
    if (mode != mode_ && (mode == TimerMode::tsc_deadline || mode_ == TimerMode::tsc_deadline)) {
        due_ = never;
        deadline_ = 0;
    }
    mode_ = mode;
    masked_ = masked;
    if (mode == TimerMode::reserved)
        due_ = never;
    schedule();
}

void ApicTimer::set_initial(u32 count) {
    if (!counting())
        return;
    initial_ = count;
    due_ = count == 0 ? never : clock_.now() + period();
    schedule();
}

u32 ApicTimer::current() const {
    const u64 now = clock_.now();
    if (!counting() || due_ == never)
        return 0;
    if (due_ > now)
        return static_cast<u32>((due_ - now + divisor() - 1) / divisor());
    if (mode_ == TimerMode::one_shot || initial_ == 0)
        return 0;
    return static_cast<u32>((period() - (now - due_) % period() + divisor() - 1) / divisor());
}

void ApicTimer::set_divide(u8 configuration) {
    settle();
    const u32 left = current();
    divide_ = configuration & 0x0b;
    if (counting() && due_ != never)
        due_ = clock_.now() + left * divisor();
    schedule();
}

void ApicTimer::start_deadline() {
    const u64 now = clock_.now(), tsc = now + tsc_offset_;
    if (deadline_ <= tsc) { // in the past: at once
        deadline_ = 0;
        due_ = never;
        schedule();
        if (!masked_)
            expired_();
        return;
    }
    const u64 left = deadline_ - tsc;
    due_ = left < never - now ? now + left : never;
    schedule();
}

void ApicTimer::set_deadline(u64 tsc) {
    if (mode_ != TimerMode::tsc_deadline)
        return;
    deadline_ = tsc;
    if (tsc != 0)
        return start_deadline();
    due_ = never;
    schedule();
}

u64 ApicTimer::deadline() {
    settle();
    return deadline_;
}

void ApicTimer::set_tsc_offset(u64 offset) {
    settle();
    tsc_offset_ = offset;
    if (mode_ == TimerMode::tsc_deadline && deadline_ != 0)
        start_deadline();
}

void ApicTimer::reset() {
    mode_ = TimerMode::one_shot;
    masked_ = true;
    initial_ = 0;
    divide_ = 0;
    due_ = never;
    deadline_ = 0;
    schedule();
}

void ApicTimer::state(Visitor& v) {
    v.field("mode", mode_);
    v.field("masked", masked_);
    v.field("initial", initial_);
    v.field("divide", divide_);
    v.field("due", due_);
    v.field("deadline", deadline_);
    v.field("tsc-offset", tsc_offset_);
    v.field("event", event_);
    if (v.loading() && static_cast<u8>(mode_) > 3)
        v.refuse("apic timer: no such mode");
}

} // namespace vitrine
