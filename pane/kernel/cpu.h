// SPDX-License-Identifier: Apache-2.0
// A physical processor: its descriptor tables, its stack, and who runs on it.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Vcpu;

struct Cpu {
    static constexpr unsigned most = 16;

    Cpu* self;       ///< GS:0
    unsigned number; ///< 0 is the boot processor
    u32 apic_id;
    Vcpu* running = nullptr; ///< the virtual processor whose VMCS is current here
    bool asleep = false;     ///< in HLT, waiting for work
    bool in_guest = false;
    u64 vmxon_region = 0;
    u64 interrupts[256]{}; ///< physical ones taken, by vector
    u64 idle = 0;          ///< TSC ticks in HLT

    // The processor's own tables; the task-state segment is there because VM entry asks for one.
    u64 gdt[8];
    alignas(16) u8 task_state[104];
};

extern Cpu* cpus[Cpu::most];
extern unsigned cpu_count;

inline Cpu& this_cpu() {
    Cpu* cpu;
    asm("mov %%gs:0, %0" : "=r"(cpu));
    return *cpu;
}

namespace selector {
inline constexpr u16 code = 0x08, data = 0x10, task = 0x20;
}

/// Makes the Cpu of the processor that calls it, and loads its tables.
Cpu& cpu_start(unsigned number);

/// Starts all the others; each calls `main` with its Cpu, and they stay there.
void start_processors(const u32* apic_ids, unsigned count, void (*main)(Cpu&));

/// Makes another processor look at its work again.
void kick(Cpu& cpu);

struct DescriptorTable {
    u16 limit;
    u64 base;
} __attribute__((packed));

DescriptorTable interrupt_table();

} // namespace vitrine::pane
