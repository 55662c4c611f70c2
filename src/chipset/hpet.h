// SPDX-License-Identifier: Apache-2.0
// The high precision event timers: a 100 MHz counter and three comparators. IA-PC HPET specification 1.0a.
#pragma once

#include "base/clock.h"
#include "base/device.h"
#include "chipset/spec/hpet.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "interrupts/msi.h"
#include "memory/bus.h"

#include <array>
#include <functional>
#include <memory>

namespace vitrine {

/// In legacy replacement mode timer 0 takes the place of the PIT and timer 1 that of the RTC, whose lines therefore
/// pass through here.
class Hpet : public Device {
public:
    struct Options {
        u64 base = hpet::default_base;
        u16 requester = 0xf0f0; ///< whose messages they are: the DMAR table must name the same function
    };

    /// `gsi` gives a new line to a global system interrupt.
    Hpet(Clock& clock, Bus& mmio, Glass& glass, std::function<Line(unsigned gsi)> gsi, MsiSink& msi,
         const Options& options);

    /// What the PIT's counter 0 and the RTC drive instead of interrupts 0 and 8.
    Line pit_input();
    Line rtc_input();

    u16 requester() const { return options_.requester; }

    std::string_view name() const override { return "hpet"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    struct Comparator {
        u64 config = 0, value = 0, period = 0, fsb = 0;
        u64 next = never;       ///< when the main counter next equals the comparator; never while it stands still
        bool set_value = false; ///< the next write goes to the comparator of a periodic timer too
        std::unique_ptr<Timer> event;
        std::array<Line, hpet::route_count> routes;
        std::array<u8, hpet::route_count> levels{};
        void state(Visitor& v);
    };

    bool enabled() const { return hpet::config.enable(config_); }

    bool legacy() const { return hpet::config.legacy(config_); }

    u64 counter() const;
    u64 width_mask(const Comparator& t) const;
    void settle(unsigned n);   ///< accounts for matches up to now
    void schedule(unsigned n); ///< finds the next match
    void arm(unsigned n);
    void match(unsigned n);
    void drive(unsigned n); ///< the level of a level-triggered timer's interrupt
    void drive_legacy(unsigned n);
    u64 read(u64 reg);
    void write(u64 reg, u64 value, u64 lanes);
    void write_configuration(u64 value);
    void write_comparator(unsigned n, u64 value, u64 lanes);

    Clock& clock_;
    Glass& glass_;
    MsiSink& msi_;
    Options options_;
    Region region_;
    u64 config_ = 0, status_ = 0;
    u64 stopped_at_ = 0; ///< main counter while it stands still
    u64 origin_ = 0;     ///< virtual time at which it began from stopped_at_
    std::array<Comparator, hpet::timers> timers_;
    std::array<Line, 2> legacy_lines_;        ///< interrupts 0 and 8
    std::array<u8, 2> legacy_inputs_{};       ///< levels of PIT and RTC
    std::array<u8, 2> legacy_timer_levels_{}; ///< levels of timers 0 and 1 in their place
    std::array<u8, 2> legacy_levels_{};
};

} // namespace vitrine
