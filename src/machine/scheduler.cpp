// SPDX-License-Identifier: Apache-2.0
// The round robin.
#include "machine/scheduler.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine::machine {

bool Scheduler::choose() {
    if (left_ > 0 && processors_[present_]->runnable())
        return true;
    const unsigned n = static_cast<unsigned>(processors_.size());
    for (unsigned step = 1; step <= n; ++step) {
        const unsigned candidate = (present_ + step) % n;
        if (processors_[candidate]->runnable()) {
            present_ = candidate;
            left_ = quantum;
            return true;
        }
    }
    return false; // and nothing has changed: being asked twice is being asked once
}

Scheduler::Turn Scheduler::turn(u64 most) {
    if (!choose())
        return Turn::idle;
    const u64 now = clock_.now();
    VERIFY(most > 0 && clock_.next_due() > now);
    const u64 budget = std::min({left_, most, clock_.next_due() - now});

    Processor& p = *processors_[present_];
    u64 used = 0;
    running_.store(true, std::memory_order_relaxed);
    quantum_over_ = false;
    clock_.set_runner(&p.runner());
    const RunEnd end = p.run(budget, used);
    clock_.set_runner(nullptr);
    running_.store(false, std::memory_order_relaxed);

    instructions_ += used;
    clock_.advance_to(now + used);
    last_ran_ = now + used;
    left_ -= std::min(left_, used);
    if (end == RunEnd::idle || end == RunEnd::yield || quantum_over_)
        left_ = 0;
    return end == RunEnd::stopped ? Turn::stopped : Turn::ran;
}

void Scheduler::end_quantum() {
    if (!running_)
        return;
    quantum_over_ = true;
    processors_[present_]->runner().interrupt_slice();
}

void Scheduler::restart() {
    present_ = 0;
    left_ = quantum;
}

void Scheduler::state(Visitor& v) {
    v.field("present", present_);
    v.field("left", left_);
    v.field("instructions", instructions_);
    v.field("last ran", last_ran_);
    if (v.loading() && (present_ >= processors_.size() || left_ > quantum)) {
        present_ = 0;
        left_ = 0;
        v.refuse("the scheduler names a processor that the machine does not have");
    }
}

} // namespace vitrine::machine
