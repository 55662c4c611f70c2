// SPDX-License-Identifier: Apache-2.0
// Descriptor tables of each processor, and the start of the others by INIT and start-up IPI.
#include "pane/kernel/cpu.h"

#include "pane/kernel/apic.h"
#include "pane/kernel/interrupts.h"
#include "pane/kernel/lock.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/panic.h"
#include "pane/kernel/time.h"

#include <cstring>

extern "C" {
extern char trampoline[], trampoline_end[];
extern vitrine::u64 processor_stack, processor_argument;
}

namespace vitrine::pane {

constinit Cpu* cpus[Cpu::most]{};
constinit unsigned cpu_count = 0;
constinit Lock pane_lock;

namespace {

constexpr u64 stack_size = 32768;
constexpr u8 start_page = 8; ///< 8000h: free on every PC, and Multiboot keeps nothing there that was not copied
void (*main_of_others)(Cpu&);

void load_tables(Cpu& cpu) {
    cpu.gdt[selector::code / 8] = 0x00af'9b00'0000'ffff;
    cpu.gdt[selector::data / 8] = 0x00cf'9300'0000'ffff;
    const u64 tss = reinterpret_cast<u64>(cpu.task_state);
    cpu.gdt[selector::task / 8] = (sizeof cpu.task_state - 1) | (tss & 0xff'ffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    cpu.gdt[selector::task / 8 + 1] = tss >> 32;
    const DescriptorTable gdt{sizeof cpu.gdt - 1, reinterpret_cast<u64>(cpu.gdt)}, idt = interrupt_table();
    asm volatile("lgdt %0; lidt %1; ltr %w2" ::"m"(gdt), "m"(idt), "r"(selector::task) : "memory");
    asm volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::"i"(u64{selector::code}) : "rax", "memory");
    asm volatile("mov %w0, %%ds; mov %w0, %%es; mov %w0, %%ss" ::"r"(selector::data));
    wrmsr(msr::gs_base, reinterpret_cast<u64>(&cpu));
}

} // namespace

Cpu& cpu_start(unsigned number) {
    Cpu& cpu = *make<Cpu>();
    cpu.self = &cpu;
    cpu.number = number;
    load_tables(cpu);
    apic_start();
    cpu.apic_id = apic_id();
    cpus[number] = &cpu;
    __atomic_store_n(&cpu_count, number + 1, __ATOMIC_RELEASE);
    return cpu;
}

extern "C" [[noreturn]] void processor_main(u64 number) {
    Cpu& cpu = cpu_start(static_cast<unsigned>(number));
    main_of_others(cpu);
    panic("processor {} has nothing to do", number);
}

void start_processors(const u32* apic_ids, unsigned count, void (*main)(Cpu&)) {
    main_of_others = main;
    memcpy(reinterpret_cast<void*>(u64{start_page} << 12), trampoline, static_cast<u64>(trampoline_end - trampoline));
    for (unsigned n = 0; n < count && cpu_count < Cpu::most; ++n) {
        if (apic_ids[n] == this_cpu().apic_id)
            continue;
        const unsigned number = cpu_count;
        processor_stack = allocate(stack_size) + stack_size - 8; // as after a call
        processor_argument = number;
        apic_start_processor(apic_ids[n], start_page);
        const u64 start = rdtsc();
        while (__atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE) == number)
            if (rdtsc() - start > microseconds(1'000'000))
                panic("the processor with APIC id {} does not start", apic_ids[n]);
    }
}

void kick(Cpu& cpu) {
    if (&cpu != &this_cpu() && (cpu.asleep || cpu.in_guest))
        apic_send(cpu.apic_id, vector::kick);
}

} // namespace vitrine::pane
