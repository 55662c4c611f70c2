// SPDX-License-Identifier: Apache-2.0
// What a BIOS leaves in the interrupt hardware of a PC.
#pragma once

namespace vitrine::machine {

class Machine;

/// 8259s at vectors 08h and 70h with only the timer open, the PIT ticking at 18.2 Hz, and the boot processor's local APIC as a
/// virtual wire: 8259 to LINT0, NMI to LINT1.
void set_up_legacy_hardware(Machine& machine);

} // namespace vitrine::machine
