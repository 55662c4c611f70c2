// SPDX-License-Identifier: Apache-2.0
// The real-time clock and its battery-backed memory at ports 70h to 73h. Motorola MC146818A; ICH9 datasheet, "RTC".
// Time is kept in the registers themselves and moves by update cycles, one each virtual second.
#pragma once

#include "base/clock.h"
#include "base/device.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>
#include <functional>

namespace vitrine {

class Rtc : public Device {
public:
    /// The date of a machine that was told no other: 2026-01-01 00:00:00 UTC.
    static constexpr i64 default_date = 1'767'225'600;

    /// `date` in seconds since 1970 is what the clock shows when it is made.
    Rtc(Clock& clock, Bus& ports, Glass& glass, Line irq8, i64 date = default_date);

    /// Called when the alarm goes off with its interrupt enabled: the chipset's wake event.
    void set_alarm_listener(std::function<void()> alarm) { alarm_ = std::move(alarm); }

    /// Stores the sizes of memory where old firmware and its guests look for them.
    void set_memory_size(u64 below_4g, u64 above_4g);

    /// A byte of the memory, for firmware data: 0Eh to 7Fh, and 80h to FFh in the upper bank.
    void set_byte(u8 index, u8 value) { memory_[index] = value; }

    u8 byte(u8 index) const { return memory_[index]; }

    /// Bit 7 of port 70h: NMIs are switched off.
    bool nmi_disabled() const { return index_ & 0x80; }

    std::string_view name() const override { return "rtc"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    u8 read(u8 index);
    void write(u8 index, u8 value);
    void set_date(i64 date);
    u8 encode(unsigned value) const;
    unsigned decode(u8 value) const;
    u8 encode_hour(unsigned hour) const;
    unsigned decode_hour(u8 value) const;
    bool divider_runs() const;
    u64 periodic_interval() const; ///< in ticks of 32768 Hz; 0 for none
    void settle_periodic();
    void update_cycle();
    void schedule();
    void update_line();

    Clock& clock_;
    Glass& glass_;
    Line irq_;
    std::function<void()> alarm_;
    std::array<u8, 256> memory_{};
    u8 index_ = 0, upper_index_ = 0;
    u64 divider_start_ = 0;   ///< when the divider chain was last at zero
    u64 next_update_ = never; ///< end of the next update cycle
    u64 periodic_seen_ = 0;   ///< virtual time up to which periodic edges are in register C
    bool irq_level_ = false;
    Timer update_, periodic_;
    std::array<Region, 2> regions_;
};

} // namespace vitrine
