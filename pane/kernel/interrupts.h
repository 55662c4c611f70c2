// SPDX-License-Identifier: Apache-2.0
// Pane's own interrupt table: exceptions are bugs and end in a dump, interrupts are counted and answered, and looked at later.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

/// What the entry code of interrupts.S leaves on the stack.
struct InterruptFrame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

void interrupts_start();

/// An interrupt has reached this processor: it is counted, and remembered for `look_at_arrivals`.
void interrupt_taken(u8 vector);

/// Looks at what a vector stands for: in the scheduler's loop, on any processor, with the lock held, once for `arrivals` interrupts.
using Look = void (*)(void* context, u32 arrivals);

/// A vector of Pane's own for a device; never given back. 0 when none is left.
u8 take_vector(Look look, void* context);

/// The same for a vector that is fixed.
void set_look(u8 vector, Look look, void* context);

void look_at_arrivals();

} // namespace vitrine::pane
