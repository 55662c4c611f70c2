// SPDX-License-Identifier: Apache-2.0
// The six modes of an 8254 counter.
#include "chipset/pit_counter.h"

#include <algorithm>

namespace vitrine {

namespace {

u32 from_bcd(u16 v) {
    return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

u16 to_bcd(u32 v) {
    return static_cast<u16>((v / 1000 % 10) << 12 | (v / 100 % 10) << 8 | (v / 10 % 10) << 4 | v % 10);
}

} // namespace

void PitCounter::settle(u64 tick) {
    if (load_at_ <= tick)
        start(load_at_);
}

void PitCounter::start(u64 tick) {
    // Mode 3 takes a new count at the end of a half cycle too; the other half then begins with it.
    const bool low_half = mode_ == 3 && loaded_ && !frozen_ && count_ != 0 && (tick - start_) % count_ == high_half();
    count_ = register_;
    start_ = low_half ? tick - high_half() : tick;
    loaded_ = true;
    null_count_ = false;
    load_at_ = never;
    frozen_ = false;
    elapsed_ = 0;
    if (!gate_ && (mode_ == 0 || mode_ == 4))
        freeze(tick);
}

void PitCounter::freeze(u64 tick) {
    if (frozen_)
        return;
    elapsed_ = tick - start_;
    frozen_ = true;
}

void PitCounter::thaw(u64 tick) {
    if (!frozen_)
        return;
    start_ = tick - elapsed_;
    frozen_ = false;
}

void PitCounter::control(u8 word, u64 tick) {
    settle(tick);
    control_ = word & 0x3f;
    bcd_ = word & 1;
    mode_ = word >> 1 & 7;
    if (mode_ > 5)
        mode_ &= 3;
    low_byte_next_ = read_low_next_ = true;
    half_written_ = count_latched_ = status_latched_ = false;
    loaded_ = written_ = frozen_ = false;
    null_count_ = true;
    load_at_ = never;
}

void PitCounter::write(u8 value, u64 tick) {
    settle(tick);
    u16 raw = 0;
    switch (control_ >> 4 & 3) {
    case 1:
        raw = value;
        break;
    case 2:
        raw = static_cast<u16>(value << 8);
        break;
    case 3:
        if (low_byte_next_) {
            low_byte_ = value;
            low_byte_next_ = false;
            if (mode_ == 0 && loaded_) {
                half_written_ = true;
                freeze(tick);
            }
            return;
        }
        low_byte_next_ = true;
        raw = static_cast<u16>(value << 8 | low_byte_);
        break;
    default:
        return; // never given a control word
    }
    half_written_ = false;
    register_ = bcd_ ? from_bcd(raw) : raw;
    if (register_ == 0)
        register_ = bcd_ ? 10000 : 0x10000;
    count_written(tick);
}

void PitCounter::count_written(u64 tick) {
    null_count_ = true;
    written_ = true;
    if (mode_ == 1 || mode_ == 5) // loaded by the trigger
        return;
    if (!reloads() || !loaded_) {
        if (!reloads() || gate_)
            load_at_ = tick + 1;
        return;
    }
    if (frozen_)
        return; // the gate's rise will load it
    // The present cycle, or half cycle, comes to its end first.
    const u64 into = (tick - start_) % count_, half = high_half();
    const u64 left = mode_ == 3 && into < half ? half - into : count_ - into;
    load_at_ = tick + std::max<u64>(left, 1);
}

void PitCounter::set_gate(bool level, u64 tick) {
    if (level == gate_)
        return;
    settle(tick);
    gate_ = level;
    switch (mode_) {
    case 0:
    case 4:
        if (!loaded_ || half_written_)
            return;
        level ? thaw(tick) : freeze(tick);
        return;
    case 2:
    case 3:
        if (!level) {
            load_at_ = never;
            if (loaded_)
                freeze(tick);
        } else if (written_) {
            load_at_ = tick + 1;
        }
        return;
    default:
        if (level && written_)
            load_at_ = tick + 1;
        return;
    }
}

bool PitCounter::out(u64 tick) {
    settle(tick);
    const u64 e = elapsed(tick);
    switch (mode_) {
    case 0:
        return loaded_ && load_at_ == never && !half_written_ && e >= count_;
    case 1:
        return !loaded_ || e >= count_;
    case 2:
        return !loaded_ || frozen_ || e % count_ != count_ - 1;
    case 3:
        return !loaded_ || frozen_ || e % count_ < high_half();
    default:
        return !loaded_ || e != count_ || frozen_;
    }
}

u64 PitCounter::next_event(u64 tick) {
    settle(tick);
    if (!loaded_ || frozen_)
        return load_at_;
    const u64 e = elapsed(tick);
    u64 left = never;
    switch (mode_) {
    case 0:
    case 1:
        if (e < count_)
            left = count_ - e;
        break;
    case 2:
        if (count_ > 1)
            left = e % count_ < count_ - 1u ? count_ - 1u - e % count_ : 1;
        break;
    case 3:
        if (count_ > 1)
            left = e % count_ < high_half() ? high_half() - e % count_ : count_ - e % count_;
        break;
    default:
        if (e <= count_)
            left = e < count_ ? count_ - e : 1;
        break;
    }
    return left == never ? load_at_ : std::min(load_at_, tick + left);
}

u16 PitCounter::counting_element(u64 tick) {
    settle(tick);
    if (!loaded_)
        return 0;
    const u32 modulus = bcd_ ? 10000 : 0x10000;
    const u64 e = elapsed(tick);
    u64 value;
    if (mode_ == 2) {
        value = count_ - e % count_;
    } else if (mode_ == 3) {
        const u64 into = e % count_;
        value = (count_ & ~1u) - 2 * (into < high_half() ? into : into - high_half());
    } else {
        value = count_ + modulus - e % modulus;
    }
    value %= modulus;
    return bcd_ ? to_bcd(static_cast<u32>(value)) : static_cast<u16>(value);
}

void PitCounter::latch_count(u64 tick) {
    if (count_latched_)
        return;
    latched_ = counting_element(tick);
    count_latched_ = true;
}

void PitCounter::latch_status(u64 tick) {
    if (status_latched_)
        return;
    const bool level = out(tick);
    status_ = static_cast<u8>((level ? 0x80 : 0) | (null_count_ ? 0x40 : 0) | control_);
    status_latched_ = true;
}

u8 PitCounter::read(u64 tick) {
    if (status_latched_) {
        status_latched_ = false;
        return status_;
    }
    const u16 value = count_latched_ ? latched_ : counting_element(tick);
    bool low = true, last = true;
    switch (control_ >> 4 & 3) {
    case 2:
        low = false;
        break;
    case 3:
        low = read_low_next_;
        last = !low;
        read_low_next_ = !read_low_next_;
        break;
    }
    if (last)
        count_latched_ = false;
    return static_cast<u8>(low ? value : value >> 8);
}

void PitCounter::state(Visitor& v) {
    v.field("control", control_);
    v.field("mode", mode_);
    v.field("bcd", bcd_);
    v.field("gate", gate_);
    v.field("loaded", loaded_);
    v.field("written", written_);
    v.field("null-count", null_count_);
    v.field("low-byte-next", low_byte_next_);
    v.field("read-low-next", read_low_next_);
    v.field("half-written", half_written_);
    v.field("low-byte", low_byte_);
    v.field("register", register_);
    v.field("count", count_);
    v.field("start", start_);
    v.field("frozen", frozen_);
    v.field("elapsed", elapsed_);
    v.field("load-at", load_at_);
    v.field("count-latched", count_latched_);
    v.field("status-latched", status_latched_);
    v.field("latched", latched_);
    v.field("status", status_);
    if (v.loading() && (mode_ > 5 || (loaded_ && count_ == 0) || (written_ && register_ == 0)))
        v.refuse("pit: a counter with an impossible mode or count");
}

} // namespace vitrine
