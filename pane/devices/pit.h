// SPDX-License-Identifier: Apache-2.0
// A guest's 8254: three counters that are computed from the time-stamp counter when somebody looks (Intel 8254 data sheet).
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

class Pit {
public:
    u8 read(u16 port);
    void write(Guest& guest, u16 port, u8 value);

    /// Port 61h: gate and output of counter 2.
    u8 read_61();
    void write_61(u8 value);

    /// When the output of counter 0 changes next; ~0: never.
    u64 next_event() const;
    void advance(Guest& guest, u64 now);

private:
    struct Counter {
        u8 mode = 0, access = 3, latch_bytes = 0;
        bool bcd = false, counting = false, gate = true;
        bool write_high = false, read_high = false, status_latched = false;
        u8 low_byte = 0, status = 0;
        u16 latch = 0;
        u32 reload = 0x10000;
        u64 start = 0; ///< TSC when it was loaded

        u64 elapsed(u64 now) const;
        u16 count(u64 now) const;
        bool output(u64 now) const;
        void load(u32 value, u64 now);
    };

    void command(u8 value);

    Counter counters_[3];
    u64 ticks_raised_ = 0; ///< periods of counter 0 whose interrupt was raised
    bool speaker_ = false;
};

} // namespace vitrine::pane
