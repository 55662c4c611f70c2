// SPDX-License-Identifier: Apache-2.0
// ACPI power management: events, the timer's overflow, sleep.
#include "chipset/acpi_pm.h"

namespace vitrine {

using namespace acpi_pm;

namespace {

constexpr u16 status_writable =
    static_cast<u16>(pm1_event.timer.mask() | pm1_event.bus_master.mask() | pm1_event.global.mask() |
                     pm1_event.power_button.mask() | pm1_event.rtc.mask() | pm1_event.wake.mask());
constexpr u16 enable_writable = static_cast<u16>(pm1_event.timer.mask() | pm1_event.global.mask() |
                                                 pm1_event.power_button.mask() | pm1_event.rtc.mask());
constexpr u32 control_writable =
    static_cast<u32>(pm1_ctl.sci_enable.mask() | pm1_ctl.bus_master_reload.mask() | pm1_ctl.sleep_type.mask());

/// The timer shows 32 bits; TMROF is set whenever the highest of them changes.
constexpr u64 half_round = 1ull << 31;

} // namespace

AcpiPm::AcpiPm(Clock& clock, Bus& ports, Glass& glass, Line sci, Actions actions, SleepTypes types)
    : clock_(clock), ports_(ports), glass_(glass), sci_(std::move(sci)), actions_(std::move(actions)), types_(types),
      overflow_(clock, "pm-timer", [this] { update(); }),
      regions_{
          Region{.device = this, .name = "acpi-pm", .size = region_size, .index = 0, .max_size = 4, .unaligned = true},
          Region{.device = this, .name = "apm", .size = 2, .index = 1, .max_size = 2}} {
    ports.map(regions_[1], apm_control_port);
}

void AcpiPm::map_at(u16 base) {
    if (base == 0)
        return unmap();
    base_ = base;
    ports_.map(regions_[0], base);
}

void AcpiPm::unmap() {
    base_ = 0;
    ports_.unmap(regions_[0]);
}

void AcpiPm::set_sci(Line sci) {
    sci_.set(false);
    sci_ = std::move(sci);
    sci_.set(sci_level_);
}

void AcpiPm::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    status_ = enable_ = 0;
    control_ = 0;
    gpe_status_ = gpe_enable_ = {};
    smi_enable_ = 0;
    apm_control_ = apm_status_ = 0;
    asleep_ = 0;
    timer_seen_ = ticks();
    update();
}

u64 AcpiPm::ticks() const {
    return static_cast<u64>(u128{clock_.now()} * timer_frequency / nanoseconds_per_second);
}

void AcpiPm::settle_timer() {
    const u64 now = ticks();
    if (now / half_round != timer_seen_ / half_round)
        status_ |= static_cast<u16>(pm1_event.timer.mask());
    timer_seen_ = now;
}

void AcpiPm::update() {
    settle_timer();
    for (unsigned n = 0; n < 64; ++n)
        if (gpe_levels_ >> n & 1)
            gpe_status_[n / 8] |= static_cast<u8>(1u << n % 8);
    bool event = status_ & enable_;
    for (unsigned i = 0; i < gpe_status_.size(); ++i)
        event |= (gpe_status_[i] & gpe_enable_[i]) != 0;
    if (event && asleep_) {
        asleep_ = 0;
        status_ |= static_cast<u16>(pm1_event.wake.mask());
        glass_.tell(Topic::chipset, "acpi.wake", {{"status", status_}});
        if (actions_.wake)
            actions_.wake();
    }
    const bool level = event && pm1_ctl.sci_enable(control_);
    if (level != sci_level_) {
        sci_level_ = level;
        sci_.set(level);
    }
    u64 due = never;
    if (pm1_event.timer(enable_) && !pm1_event.timer(status_)) {
        const u64 next = (ticks() / half_round + 1) * half_round;
        due = static_cast<u64>((u128{next} * nanoseconds_per_second + timer_frequency - 1) / timer_frequency);
    }
    overflow_.arm(due);
}

void AcpiPm::press_power_button() {
    status_ |= static_cast<u16>(pm1_event.power_button.mask());
    update();
}

void AcpiPm::set_gpe(unsigned n, bool level) {
    if (n < 64)
        gpe_levels_ = level ? gpe_levels_ | bit(n) : gpe_levels_ & ~bit(n);
    update();
}

void AcpiPm::rtc_alarm() {
    status_ |= static_cast<u16>(pm1_event.rtc.mask());
    update();
}

void AcpiPm::go_to_sleep() {
    const u64 type = pm1_ctl.sleep_type(control_);
    glass_.tell(Topic::chipset, "acpi.sleep", {{"type", type}});
    if (type == types_.s5 || type == types_.s4) {
        if (actions_.power_off)
            actions_.power_off();
        return;
    }
    const unsigned state = type == types_.s1 ? 1 : type == types_.s3 ? 3 : 0;
    if (state == 0 || !actions_.sleep) {
        glass_.odd(Topic::chipset, "acpi.no-such-sleep-state", {{"type", type}});
        return;
    }
    asleep_ = static_cast<u8>(state);
    actions_.sleep(state);
    update(); // an event that is already there wakes at once
}

void AcpiPm::write_control(unsigned byte, u8 value) {
    const u32 lane = 0xffu << (8 * byte), written = u32{value} << (8 * byte);
    control_ = (control_ & ~(control_writable & lane)) | (written & control_writable & lane);
    if (pm1_ctl.sleep_enable(written))
        go_to_sleep();
}

u8 AcpiPm::read(u64 offset) {
    const auto byte_of = [](u64 value, u64 from_offset) { return static_cast<u8>(value >> (8 * from_offset)); };
    if (offset < pm1_enable) {
        settle_timer();
        return byte_of(status_, offset);
    }
    if (offset < pm1_control)
        return byte_of(enable_, offset - pm1_enable);
    if (offset < pm_timer)
        return byte_of(control_, offset - pm1_control);
    if (offset < pm_timer + 4)
        return byte_of(ticks(), offset - pm_timer);
    if (offset >= gpe0_status && offset < gpe0_enable)
        return gpe_status_[offset - gpe0_status];
    if (offset >= gpe0_enable && offset < smi_enable)
        return gpe_enable_[offset - gpe0_enable];
    if (offset >= smi_enable && offset < smi_status)
        return byte_of(smi_enable_, offset - smi_enable);
    return 0;
}

void AcpiPm::write(u64 offset, u8 value) {
    const auto lanes = [&](u64 from) { return 8 * (offset - from); };
    if (offset < pm1_enable) {
        settle_timer();
        status_ &= static_cast<u16>(~(value << lanes(0) & status_writable));
    } else if (offset < pm1_control) {
        settle_timer();
        const u32 lane = 0xffu << lanes(pm1_enable) & enable_writable;
        enable_ = static_cast<u16>((enable_ & ~lane) | (u32{value} << lanes(pm1_enable) & lane));
    } else if (offset < pm_timer) {
        write_control(static_cast<unsigned>(offset - pm1_control), value);
    } else if (offset >= gpe0_status && offset < gpe0_enable) {
        gpe_status_[offset - gpe0_status] &= static_cast<u8>(~value);
    } else if (offset >= gpe0_enable && offset < smi_enable) {
        gpe_enable_[offset - gpe0_enable] = value;
    } else if (offset >= smi_enable && offset < smi_status) {
        smi_enable_ = static_cast<u32>((smi_enable_ & ~(0xffu << lanes(smi_enable))) | u32{value} << lanes(smi_enable));
    } else {
        glass_.odd(Topic::chipset, "acpi.write-unknown-register", {{"offset", offset}, {"value", value}});
    }
}

void AcpiPm::access(Region& region, Access& a) {
    if (region.index == 0) {
        u64 result = 0;
        if (!a.write && a.offset >= pm_timer && a.offset + a.size <= pm_timer + 4)
            result = static_cast<u32>(ticks()) >> (8 * (a.offset - pm_timer)); // all bytes at one instant
        else
            for (unsigned i = 0; i < a.size; ++i) {
                if (a.write)
                    write(a.offset + i, static_cast<u8>(a.value >> (8 * i)));
                else
                    result |= u64{read(a.offset + i)} << (8 * i);
            }
        if (a.write)
            update();
        else
            a.value = result;
        return;
    }
    for (unsigned i = 0; i < a.size; ++i) {
        u8& reg = a.offset + i == 0 ? apm_control_ : apm_status_;
        if (!a.write) {
            a.value |= u64{reg} << (8 * i);
            continue;
        }
        reg = static_cast<u8>(a.value >> (8 * i));
        if (&reg != &apm_control_)
            continue;
        if (reg == acpi_enable_command)
            control_ |= static_cast<u32>(pm1_ctl.sci_enable.mask());
        else if (reg == acpi_disable_command)
            control_ &= ~static_cast<u32>(pm1_ctl.sci_enable.mask());
        else
            glass_.odd(Topic::chipset, "apm.command-without-smm", {{"command", reg}});
    }
    if (a.write)
        update();
}

void AcpiPm::state(Visitor& v) {
    v.field("status", status_);
    v.field("enable", enable_);
    v.field("control", control_);
    v.field("gpe-status", gpe_status_);
    v.field("gpe-enable", gpe_enable_);
    v.field("gpe-levels", gpe_levels_);
    v.field("smi-enable", smi_enable_);
    v.field("apm-control", apm_control_);
    v.field("apm-status", apm_status_);
    v.field("timer-seen", timer_seen_);
    v.field("asleep", asleep_);
    v.field("sci", sci_level_);
    v.field("base", base_);
    v.field("overflow", overflow_);
    if (v.loading())
        base_ ? ports_.map(regions_[0], base_) : ports_.unmap(regions_[0]);
}

} // namespace vitrine
