// SPDX-License-Identifier: Apache-2.0
// Accesses to guest-physical memory that is not RAM: devices by table, and nothing everywhere else.
#pragma once

#include "words/addresses.h"

namespace vitrine::pane {

struct Vcpu;

/// Carries out the instruction at the guest's RIP, whose access to `gpa` has exited.
void device_memory_access(Vcpu& vcpu, GuestPhysical gpa);

} // namespace vitrine::pane
