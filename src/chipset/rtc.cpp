// SPDX-License-Identifier: Apache-2.0
// The real-time clock: registers, update cycles, alarm and periodic interrupts.
#include "chipset/rtc.h"

#include <algorithm>

namespace vitrine {

namespace {

enum : u8 {
    seconds = 0x00,
    seconds_alarm = 0x01,
    minutes = 0x02,
    minutes_alarm = 0x03,
    hours = 0x04,
    hours_alarm = 0x05,
    day_of_week = 0x06,
    day_of_month = 0x07,
    month = 0x08,
    year = 0x09,
    register_a = 0x0a,
    register_b = 0x0b,
    register_c = 0x0c,
    register_d = 0x0d,
    century = 0x32,
};

enum : u8 {
    a_uip = 0x80, // update in progress
    b_set = 0x80,
    b_pie = 0x40,
    b_aie = 0x20,
    b_uie = 0x10,
    b_binary = 0x04,
    b_24_hours = 0x02,
    c_irqf = 0x80,
    c_pf = 0x40,
    c_af = 0x20,
    c_uf = 0x10,
    d_valid = 0x80,
};

// An update cycle takes 1984 us with the 32768 Hz crystal; UIP rises 244 us before it.
constexpr u64 update_in_progress = 244'000 + 1'984'000;

// 1 s / 32768 = 1953125 / 64 ns.
u64 time_of_crystal(u64 ticks) {
    return static_cast<u64>((u128{ticks} * 1953125 + 63) / 64);
}

u64 crystal_at(u64 time) {
    return static_cast<u64>(u128{time} * 64 / 1953125);
}

struct Date {
    i64 year;
    unsigned month, day, weekday; // weekday 1 is Sunday
};

// Days since 1970-01-01 in the Gregorian calendar; the year is counted from March so that the leap day comes last.
Date date_of(i64 days) {
    const i64 z = days + 719468;
    const i64 era = (z >= 0 ? z : z - 146096) / 146097;
    const i64 of_era = z - era * 146097;
    const i64 year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const i64 of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const i64 shifted = (5 * of_year + 2) / 153;
    const auto m = static_cast<unsigned>(shifted < 10 ? shifted + 3 : shifted - 9);
    return {year_of_era + era * 400 + (m <= 2), m, static_cast<unsigned>(of_year - (153 * shifted + 2) / 5 + 1),
            static_cast<unsigned>(((days % 7 + 7 + 4) % 7) + 1)};
}

unsigned days_in_month(unsigned m, unsigned y) {
    constexpr u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (m < 1 || m > 12)
        return 31;
    const bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    return days[m - 1] + (m == 2 && leap ? 1u : 0u);
}

} // namespace

Rtc::Rtc(Clock& clock, Bus& ports, Glass& glass, Line irq8, i64 date)
    : clock_(clock), glass_(glass), irq_(std::move(irq8)), update_(clock, "rtc-update", [this] { update_cycle(); }),
      periodic_(clock, "rtc-periodic",
                [this] {
                    settle_periodic();
                    update_line();
                    schedule();
                }),
      regions_{Region{.device = this, .name = "rtc", .size = 2, .index = 0, .max_size = 1},
               Region{.device = this, .name = "rtc.upper", .size = 2, .index = 1, .max_size = 1}} {
    ports.map(regions_[0], 0x70);
    ports.map(regions_[1], 0x72);
    memory_[register_a] = 0x26; // 32768 Hz, periodic 1024 Hz
    memory_[register_b] = b_24_hours;
    memory_[register_d] = d_valid;
    set_date(date);
    divider_start_ = periodic_seen_ = clock.now();
    next_update_ = divider_start_ + nanoseconds_per_second;
    schedule();
}

void Rtc::set_memory_size(u64 below_4g, u64 above_4g) {
    const auto word = [&](u8 low, u64 value) {
        memory_[low] = static_cast<u8>(value);
        memory_[low + 1] = static_cast<u8>(value >> 8);
    };
    const u64 extended = std::min<u64>(below_4g > 1_MiB ? (below_4g - 1_MiB) / 1_KiB : 0, 0xffff);
    word(0x15, 640);
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, std::min<u64>(below_4g > 16_MiB ? (below_4g - 16_MiB) / 64_KiB : 0, 0xffff));
    word(0x5b, above_4g / 64_KiB);
    memory_[0x5d] = static_cast<u8>(above_4g / 64_KiB >> 16);
}

u8 Rtc::encode(unsigned value) const {
    value %= 100;
    return static_cast<u8>(memory_[register_b] & b_binary ? value : value / 10 << 4 | value % 10);
}

unsigned Rtc::decode(u8 value) const {
    return memory_[register_b] & b_binary ? value : (value >> 4) * 10u + (value & 15);
}

u8 Rtc::encode_hour(unsigned hour) const {
    if (memory_[register_b] & b_24_hours)
        return encode(hour);
    const unsigned twelve = hour % 12 == 0 ? 12 : hour % 12;
    return static_cast<u8>(encode(twelve) | (hour >= 12 ? 0x80 : 0));
}

unsigned Rtc::decode_hour(u8 value) const {
    if (memory_[register_b] & b_24_hours)
        return decode(value);
    const unsigned twelve = decode(value & 0x7f) % 12;
    return value & 0x80 ? twelve + 12 : twelve;
}

void Rtc::set_date(i64 date) {
    const i64 days = date >= 0 ? date / 86400 : -((86399 - date) / 86400);
    const auto of_day = static_cast<unsigned>(date - days * 86400);
    const Date d = date_of(days);
    const auto y = static_cast<unsigned>(std::clamp<i64>(d.year, 0, 9999));
    memory_[seconds] = encode(of_day % 60);
    memory_[minutes] = encode(of_day / 60 % 60);
    memory_[hours] = encode_hour(of_day / 3600);
    memory_[day_of_week] = encode(d.weekday);
    memory_[day_of_month] = encode(d.day);
    memory_[month] = encode(d.month);
    memory_[year] = encode(y % 100);
    memory_[century] = encode(y / 100);
}

/// DV2 to DV0: 010 runs from the 32768 Hz crystal; 11x holds the chain in reset; other time bases do not exist here.
bool Rtc::divider_runs() const {
    return (memory_[register_a] >> 4 & 7) == 2;
}

u64 Rtc::periodic_interval() const {
    const unsigned rate = memory_[register_a] & 15;
    if (rate == 0 || !divider_runs())
        return 0;
    return rate < 3 ? 1ull << (rate + 6) : 1ull << (rate - 1);
}

// PF is set whether or not its interrupt is enabled; without the interrupt nothing is scheduled and it is found out
// here.
void Rtc::settle_periodic() {
    const u64 interval = periodic_interval(), now = clock_.now();
    if (interval != 0 && now >= divider_start_) {
        const u64 then = std::max(periodic_seen_, divider_start_) - divider_start_;
        if (crystal_at(now - divider_start_) / interval > crystal_at(then) / interval)
            memory_[register_c] |= c_pf;
    }
    periodic_seen_ = now;
}

void Rtc::schedule() {
    update_.arm(divider_runs() ? next_update_ : never);
    const u64 interval = periodic_interval();
    u64 due = never;
    if (interval != 0 && (memory_[register_b] & b_pie) && !(memory_[register_c] & c_pf)) {
        const u64 now = std::max(clock_.now(), divider_start_);
        due = divider_start_ + time_of_crystal((crystal_at(now - divider_start_) / interval + 1) * interval);
    }
    periodic_.arm(due);
}

void Rtc::update_line() {
    u8& c = memory_[register_c];
    const bool level = c & memory_[register_b] & (c_pf | c_af | c_uf);
    c = static_cast<u8>(level ? c | c_irqf : c & ~c_irqf);
    if (level != irq_level_) {
        irq_level_ = level;
        irq_.set(level);
    }
}

void Rtc::update_cycle() {
    next_update_ += nanoseconds_per_second;
    if (memory_[register_b] & b_set) { // held while software sets the time
        schedule();
        return;
    }
    // Each register overflows into the next. Values out of range, which software may have put there, start over.
    const auto advance = [&](u8 index, unsigned first, unsigned last) {
        const unsigned value = decode(memory_[index]) + 1;
        memory_[index] = encode(value > last ? first : value);
        return value > last;
    };
    if (advance(seconds, 0, 59) && advance(minutes, 0, 59)) {
        const unsigned hour = decode_hour(memory_[hours]) + 1;
        memory_[hours] = encode_hour(hour > 23 ? 0 : hour);
        if (hour > 23) {
            advance(day_of_week, 1, 7);
            const unsigned y = decode(memory_[century]) * 100 + decode(memory_[year]);
            if (advance(day_of_month, 1, days_in_month(decode(memory_[month]), y)) && advance(month, 1, 12) &&
                advance(year, 0, 99))
                advance(century, 0, 99);
        }
    }
    const auto matches = [&](u8 alarm, u8 now) {
        return (memory_[alarm] & 0xc0) == 0xc0 || memory_[alarm] == memory_[now];
    };
    memory_[register_c] |= c_uf;
    if (matches(seconds_alarm, seconds) && matches(minutes_alarm, minutes) && matches(hours_alarm, hours)) {
        memory_[register_c] |= c_af;
        if ((memory_[register_b] & b_aie) && alarm_)
            alarm_();
    }
    settle_periodic();
    update_line();
    schedule();
}

u8 Rtc::read(u8 index) {
    switch (index) {
    case register_a: {
        const u64 now = clock_.now();
        const bool updating = divider_runs() && !(memory_[register_b] & b_set) && now < next_update_ &&
                              next_update_ - now <= update_in_progress;
        return static_cast<u8>(memory_[register_a] | (updating ? a_uip : 0));
    }
    case register_c: {
        settle_periodic();
        update_line();
        const u8 value = memory_[register_c];
        memory_[register_c] = 0; // reading acknowledges
        update_line();
        schedule();
        return value;
    }
    default:
        return memory_[index];
    }
}

void Rtc::write(u8 index, u8 value) {
    switch (index) {
    case register_a: {
        settle_periodic();
        const bool ran = divider_runs();
        memory_[register_a] = value & 0x7f;
        if (!ran && divider_runs()) { // the first update follows half a second after the chain is let go
            divider_start_ = clock_.now();
            periodic_seen_ = divider_start_;
            next_update_ = divider_start_ + nanoseconds_per_second / 2;
        }
        if (!divider_runs() && (value >> 4 & 6) != 6)
            glass_.odd(Topic::chipset, "rtc.divider-without-crystal", {{"value", value}});
        break;
    }
    case register_b:
        settle_periodic();
        memory_[register_b] = value & b_set ? static_cast<u8>(value & ~b_uie) : value; // SET clears UIE
        break;
    case register_c:
    case register_d:
        return; // read-only
    default:
        memory_[index] = value;
        return;
    }
    update_line();
    schedule();
}

void Rtc::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    // RESET# leaves the time alone and takes the interrupt enables and flags away.
    settle_periodic();
    memory_[register_b] &= static_cast<u8>(~(b_pie | b_aie | b_uie | 0x08));
    memory_[register_c] = 0;
    index_ = upper_index_ = 0;
    update_line();
    schedule();
}

void Rtc::access(Region& region, Access& a) {
    u8& index = region.index == 0 ? index_ : upper_index_;
    const auto value = static_cast<u8>(a.value);
    if (a.offset == 0) {
        if (a.write)
            index = value;
        else
            a.value = region.index == 0 ? 0xff : index; // port 70h cannot be read
        return;
    }
    if (region.index == 1) {
        u8& byte = memory_[0x80 | (index & 0x7f)];
        if (a.write)
            byte = value;
        else
            a.value = byte;
    } else if (a.write) {
        write(index & 0x7f, value);
    } else {
        a.value = read(index & 0x7f);
    }
}

void Rtc::state(Visitor& v) {
    v.field("memory", memory_);
    v.field("index", index_);
    v.field("upper-index", upper_index_);
    v.field("divider-start", divider_start_);
    v.field("next-update", next_update_);
    v.field("periodic-seen", periodic_seen_);
    v.field("irq", irq_level_);
    v.field("update", update_);
    v.field("periodic", periodic_);
    // Times are near the present, so that catching up takes a moment and nothing overflows.
    constexpr u64 near = 10 * nanoseconds_per_second;
    const u64 now = clock_.now();
    if (v.loading() && (divider_start_ > now + near || periodic_seen_ > now + near || next_update_ > now + near ||
                        (divider_runs() && next_update_ + near < now)))
        v.refuse("rtc: an impossible time");
}

} // namespace vitrine
