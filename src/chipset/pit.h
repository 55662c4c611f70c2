// SPDX-License-Identifier: Apache-2.0
// The 8254 interval timer at ports 40h to 43h and the system control port 61h that gates its third counter.
#pragma once

#include "base/clock.h"
#include "base/device.h"
#include "chipset/pit_counter.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>

namespace vitrine {

/// Counter 0 drives `irq0`, counter 1 was once memory refresh, counter 2 the speaker.
class Pit : public Device {
public:
    static constexpr u64 frequency = 1'193'182;

    Pit(Clock& clock, Bus& ports, Line irq0);

    std::string_view name() const override { return "pit"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

    /// Exact conversions: tick n begins at the first nanosecond at or after n / frequency.
    static u64 tick_at(u64 time);
    static u64 time_of(u64 tick);

private:
    u64 tick() const { return tick_at(clock_.now()); }

    void control(u8 word);
    u8 read_port61();
    void write_port61(u8 value);
    void update(); ///< drives the line and schedules counter 0's next change

    Clock& clock_;
    Line irq0_;
    std::array<PitCounter, 3> counters_{PitCounter{true}, PitCounter{true}, PitCounter{false}};
    u8 port61_ = 0; ///< bits 3:0: gate 2, speaker, SERR# and IOCHK# disable
    bool irq_level_ = false;
    Timer event_;
    std::array<Region, 2> regions_;
};

} // namespace vitrine
