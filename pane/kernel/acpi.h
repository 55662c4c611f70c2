// SPDX-License-Identifier: Apache-2.0
// What Pane wants to know from the machine's ACPI tables: processors, the I/O APIC, PCI, VT-d, and how to switch off.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct MachineTables {
    static constexpr unsigned most_processors = 16;

    u32 apic_ids[most_processors]{};
    unsigned processor_count = 0;
    u32 io_apic = 0xfec0'0000;
    u8 io_apic_id = 0;
    u32 serial_pin = 4;    ///< the I/O APIC's input that ISA IRQ 4 is wired to
    u64 ecam = 0;          ///< configuration space of segment 0, bus 0; 0 when there is no MCFG
    u8 ecam_first_bus = 0, ecam_last_bus = 0;
    u64 dmar = 0;          ///< the table itself; 0 when there is none
    u16 pm1_control = 0;   ///< port; 0 when there is no FADT
    u16 sleep_type = 0;    ///< SLP_TYP of S5
    bool has_sleep_type = false;
};

/// Without tables: one processor, and no way to switch off.
void read_acpi(MachineTables& machine);

/// Comes back when the machine cannot be switched off.
void power_off(const MachineTables& machine);

} // namespace vitrine::pane
