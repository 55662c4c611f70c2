// SPDX-License-Identifier: Apache-2.0
// The local APIC's timer: one-shot and periodic counting at the crystal's rate, and TSC deadline. SDM, "APIC Timer".
#pragma once

#include "base/clock.h"
#include "interrupts/spec/apic.h"

#include <functional>

namespace vitrine {

/// One tick before division is one virtual nanosecond. While the entry is masked nothing is scheduled; counts are
/// computed.
class ApicTimer {
public:
    /// `expired` delivers the local vector table's timer entry.
    ApicTimer(Clock& clock, std::string_view name, std::function<void()> expired);

    /// Called when the local vector table's entry changes.
    void configure(apic::TimerMode mode, bool masked);

    void set_initial(u32 count);

    u32 initial() const { return initial_; }

    u32 current() const;
    void set_divide(u8 configuration);

    u8 divide_configuration() const { return divide_; }

    void set_deadline(u64 tsc);
    u64 deadline();

    /// TSC = virtual time + offset.
    void set_tsc_offset(u64 offset);

    void reset();
    void state(Visitor& v);

private:
    u64 divisor() const;

    u64 period() const { return initial_ * divisor(); }

    bool counting() const { return mode_ == apic::TimerMode::one_shot || mode_ == apic::TimerMode::periodic; }

    void settle();   ///< accounts for expiries that went by unscheduled
    void schedule(); ///< sets the clock for the next expiry that matters
    void fire();
    void start_deadline();

    Clock& clock_;
    std::function<void()> expired_;
    Timer event_;
    apic::TimerMode mode_ = apic::TimerMode::one_shot;
    bool masked_ = true;
    u32 initial_ = 0;
    u8 divide_ = 0;
    u64 due_ = never;  ///< the next expiry, or one that has gone by unscheduled; never when stopped
    u64 deadline_ = 0; ///< in TSC units; 0 when disarmed
    u64 tsc_offset_ = 0;
};

} // namespace vitrine
