// SPDX-License-Identifier: Apache-2.0
// Model-specific registers of a guest: which it has to itself, which Pane answers for, and that all others are refused.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Vcpu;
struct SlowState;

void fill_msr_bitmap(Vcpu& vcpu);

/// False is #GP.
bool read_msr(Vcpu& vcpu, u32 index, u64& value);
bool write_msr(Vcpu& vcpu, u32 index, u64 value);

/// The MSRs that go with a virtual processor, debug registers, and the FPU.
void reset_slow_state(SlowState& state);
void load_slow_state(SlowState& state);
void save_slow_state(SlowState& state);
u64 fpu_area_size();

/// Extended-state components that guests may use.
u64 xcr0_allowed();

} // namespace vitrine::pane
