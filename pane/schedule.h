// SPDX-License-Identifier: Apache-2.0
// Which virtual processor runs where: equal shares for guests, slices by the preemption timer, sleep when there is nothing to do.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Cpu;
struct Guest;
struct Vcpu;

/// A processor's whole life in Pane, with the lock taken whenever no guest runs.
[[noreturn]] void run_processor(Cpu& cpu);

/// A virtual processor has become able to run.
void woken(Vcpu& vcpu);

void guest_has_ended(Guest& guest);

} // namespace vitrine::pane
