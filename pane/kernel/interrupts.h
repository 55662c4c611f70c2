// SPDX-License-Identifier: Apache-2.0
// Pane's own interrupt table: exceptions are bugs and end in a dump, interrupts are counted and answered.
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

} // namespace vitrine::pane
