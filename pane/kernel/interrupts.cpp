// SPDX-License-Identifier: Apache-2.0
// Fills the interrupt table and receives what comes through it.
#include "pane/kernel/interrupts.h"

#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/processor.h"

extern "C" const vitrine::u64 interrupt_stubs[256];

namespace vitrine::pane {

namespace {

struct Gate {
    u64 low, high;
};

Gate table[256];

constexpr const char* exceptions[] = {
    "divide error", "debug", "NMI", "breakpoint", "overflow", "BOUND range exceeded", "invalid opcode",
    "device not available", "double fault", "coprocessor segment overrun", "invalid TSS", "segment not present",
    "stack-segment fault", "general protection", "page fault",
};

} // namespace

void interrupts_start() {
    for (unsigned n = 0; n < 256; ++n) {
        const u64 at = interrupt_stubs[n];
        table[n] = {(at & 0xffff) | u64{selector::code} << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48, at >> 32};
    }
}

DescriptorTable interrupt_table() { return {sizeof table - 1, reinterpret_cast<u64>(table)}; }

extern "C" void interrupt_arrived(InterruptFrame& f) {
    if (f.vector >= 32) {
        ++this_cpu().interrupts[f.vector];
        if (f.vector != vector::spurious)
            apic_end_of_interrupt();
        return;
    }
    say("\nan exception in Pane itself: {}, error code {x}", f.vector < 15 ? exceptions[f.vector] : "vector above 14", f.error);
    say("rip {x} rsp {x} rflags {x} cr2 {x} cr3 {x}", f.rip, f.rsp, f.rflags, read_cr2(), read_cr3());
    say("rax {x} rbx {x} rcx {x} rdx {x} rsi {x} rdi {x} rbp {x}", f.rax, f.rbx, f.rcx, f.rdx, f.rsi, f.rdi, f.rbp);
    say("r8 {x} r9 {x} r10 {x} r11 {x} r12 {x} r13 {x} r14 {x} r15 {x}", f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15);
    panic("exception {}", f.vector);
}

} // namespace vitrine::pane
