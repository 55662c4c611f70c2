// SPDX-License-Identifier: Apache-2.0
// Virtual time: the clock and its timers.
#include "base/clock.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine {

void Clock::fire() {
    const u64 t = now();
    while (next_due_ <= t) {
        Timer* earliest = nullptr;
        for (Timer* timer : timers_)
            if (timer->due_ <= t && (!earliest || timer->due_ < earliest->due_))
                earliest = timer;
        if (!earliest)
            break;
        earliest->due_ = never;
        changed();
        if (listener_)
            listener_(*earliest);
        earliest->action_();
    }
}

void Clock::advance_to(u64 t) {
    VERIFY(t >= base_);
    base_ = t;
}

void Clock::attach(Timer& t) { timers_.push_back(&t); }

void Clock::detach(Timer& t) {
    std::erase(timers_, &t);
    changed();
}

void Clock::changed() {
    u64 earliest = never;
    for (const Timer* timer : timers_)
        earliest = std::min(earliest, timer->due_);
    if (earliest < next_due_ && runner_)
        runner_->interrupt_slice();
    next_due_ = earliest;
}

void Clock::state(Visitor& v) {
    v.field("now", base_);
    // So far from the end of time that sums of times do not overflow: 73 years.
    if (v.loading() && base_ > never / 8) {
        base_ = 0;
        v.refuse("the clock shows an impossible time");
    }
}

Timer::Timer(Clock& clock, std::string_view name, std::function<void()> action)
    : clock_(clock), name_(name), action_(std::move(action)) {
    clock_.attach(*this);
}

Timer::~Timer() { clock_.detach(*this); }

void Timer::arm(u64 at) {
    if (at == due_)
        return;
    due_ = at;
    clock_.changed();
}

void Timer::state(Visitor& v) {
    u64 due = due_;
    v.field("due", due);
    if (v.loading())
        arm(due);
}

} // namespace vitrine
