// SPDX-License-Identifier: Apache-2.0
// ACPI power management: PM1 and GPE0 blocks, PM timer, SCI, the APM ports that switch ACPI mode, and sleep. ICH9
// datasheet. There is no system management mode: the SMI registers keep what is written and no SMI follows, but for
// ACPI enable and disable.
#pragma once

#include "base/clock.h"
#include "base/device.h"
#include "chipset/spec/acpi_pm.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>
#include <functional>

namespace vitrine {

class AcpiPm : public Device {
public:
    struct Actions {
        std::function<void()> power_off{};           ///< S5, and S4 whose image the guest keeps itself
        std::function<void(unsigned state)> sleep{}; ///< S1 or S3; without it they are refused
        std::function<void()> wake{};                ///< an enabled wake event came while asleep
    };

    AcpiPm(Clock& clock, Bus& ports, Glass& glass, Line sci, Actions actions, acpi_pm::SleepTypes types = {});

    /// Moves the block (PMBASE), or takes it from the bus: what the LPC bridge does. Base 0 is nowhere.
    void map_at(u16 base);
    void unmap();

    /// Moves the SCI to another interrupt (the LPC bridge's SCI_IRQ_SEL).
    void set_sci(Line sci);

    /// The person at the machine presses the button.
    void press_power_button();

    /// A general-purpose event; the line is level.
    void set_gpe(unsigned n, bool level);

    /// The RTC's alarm, which may wake.
    void rtc_alarm();

    const acpi_pm::SleepTypes& sleep_types() const { return types_; }

    std::string_view name() const override { return "acpi-pm"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    u64 ticks() const;
    u8 read(u64 offset);
    void write(u64 offset, u8 value);
    void write_control(unsigned byte, u8 value);
    void settle_timer();
    void go_to_sleep();
    void update(); ///< SCI, wake and the timer's next overflow

    Clock& clock_;
    Bus& ports_;
    Glass& glass_;
    Line sci_;
    Actions actions_;
    acpi_pm::SleepTypes types_;
    u16 status_ = 0, enable_ = 0;
    u32 control_ = 0;
    std::array<u8, 8> gpe_status_{}, gpe_enable_{};
    u64 gpe_levels_ = 0;
    u32 smi_enable_ = 0;
    u8 apm_control_ = 0, apm_status_ = 0;
    u64 timer_seen_ = 0; ///< PM timer ticks up to which overflows are in PM1_STS
    u8 asleep_ = 0;      ///< sleep state, 0 when awake
    bool sci_level_ = false;
    u16 base_ = 0; ///< where the block is mapped; 0 when it is not
    Timer overflow_;
    std::array<Region, 2> regions_;
};

} // namespace vitrine
