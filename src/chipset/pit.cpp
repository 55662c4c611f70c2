// SPDX-License-Identifier: Apache-2.0
// The interval timer's registers, and counter 0's output as an interrupt.
#include "chipset/pit.h"

namespace vitrine {

u64 Pit::tick_at(u64 time) {
    return static_cast<u64>(u128{time} * frequency / nanoseconds_per_second);
}

u64 Pit::time_of(u64 tick) {
    return static_cast<u64>((u128{tick} * nanoseconds_per_second + frequency - 1) / frequency);
}

Pit::Pit(Clock& clock, Bus& ports, Line irq0)
    : clock_(clock), irq0_(std::move(irq0)), event_(clock, "pit", [this] { update(); }),
      regions_{Region{.device = this, .name = "pit", .size = 4, .index = 0, .max_size = 1},
               Region{.device = this, .name = "port61", .size = 1, .index = 1, .max_size = 1}} {
    ports.map(regions_[0], 0x40);
    ports.map(regions_[1], 0x61);
}

void Pit::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    counters_ = {PitCounter{true}, PitCounter{true}, PitCounter{false}};
    port61_ = 0;
    update();
}

void Pit::update() {
    const u64 now = tick();
    const bool level = counters_[0].out(now);
    if (level != irq_level_) {
        irq_level_ = level;
        irq0_.set(level);
    }
    const u64 next = counters_[0].next_event(now);
    event_.arm(next == never ? never : time_of(next));
}

void Pit::control(u8 word) {
    const unsigned which = word >> 6;
    if (which < 3) {
        if (word & 0x30)
            counters_[which].control(word, tick());
        else
            counters_[which].latch_count(tick());
        return;
    }
    for (unsigned n = 0; n < 3; ++n) // read-back
        if (word & (2u << n)) {
            if (!(word & 0x20))
                counters_[n].latch_count(tick());
            if (!(word & 0x10))
                counters_[n].latch_status(tick());
        }
}

u8 Pit::read_port61() {
    const u64 now = tick();
    const bool refresh = now / 18 & 1; // the refresh request toggles every 15 us
    return static_cast<u8>(port61_ | (refresh ? 0x10 : 0) | (counters_[2].out(now) ? 0x20 : 0));
}

void Pit::write_port61(u8 value) {
    port61_ = value & 0x0f;
    counters_[2].set_gate(value & 1, tick());
}

void Pit::access(Region& region, Access& a) {
    const auto value = static_cast<u8>(a.value);
    if (region.index == 1) {
        if (a.write)
            write_port61(value);
        else
            a.value = read_port61();
    } else if (a.offset == 3) {
        if (a.write)
            control(value);
        else
            a.value = 0xff; // the control word cannot be read
    } else if (a.write) {
        counters_[a.offset].write(value, tick());
    } else {
        a.value = counters_[a.offset].read(tick());
    }
    if (a.write)
        update();
}

void Pit::state(Visitor& v) {
    v.field("counters", counters_);
    v.field("port61", port61_);
    v.field("irq", irq_level_);
    v.field("event", event_);
}

} // namespace vitrine
