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

/// What has arrived and nobody has looked at yet; written by handlers on all processors, without the lock.
u32 arrived[256];
u64 arrived_words[4];

struct Watch {
    Look look;
    void* context;
};

Watch watches[256];
unsigned next_vector = vector::first_device;

} // namespace

void interrupts_start() {
    for (unsigned n = 0; n < 256; ++n) {
        const u64 at = interrupt_stubs[n];
        table[n] = {(at & 0xffff) | u64{selector::code} << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48, at >> 32};
    }
}

DescriptorTable interrupt_table() { return {sizeof table - 1, reinterpret_cast<u64>(table)}; }

void interrupt_taken(u8 v) {
    ++this_cpu().interrupts[v];
    if (v == vector::spurious)
        return;
    if (watches[v].look) {
        __atomic_fetch_add(&arrived[v], 1, __ATOMIC_RELAXED);
        __atomic_fetch_or(&arrived_words[v / 64], 1ull << v % 64, __ATOMIC_RELEASE);
    }
    apic_end_of_interrupt();
}

void set_look(u8 v, Look look, void* context) { watches[v] = {look, context}; }

u8 take_vector(Look look, void* context) {
    if (next_vector > vector::last_device)
        return 0;
    set_look(static_cast<u8>(next_vector), look, context);
    return static_cast<u8>(next_vector++);
}

void look_at_arrivals() {
    for (unsigned n = 0; n < 4; ++n) {
        if (!__atomic_load_n(&arrived_words[n], __ATOMIC_RELAXED))
            continue;
        for (u64 word = __atomic_exchange_n(&arrived_words[n], 0, __ATOMIC_ACQUIRE); word; word &= word - 1) {
            const unsigned v = 64 * n + static_cast<unsigned>(__builtin_ctzll(word));
            if (const u32 count = __atomic_exchange_n(&arrived[v], 0, __ATOMIC_RELAXED))
                watches[v].look(watches[v].context, count);
        }
    }
}

extern "C" void interrupt_arrived(InterruptFrame& f) {
    if (f.vector >= 32) {
        return interrupt_taken(static_cast<u8>(f.vector));
    }
    say("\nan exception in Pane itself: {}, error code {x}", f.vector < 15 ? exceptions[f.vector] : "vector above 14", f.error);
    say("rip {x} rsp {x} rflags {x} cr2 {x} cr3 {x}", f.rip, f.rsp, f.rflags, read_cr2(), read_cr3());
    say("rax {x} rbx {x} rcx {x} rdx {x} rsi {x} rdi {x} rbp {x}", f.rax, f.rbx, f.rcx, f.rdx, f.rsi, f.rdi, f.rbp);
    say("r8 {x} r9 {x} r10 {x} r11 {x} r12 {x} r13 {x} r14 {x} r15 {x}", f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15);
    panic("exception {}", f.vector);
}

} // namespace vitrine::pane
