// SPDX-License-Identifier: Apache-2.0
// The guest's own page tables, walked by Pane to see what the guest sees: for instructions that touch devices.
#pragma once

#include "words/addresses.h"

namespace vitrine::pane {

struct Vcpu;

/// Its VMCS must be current. False when the guest does not map the address.
bool translate(const Vcpu& vcpu, Linear address, GuestPhysical& result);

/// Copies out of the guest's linear memory; how many bytes could be read.
unsigned read_linear(const Vcpu& vcpu, Linear address, u8* to, unsigned size);

/// The same, into it.
unsigned write_linear(const Vcpu& vcpu, Linear address, const u8* from, unsigned size);

} // namespace vitrine::pane
