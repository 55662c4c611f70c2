// SPDX-License-Identifier: Apache-2.0
// Control registers and EFER of a guest: the few writes that exit, and what follows from them.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Vcpu;

/// False is #GP.
bool write_efer(Vcpu& vcpu, u64 value);
bool write_cr0(Vcpu& vcpu, u64 value);
bool write_cr4(Vcpu& vcpu, u64 value);

void control_register_access(Vcpu& vcpu, u64 qualification);
void xsetbv_executed(Vcpu& vcpu);

} // namespace vitrine::pane
