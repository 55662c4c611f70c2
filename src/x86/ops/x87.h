// SPDX-License-Identifier: Apache-2.0
// What the files of the x87 family share.
#pragma once

#include "x86/ops/fpu_rules.h"

namespace vitrine {

std::span<const OpRow> x87_control_rows();
std::span<const OpRow> fxsave_rows();
std::span<const OpRow> xsave_rows();

/// Keeps the guest's registers in the host for an instruction that does not wait for exceptions.
inline void enter_x87_no_wait(Cpu& cpu) {
    if (!cpu.x87_in_host) [[unlikely]]
        load_x87(cpu);
}

/// The control word was loaded, or the status word: sees whether exceptions can become pending.
void control_changed(Cpu& cpu);

/// An unmasked exception became pending: the pointers of the instruction that raised it count. Call before the status word,
/// or anything that clears it, is looked at by other means than a waiting instruction.
void settle_pointers(Cpu& cpu);

} // namespace vitrine
