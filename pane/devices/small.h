// SPDX-License-Identifier: Apache-2.0
// A guest's ACPI power-management registers and its PCI configuration space: a host bridge, and its assigned devices.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

/// PM1a event and control blocks and the PM timer. Writing SLP_EN with S5's type ends the guest.
class PowerManagement {
public:
    static constexpr u16 base = 0x600, event = base, control = base + 4, timer = base + 8, size = 12;
    static constexpr u8 sleep_type_s5 = 5;

    u32 read(u16 port) const;
    void write(Guest& guest, u16 port, u32 value);

private:
    u16 status_ = 0, enable_ = 0, control_ = 1; ///< SCI_EN: there is no SMI to switch it on by
};

/// Mechanism #1 at CF8h and CFCh.
class PciConfiguration {
public:
    u32 read(const Guest& guest, u16 port, unsigned size) const;
    void write(Guest& guest, u16 port, unsigned size, u32 value);

private:
    u32 address_ = 0;
};

} // namespace vitrine::pane
