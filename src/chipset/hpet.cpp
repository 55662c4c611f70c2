// SPDX-License-Identifier: Apache-2.0
// The event timers: matches are computed, and only those that interrupt are scheduled.
#include "chipset/hpet.h"

#include <string>

namespace vitrine {

using namespace hpet;

namespace {

constexpr u64 timer_reset =
    timer.periodic_capable.mask() | timer.is_64_bit.mask() | timer.fsb_capable.mask() | u64{routes} << 32;
constexpr u64 timer_writable = timer.level.mask() | timer.enable.mask() | timer.periodic.mask() | timer.mode_32.mask() |
                               timer.route.mask() | timer.fsb_enable.mask();

} // namespace

Hpet::Hpet(Clock& clock, Bus& mmio, Glass& glass, std::function<Line(unsigned)> gsi, MsiSink& msi,
           const Options& options)
    : clock_(clock), glass_(glass), msi_(msi),
      options_(options), region_{.device = this, .name = "hpet", .size = region_size, .min_size = 4, .max_size = 8} {
    for (unsigned n = 0; n < timers; ++n) {
        Comparator& t = timers_[n];
        t.event = std::make_unique<Timer>(clock, "hpet-" + std::to_string(n), [this, n] { settle(n); });
        for (unsigned r = 0; r < route_count; ++r)
            t.routes[r] = gsi(first_route + r);
    }
    legacy_lines_ = {gsi(0), gsi(8)};
    mmio.map(region_, options.base);
    reset(Reset::cold);
}

void Hpet::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    config_ = status_ = 0;
    stopped_at_ = origin_ = 0;
    for (unsigned n = 0; n < timers; ++n) {
        Comparator& t = timers_[n];
        t.config = timer_reset;
        t.value = ~0ull;
        t.period = t.fsb = 0;
        t.next = never;
        t.set_value = false;
        arm(n);
        drive(n);
    }
    legacy_timer_levels_ = {};
    drive_legacy(0);
    drive_legacy(1);
}

Line Hpet::pit_input() {
    return Line([this](bool level) {
        legacy_inputs_[0] = level;
        drive_legacy(0);
    });
}

Line Hpet::rtc_input() {
    return Line([this](bool level) {
        legacy_inputs_[1] = level;
        drive_legacy(1);
    });
}

void Hpet::drive_legacy(unsigned n) {
    const u8 level = legacy() ? legacy_timer_levels_[n] : legacy_inputs_[n];
    if (level != legacy_levels_[n]) {
        legacy_levels_[n] = level;
        legacy_lines_[n].set(level);
    }
}

u64 Hpet::counter() const {
    return enabled() ? stopped_at_ + (clock_.now() - origin_) / period_ns : stopped_at_;
}

u64 Hpet::width_mask(const Comparator& t) const {
    return timer.mode_32(t.config) ? low_mask(32) : ~0ull;
}

// The first instant from now on at which the counter has the comparator's value. What lies beyond 2^63 ns never comes.
void Hpet::schedule(unsigned n) {
    Comparator& t = timers_[n];
    t.next = never;
    if (enabled()) {
        const u64 ahead = (t.value - counter()) & width_mask(t);
        const u64 tick_start = origin_ + (clock_.now() - origin_) / period_ns * period_ns;
        if (ahead < (1ull << 63) / period_ns)
            t.next = tick_start + ahead * period_ns; // maybe this very tick, which has begun
    }
    arm(n);
}

void Hpet::arm(unsigned n) {
    Comparator& t = timers_[n];
    t.event->arm(timer.enable(t.config) ? t.next : never);
}

void Hpet::settle(unsigned n) {
    Comparator& t = timers_[n];
    const u64 now = clock_.now();
    if (t.next > now)
        return arm(n);
    const u64 mask = width_mask(t);
    const u64 step = timer.periodic(t.config) ? t.period & mask : 0;
    if (step != 0 && step < (1ull << 60) / period_ns) {
        const u64 times = 1 + (now - t.next) / (step * period_ns);
        t.value = (t.value & ~mask) | ((t.value + times * step) & mask);
        t.next += times * step * period_ns;
    } else if (step != 0) {
        t.value = (t.value & ~mask) | ((t.value + step) & mask);
        t.next = never;
    } else if (mask == low_mask(32)) { // a one-shot of 32 bits matches again when the counter comes round
        const u64 round = period_ns << 32;
        t.next += round * (1 + (now - t.next) / round);
    } else {
        t.next = never;
    }
    arm(n);
    match(n);
}

void Hpet::match(unsigned n) {
    const Comparator& t = timers_[n];
    glass_.tell(Topic::chipset, "hpet.match", {{"timer", n}, {"comparator", t.value}});
    if (timer.level(t.config)) {
        status_ |= bit(n);
        drive(n);
    }
    if (!timer.enable(t.config))
        return;
    if (timer.fsb_enable(t.config) && !(legacy() && n < 2)) {
        msi_.message(Requester::function(options_.requester), t.fsb >> 32, static_cast<u32>(t.fsb));
    } else if (timer.level(t.config)) {
        return;
    } else if (legacy() && n < 2) { // an edge: down and up
        legacy_timer_levels_[n] = 0;
        drive_legacy(n);
        legacy_timer_levels_[n] = 1;
        drive_legacy(n);
    } else if (const u64 route = timer.route(t.config); route >= first_route && route < first_route + route_count) {
        Comparator& writable = timers_[n];
        const auto r = static_cast<unsigned>(route - first_route);
        writable.routes[r].set(false);
        writable.routes[r].set(true);
        writable.levels[r] = 1;
    } else {
        glass_.odd(Topic::chipset, "hpet.no-such-route", {{"timer", n}, {"route", route}});
    }
}

// Sets every line of a timer to what its configuration and status say. An edge leaves its line high until the next.
void Hpet::drive(unsigned n) {
    Comparator& t = timers_[n];
    const bool level_mode = timer.level(t.config);
    const bool active = level_mode && timer.enable(t.config) && (status_ & bit(n));
    const bool replaced = legacy() && n < 2;
    const bool message = !replaced && timer.fsb_enable(t.config);
    for (unsigned r = 0; r < route_count; ++r) {
        const bool mine = !replaced && !message && timer.route(t.config) == first_route + r;
        const u8 level = mine ? (level_mode ? active : t.levels[r] && timer.enable(t.config)) : 0;
        if (level != t.levels[r]) {
            t.levels[r] = level;
            t.routes[r].set(level);
        }
    }
    if (n < 2) {
        if (level_mode || !replaced)
            legacy_timer_levels_[n] = replaced && active;
        drive_legacy(n);
    }
}

u64 Hpet::read(u64 reg) {
    switch (reg) {
    case capabilities:
        return capabilities_value;
    case configuration:
        return config_;
    case interrupt_status:
        for (unsigned n = 0; n < timers; ++n)
            settle(n);
        return status_;
    case main_counter:
        return counter();
    default:
        break;
    }
    const u64 n = (reg - first_timer) / 0x20;
    if (reg < first_timer || n >= timers)
        return 0; // reserved
    const Comparator& t = timers_[n];
    switch (reg & 0x18) {
    case 0x00:
        return t.config;
    case 0x08:
        settle(static_cast<unsigned>(n));
        return t.value & width_mask(t);
    case 0x10:
        return t.fsb;
    default:
        return 0;
    }
}

void Hpet::write_configuration(u64 value) {
    for (unsigned n = 0; n < timers; ++n)
        settle(n);
    const u64 now_at = counter();
    const bool was = enabled();
    config_ = value & (config.enable.mask() | config.legacy.mask());
    if (was != enabled()) {
        stopped_at_ = now_at;
        origin_ = clock_.now();
        for (unsigned n = 0; n < timers; ++n)
            schedule(n);
    }
    for (unsigned n = 0; n < timers; ++n)
        drive(n);
}

// A periodic timer takes a write as its period; right after VAL_SET it is the first comparator value as well.
void Hpet::write_comparator(unsigned n, u64 value, u64 lanes) {
    Comparator& t = timers_[n];
    const bool periodic = timer.periodic(t.config);
    if (!periodic || t.set_value)
        t.value = (t.value & ~lanes) | (value & lanes);
    if (periodic)
        t.period = (t.period & ~lanes) | (value & lanes);
    if (!periodic || t.set_value)
        schedule(n);
    t.set_value = false;
}

void Hpet::write(u64 reg, u64 value, u64 lanes) {
    switch (reg) {
    case configuration:
        return write_configuration((config_ & ~lanes) | (value & lanes));
    case interrupt_status:
        for (unsigned n = 0; n < timers; ++n) {
            settle(n);
            if (value & lanes & bit(n) && timer.level(timers_[n].config)) {
                status_ &= ~bit(n);
                drive(n);
            }
        }
        return;
    case main_counter:
        if (enabled())
            glass_.odd(Topic::chipset, "hpet.counter-written-while-running", {{"value", value}});
        for (unsigned n = 0; n < timers; ++n)
            settle(n);
        stopped_at_ = (counter() & ~lanes) | (value & lanes);
        origin_ = clock_.now();
        for (unsigned n = 0; n < timers; ++n)
            schedule(n);
        return;
    default:
        break;
    }
    const u64 index = (reg - first_timer) / 0x20;
    if (reg < first_timer || index >= timers) {
        glass_.odd(Topic::chipset, "hpet.write-reserved", {{"offset", reg}, {"value", value}});
        return;
    }
    const auto n = static_cast<unsigned>(index);
    Comparator& t = timers_[n];
    settle(n);
    switch (reg & 0x18) {
    case 0x00: {
        const u64 writable = timer_writable & lanes;
        const u64 before = t.config;
        t.config = (t.config & ~writable) | (value & writable);
        if (value & lanes & timer.value_set.mask() && timer.periodic(t.config))
            t.set_value = true;
        if (!timer.level(t.config))
            status_ &= ~bit(n);
        if ((t.config ^ before) & timer.mode_32.mask())
            schedule(n);
        else
            arm(n);
        drive(n);
        return;
    }
    case 0x08:
        return write_comparator(n, value, lanes);
    case 0x10:
        t.fsb = (t.fsb & ~lanes) | (value & lanes);
        return;
    default:
        glass_.odd(Topic::chipset, "hpet.write-reserved", {{"offset", reg}, {"value", value}});
        return;
    }
}

void Hpet::access(Region&, Access& a) {
    const u64 reg = a.offset & ~7ull;
    const unsigned shift = 8 * (a.offset & 7);
    if (a.write)
        write(reg, a.value << shift, low_mask(8 * a.size) << shift);
    else
        a.answer(read(reg), reg);
}

void Hpet::Comparator::state(Visitor& v) {
    v.field("config", config);
    v.field("value", value);
    v.field("period", period);
    v.field("fsb", fsb);
    v.field("next", next);
    v.field("set-value", set_value);
    v.field("levels", levels);
    v.field("event", *event);
}

void Hpet::state(Visitor& v) {
    v.field("config", config_);
    v.field("status", status_);
    v.field("stopped-at", stopped_at_);
    v.field("origin", origin_);
    v.field("timers", timers_);
    v.field("legacy-inputs", legacy_inputs_);
    v.field("legacy-timer-levels", legacy_timer_levels_);
    v.field("legacy-levels", legacy_levels_);
}

} // namespace vitrine
