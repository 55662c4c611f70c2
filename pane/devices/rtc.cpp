// SPDX-License-Identifier: Apache-2.0
// The MC146818: its registers A to D, the date from the TSC, interrupts by IRQ 8.
#include "pane/devices/rtc.h"

#include "pane/guest/guest.h"
#include "pane/kernel/time.h"

namespace vitrine::pane {

namespace {

enum Register : u8 {
    second = 0, second_alarm = 1, minute = 2, minute_alarm = 3, hour = 4, hour_alarm = 5, weekday = 6, day = 7, month = 8, year = 9,
    reg_a = 10, reg_b = 11, reg_c = 12, reg_d = 13, century = 0x32,
};

// Register B: SET, PIE, AIE, UIE, binary data, 24 hours. Register C: the same interrupts as flags, and IRQF.
constexpr u8 periodic = 0x40, alarm = 0x20, update = 0x10, b_binary = 4, b_24 = 2, c_irq = 0x80;
constexpr u8 update_in_progress = 0x80;

struct Date {
    u64 year;
    u8 month, day, weekday, hour, minute, second;
};

// Days to civil date and back: eras of 400 years, the year beginning in March.
Date civil(u64 seconds) {
    const u64 days = seconds / 86400, rest = seconds % 86400;
    const u64 z = days + 719468, era = z / 146097, doe = z % 146097;
    const u64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const u64 mp = (5 * doy + 2) / 153, m = mp < 10 ? mp + 3 : mp - 9;
    return {yoe + era * 400 + (m <= 2), static_cast<u8>(m), static_cast<u8>(doy - (153 * mp + 2) / 5 + 1),
            static_cast<u8>((days + 4) % 7 + 1), static_cast<u8>(rest / 3600), static_cast<u8>(rest / 60 % 60), static_cast<u8>(rest % 60)};
}

u64 from_civil(const Date& d) {
    const u64 y = d.year - (d.month <= 2), era = y / 400, yoe = y % 400;
    const u64 doy = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return (era * 146097 + doe - 719468) * 86400 + d.hour * 3600ull + d.minute * 60ull + d.second;
}

constexpr u8 to_bcd(u8 n) { return static_cast<u8>(n / 10 << 4 | n % 10); }

constexpr u8 from_bcd(u8 n) { return static_cast<u8>((n >> 4) * 10 + (n & 15)); }

u8 machine_cmos(u8 reg) {
    out8(0x70, reg);
    return in8(0x71);
}

u64 machine_seconds, machine_tsc;

} // namespace

void read_machine_clock() {
    while (machine_cmos(reg_a) & update_in_progress)
        relax();
    const bool binary = machine_cmos(reg_b) & b_binary;
    const auto number = [&](u8 reg) { return binary ? machine_cmos(reg) : from_bcd(machine_cmos(reg)); };
    Date d{2000ull + number(year), number(month), number(day), 0, number(hour), number(minute), number(second)};
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31)
        d = {2026, 1, 1, 0, 0, 0, 0};
    machine_seconds = from_civil(d);
    machine_tsc = rdtsc();
}

void Rtc::start() {
    base_seconds_ = machine_seconds;
    base_tsc_ = machine_tsc;
    memory_[reg_a] = 0x26; // 32768 Hz, 1024 interrupts a second
    memory_[reg_b] = b_24;
}

u64 Rtc::seconds(u64 now) const { return base_seconds_ + (now - base_tsc_) / tsc_frequency(); }

u64 Rtc::period() const {
    unsigned rate = memory_[reg_a] & 15;
    if (rate == 0)
        return ~0ull;
    if (rate < 3)
        rate += 7;
    return (tsc_frequency() << (rate - 1)) / 32768;
}

u8 Rtc::read(Guest& guest, u16 port) {
    if (port == 0x70)
        return 0xff;
    const u64 now = rdtsc();
    const Date d = civil(seconds(now));
    const bool binary = memory_[reg_b] & b_binary;
    const auto shown = [&](u8 n) { return binary ? n : to_bcd(n); };
    switch (index_) {
    case second: return shown(d.second);
    case minute: return shown(d.minute);
    case hour: {
        if (memory_[reg_b] & b_24)
            return shown(d.hour);
        const u8 twelve = d.hour % 12 ? d.hour % 12 : 12;
        return shown(twelve) | (d.hour >= 12 ? 0x80 : 0);
    }
    case weekday: return d.weekday;
    case day: return shown(d.day);
    case month: return shown(d.month);
    case year: return shown(static_cast<u8>(d.year % 100));
    case century: return shown(static_cast<u8>(d.year / 100));
    case reg_a: {
        // In progress for the last two milliseconds of each second, as on the chip.
        const u64 into = (now - base_tsc_) % tsc_frequency();
        return static_cast<u8>((memory_[reg_a] & 0x7f) | (into > tsc_frequency() - tsc_frequency() / 500 ? update_in_progress : 0));
    }
    case reg_c: {
        const u8 value = memory_[reg_c];
        memory_[reg_c] = 0;
        guest.set_irq(8, false);
        return value;
    }
    case reg_d: return 0x80; // the battery is good
    default: return memory_[index_];
    }
}

void Rtc::write(u16 port, u8 value) {
    if (port == 0x70) {
        index_ = value & 0x7f;
        return;
    }
    const u64 now = rdtsc();
    const bool binary = memory_[reg_b] & b_binary;
    const u8 number = binary ? value : from_bcd(value);
    Date d = civil(seconds(now));
    switch (index_) {
    case second: d.second = number; break;
    case minute: d.minute = number; break;
    case hour:
        d.hour = memory_[reg_b] & b_24 ? number
                                       : static_cast<u8>((binary ? value & 0x7f : from_bcd(value & 0x7f)) % 12 + (value & 0x80 ? 12 : 0));
        break;
    case day: d.day = number; break;
    case month: d.month = number; break;
    case year: d.year = d.year / 100 * 100 + number; break;
    case century: d.year = number * 100ull + d.year % 100; break;
    case reg_c:
    case reg_d: return;
    default:
        memory_[index_] = value;
        next_period_ = now + period();
        next_update_ = now + tsc_frequency() - (now - base_tsc_) % tsc_frequency();
        return;
    }
    if (d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= 31 && d.hour < 24 && d.minute < 60 && d.second < 60 && d.year >= 1970)
        base_seconds_ += from_civil(d) - seconds(now);
}

/// An alarm register of C0h or above matches always.
bool Rtc::alarm_matches(u64 now) const {
    const Date d = civil(seconds(now));
    const bool binary = memory_[reg_b] & b_binary;
    const auto matches = [&](u8 reg, u8 value) { return memory_[reg] >= 0xc0 || (binary ? memory_[reg] : from_bcd(memory_[reg])) == value; };
    return matches(second_alarm, d.second) && matches(minute_alarm, d.minute) && matches(hour_alarm, d.hour);
}

u64 Rtc::next_event() const {
    u64 at = ~0ull;
    if (memory_[reg_b] & periodic)
        at = next_period_;
    if ((memory_[reg_b] & (alarm | update)) && next_update_ < at)
        at = next_update_;
    return at;
}

void Rtc::raise(Guest& guest, u8 flag) {
    memory_[reg_c] |= flag;
    if (memory_[reg_b] & flag) {
        memory_[reg_c] |= c_irq;
        guest.set_irq(8, true);
    }
}

void Rtc::advance(Guest& guest, u64 now) {
    if ((memory_[reg_b] & periodic) && now >= next_period_) {
        next_period_ += (now - next_period_) / period() * period() + period();
        raise(guest, periodic);
    }
    if ((memory_[reg_b] & (alarm | update)) && now >= next_update_) {
        next_update_ = now + tsc_frequency() - (now - base_tsc_) % tsc_frequency();
        raise(guest, update);
        if (alarm_matches(now))
            raise(guest, alarm);
    }
}

} // namespace vitrine::pane
