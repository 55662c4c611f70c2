// SPDX-License-Identifier: Apache-2.0
// One counter of the 8254 interval timer, computed from ticks of its clock instead of counting. Intel 8254 datasheet.
// A count is loaded at the tick after the one in which it was written, as the chip loads on the next clock pulse.
#pragma once

#include "base/clock.h"
#include "base/visitor.h"

namespace vitrine {

class PitCounter {
public:
    /// `gate` is the level of the gate input to begin with. After power on OUT is low and nothing counts.
    explicit PitCounter(bool gate) : gate_(gate) {}

    void control(u8 word, u64 tick);
    void latch_count(u64 tick);
    void latch_status(u64 tick);
    void write(u8 value, u64 tick);
    u8 read(u64 tick);
    void set_gate(bool level, u64 tick);

    bool gate() const { return gate_; }

    bool out(u64 tick);

    /// The next tick at which OUT may change; `never` without one.
    u64 next_event(u64 tick);

    void state(Visitor& v);

private:
    u64 elapsed(u64 tick) const { return frozen_ ? elapsed_ : tick - start_; }

    u64 high_half() const { return (count_ + 1) / 2; } ///< of mode 3

    bool reloads() const { return mode_ == 2 || mode_ == 3; }

    void settle(u64 tick); ///< takes over a count whose load is past
    void start(u64 tick);
    void freeze(u64 tick);
    void thaw(u64 tick);
    void count_written(u64 tick);
    u16 counting_element(u64 tick);

    u8 control_ = 0; ///< bits 5:0 of the control word
    u8 mode_ = 0;
    bool bcd_ = false;
    bool gate_;
    bool loaded_ = false;    ///< a count is in the counting element
    bool written_ = false;   ///< a count was written since the control word
    bool null_count_ = true; ///< the count register was written and not loaded
    bool low_byte_next_ = true, read_low_next_ = true;
    bool half_written_ = false; ///< mode 0 stops between the two bytes
    u8 low_byte_ = 0;
    u32 register_ = 0; ///< count register: 1 to 65536, or 10000 in BCD
    u32 count_ = 0;    ///< what the counting element was loaded with
    u64 start_ = 0;    ///< tick of that load, moved when counting was stopped
    bool frozen_ = false;
    u64 elapsed_ = 0; ///< while frozen
    u64 load_at_ = never;
    bool count_latched_ = false, status_latched_ = false;
    u16 latched_ = 0;
    u8 status_ = 0;
};

} // namespace vitrine
