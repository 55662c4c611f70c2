// SPDX-License-Identifier: Apache-2.0
// An interrupt on its way to local APICs: what an IPI, an MSI or a remapped interrupt becomes.
#pragma once

#include "interrupts/spec/apic.h"

namespace vitrine {

struct InterruptMessage {
    u32 destination = 0;
    bool wide =
        false; ///< 32-bit destination (x2APIC ICR, extended interrupt mode of VT-d); else 8 bits, FFh is everyone
    bool logical = false; ///< destination mode
    apic::DeliveryMode mode = apic::DeliveryMode::fixed;
    u8 vector = 0;
    bool level = false;            ///< trigger mode, as the TMR will show it
    bool redirection_hint = false; ///< to one of the destinations, the one of lowest priority

    bool broadcast() const { return destination == (wide ? 0xffff'ffffu : 0xffu); }
};

} // namespace vitrine
