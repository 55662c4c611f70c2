// SPDX-License-Identifier: Apache-2.0
// What firmware leaves behind, put into processors.
#pragma once

#include "base/error.h"
#include "firmware/boot_state.h"
#include "x86/cpu.h"

namespace vitrine::machine {

/// The registers in which the kernel begins, on the boot processor.
void apply(const firmware::BootState& state, Cpu& cpu);

/// What good firmware leaves in IA32_FEATURE_CONTROL: locked, with VMX allowed outside of SMX operation where there is VMX.
u64 feature_control_of(const CpuModel& model);

/// The model-specific registers that firmware sets on every processor, IA32_FEATURE_CONTROL's lock among them.
Expected<> apply_msrs(const firmware::BootState& state, Cpu& cpu);

} // namespace vitrine::machine
