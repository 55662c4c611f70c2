// SPDX-License-Identifier: Apache-2.0
// Fixed hardware registers of ACPI as the ICH9 has them, relative to PMBASE; what the FADT and the DSDT must say.
// Freestanding. ACPI specification, "ACPI Hardware Specification"; ICH9 datasheet, "Power Management I/O Registers".
#pragma once

#include "words/bits.h"

namespace vitrine::acpi_pm {

inline constexpr u16 region_size = 0x80;
inline constexpr u64 timer_frequency = 3'579'545;

enum Offset : u16 {
    pm1_status = 0x00,
    pm1_enable = 0x02,
    pm1_control = 0x04,
    pm_timer = 0x08,
    gpe0_status = 0x20, ///< 8 bytes, then as many of enables
    gpe0_enable = 0x28,
    smi_enable = 0x30,
    smi_status = 0x34,
};

inline constexpr unsigned gpe0_bytes = 16; ///< length of the block in the FADT

/// PM1_STS and PM1_EN: the same positions in both.
struct Pm1Event {
    Field timer{0, rw1c, "TMROF", "PM timer's top bit changed"};
    Field bus_master{4, rw1c, "BM", "bus master activity"};
    Field global{5, rw1c, "GBL", "global lock released"};
    Field power_button{8, rw1c, "PWRBTN", "power button"};
    Field rtc{10, rw1c, "RTC", "RTC alarm"};
    Field wake{15, rw1c, "WAK", "woke from sleep"};
} inline constexpr pm1_event;

struct Pm1Control {
    Field sci_enable{0, rw, "SCI_EN", "ACPI mode"};
    Field bus_master_reload{1, rw, "BM_RLD", "bus masters wake from C3"};
    Field global_release{2, wo, "GBL_RLS", "tell firmware of the global lock"};
    Field sleep_type{10, 12, rw, "SLP_TYP", "sleep type"};
    Field sleep_enable{13, wo, "SLP_EN", "go to sleep"};
} inline constexpr pm1_ctl;

inline constexpr u16 apm_control_port = 0xb2, apm_status_port = 0xb3;
inline constexpr u8 acpi_enable_command = 2, acpi_disable_command = 3; ///< written to SMI_CMD = B2h
inline constexpr u8 sci_interrupt = 9;

/// Values of SLP_TYP, which the DSDT repeats in \_S1, \_S3, \_S4 and \_S5.
struct SleepTypes {
    u8 s1 = 1, s3 = 5, s4 = 6, s5 = 7;
};

} // namespace vitrine::acpi_pm
