// SPDX-License-Identifier: Apache-2.0
// Bus locks of instructions with a LOCK prefix, and of XCHG with memory.
#pragma once

#include "x86/instruction.h"

namespace vitrine::ops {

/// The handler of an instruction that locks (Instruction::lock): it looks for a bus lock where somebody wants to know,
/// then goes on to `handler`. Takes Instruction::extra and third.
Handler bind_lock(const Decoded& d, Instruction& out, Handler handler);

} // namespace vitrine::ops
