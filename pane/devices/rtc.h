// SPDX-License-Identifier: Apache-2.0
// A guest's real-time clock and CMOS memory: date, alarm, periodic and update interrupts (Motorola MC146818A data sheet).
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

/// Seconds since 1970 that the machine's own clock showed, and the TSC at that moment.
void read_machine_clock();

class Rtc {
public:
    void start();
    u8 read(Guest& guest, u16 port);
    void write(u16 port, u8 value);
    u64 next_event() const;
    void advance(Guest& guest, u64 now);

private:
    u64 seconds(u64 now) const;
    bool alarm_matches(u64 now) const;
    u64 period() const;
    void raise(Guest& guest, u8 flag);

    u8 index_ = 0;
    u8 memory_[128]{};
    u64 base_seconds_ = 0, base_tsc_ = 0;
    u64 next_update_ = 0, next_period_ = 0;
};

} // namespace vitrine::pane
