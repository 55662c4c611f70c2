// SPDX-License-Identifier: Apache-2.0
// A guest's I/O APIC: 24 pins with redirection entries, edge and level (82093AA data sheet, with ICH9's EOI register).
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

class IoApic {
public:
    static constexpr unsigned pins = 24;
    static constexpr u64 address = 0xfec0'0000;

    IoApic();
    u32 read(u32 offset) const;
    void write(Guest& guest, u32 offset, u32 value);
    void set_line(Guest& guest, unsigned pin, bool level);

    /// A local APIC has seen the end of a level-triggered interrupt.
    void end_of_interrupt(Guest& guest, u8 vector);

    u64 delivered[pins]{}; ///< interrupts that were new to the local APIC that got them

private:
    void deliver(Guest& guest, unsigned pin);

    u32 index_ = 0, id_ = 0;
    u32 lines_ = 0;
    u64 entries_[pins];
};

} // namespace vitrine::pane
