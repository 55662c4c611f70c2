// SPDX-License-Identifier: Apache-2.0
// The 8254's counters as arithmetic on time. BCD counting and the gates of counters 0 and 1 are not there: no PC system uses them.
#include "pane/devices/pit.h"

#include "pane/guest/guest.h"
#include "pane/kernel/time.h"

namespace vitrine::pane {

namespace {

constexpr u64 hz = 1'193'182;

bool periodic(u8 mode) { return mode == 2 || mode == 3; }

} // namespace

u64 Pit::Counter::elapsed(u64 now) const { return now > start ? scale(now - start, hz, tsc_frequency()) : 0; }

u16 Pit::Counter::count(u64 now) const {
    if (!counting)
        return static_cast<u16>(reload);
    const u64 e = elapsed(now);
    if (mode == 3)
        return static_cast<u16>(reload - e * 2 % reload);
    if (mode == 2)
        return static_cast<u16>(reload - e % reload);
    return static_cast<u16>(reload - e); // wraps and goes on
}

bool Pit::Counter::output(u64 now) const {
    if (!counting)
        return mode != 0;
    const u64 e = elapsed(now);
    switch (mode) {
    case 2: return e % reload != reload - 1;
    case 3: return e % reload < (reload + 1) / 2;
    case 4: return e != reload;
    default: return e >= reload;
    }
}

void Pit::Counter::load(u32 value, u64 now) {
    reload = value ? value : 0x10000;
    if (periodic(mode) && reload < 2)
        reload = 2;
    start = now;
    counting = gate;
}

void Pit::command(u8 value) {
    const u64 now = rdtsc();
    const unsigned which = value >> 6;
    if (which == 3) { // read-back: several counters, count and status (both are latched when their bits are 0)
        for (unsigned n = 0; n < 3; ++n) {
            Counter& c = counters_[n];
            if (!(value & 2 << n))
                continue;
            if (!(value & 0x20) && !c.latch_bytes) {
                c.latch = c.count(now);
                c.latch_bytes = c.access == 3 ? 2 : 1;
            }
            if (!(value & 0x10) && !c.status_latched) {
                c.status = static_cast<u8>(c.output(now) << 7 | !c.counting << 6 | c.access << 4 | c.mode << 1 | c.bcd);
                c.status_latched = true;
            }
        }
        return;
    }
    Counter& c = counters_[which];
    const u8 access = value >> 4 & 3;
    if (access == 0) {
        if (!c.latch_bytes) {
            c.latch = c.count(now);
            c.latch_bytes = c.access == 3 ? 2 : 1;
        }
        return;
    }
    c.access = access;
    c.mode = value >> 1 & 7;
    if (c.mode > 5)
        c.mode -= 4;
    c.bcd = value & 1;
    c.counting = c.write_high = c.read_high = c.status_latched = false;
    c.latch_bytes = 0;
}

u8 Pit::read(u16 port) {
    if (port == 0x43)
        return 0xff;
    Counter& c = counters_[port - 0x40];
    if (c.status_latched) {
        c.status_latched = false;
        return c.status;
    }
    const u16 value = c.latch_bytes ? c.latch : c.count(rdtsc());
    bool high = c.access == 2;
    if (c.access == 3) {
        high = c.read_high;
        c.read_high = !c.read_high;
    }
    if (c.latch_bytes)
        --c.latch_bytes;
    return static_cast<u8>(high ? value >> 8 : value);
}

void Pit::write(Guest& guest, u16 port, u8 value) {
    if (port == 0x43) {
        command(value);
        if (value >> 6 == 0 && (value & 0x30))
            guest.set_irq(0, (value >> 1 & 7) != 0);
        return;
    }
    Counter& c = counters_[port - 0x40];
    if (c.access == 3 && !c.write_high) {
        c.low_byte = value;
        c.write_high = true;
        return;
    }
    const u32 full = c.access == 3 ? c.low_byte | value << 8 : c.access == 2 ? value << 8 : value;
    c.write_high = false;
    c.load(full, rdtsc());
    if (port == 0x40) {
        ticks_raised_ = 0;
        guest.set_irq(0, false);
    }
}

u8 Pit::read_61() {
    const u64 now = rdtsc();
    const bool refresh = scale(now, hz, tsc_frequency()) / 18 & 1; // the refresh request toggles every 15 us
    return static_cast<u8>(counters_[2].gate | speaker_ << 1 | refresh << 4 | counters_[2].output(now) << 5);
}

void Pit::write_61(u8 value) {
    Counter& c = counters_[2];
    const bool gate = value & 1;
    if (gate && !c.gate) {
        c.start = rdtsc(); // a rising gate starts the count anew
        c.counting = true;
    } else if (!gate) {
        c.counting = false;
    }
    c.gate = gate;
    speaker_ = value & 2;
}

u64 Pit::next_event() const {
    const Counter& c = counters_[0];
    if (!c.counting || (!periodic(c.mode) && ticks_raised_))
        return ~0ull;
    const u64 ticks = c.reload * (ticks_raised_ + 1);
    return c.start + scale(ticks, tsc_frequency(), hz) + 1;
}

void Pit::advance(Guest& guest, u64 now) {
    if (now < next_event())
        return;
    const Counter& c = counters_[0];
    ticks_raised_ = periodic(c.mode) ? c.elapsed(now) / c.reload : 1; // ticks that were missed are lost, as on a PC
    guest.set_irq(0, false);
    guest.set_irq(0, true);
}

} // namespace vitrine::pane
