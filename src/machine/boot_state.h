// SPDX-License-Identifier: Apache-2.0
// What firmware leaves behind, put into processors.
#pragma once

#include "base/error.h"
#include "firmware/boot_state.h"
#include "x86/cpu.h"

namespace vitrine::machine {

/// The registers in which the kernel begins, on the boot processor.
void apply(const firmware::BootState& state, Cpu& cpu);

/// The model-specific registers that firmware sets on every processor, IA32_FEATURE_CONTROL's lock among them.
Expected<> apply_msrs(const firmware::BootState& state, Cpu& cpu);

} // namespace vitrine::machine
