// SPDX-License-Identifier: Apache-2.0
// Seam: which events of a processor leave it for a virtual-machine monitor; owned by x86, implemented by vtx.
#pragma once

#include "words/addresses.h"
#include "words/integers.h"
#include "x86/outcome.h"

namespace vitrine {

class Cpu;
struct Instruction;

/// What can exit besides faults; the bit is set in Cpu::intercepts while the event must go to the Interceptor.
enum class Intercept : u8 {
    external_interrupt, nmi, interrupt_window, nmi_window, hlt, invlpg, mwait, monitor, rdpmc, rdtsc, rdtscp, cr_access,
    mov_dr, io, rdmsr, wrmsr, pause, cpuid, invd, wbinvd, descriptor_table, rdrand, rdseed, invpcid, xsaves, xrstors, xsetbv,
    user_wait, task_switch, exception, triple_fault, init, sipi, rdpid,
    monitor_trap,     ///< a VM exit after each instruction
    trap_exit,        ///< an exit that follows the instruction that caused it
    preemption_timer, ///< the timer may expire
    bus_lock,            ///< an instruction that locks the bus; its exit follows it
    instruction_timeout, ///< the delivery of events does not come to an end
    count,
};
static_assert(static_cast<unsigned>(Intercept::count) <= 64);

/// How an APIC-access page is used.
enum class ApicUse : u8 { read, write, fetch };

/// Takes intercepted events. In VMX root operation, and without VMX, no bit is set and nothing here is called.
class Interceptor {
public:
    virtual ~Interceptor() = default;

    /// An instruction of the named kind is about to execute (all checks that precede the exit have passed). `qualification`
    /// is what the handler knows (SDM: Exit Qualification for the kind). Outcome::next: not intercepted after all, go on;
    /// anything else ends the instruction.
    virtual Outcome instruction(Cpu& cpu, Intercept kind, const Instruction& insn, u64 qualification) = 0;

    /// An event is about to be delivered; `during` is the event whose delivery caused it, if any. True: it became an exit.
    virtual bool event(Cpu& cpu, const Event& event, const Event* during) = 0;

    /// A fault of the kind EventKind::exit came up: the exit that was recorded is due now.
    virtual void recorded(Cpu& cpu, const Event* during) = 0;

    /// INIT, SIPI, NMI, external interrupts, windows, timer and trap flag at an instruction boundary, and task switches and timeouts.
    /// True: it became an exit (of a task switch or a timeout: it was recorded).
    virtual bool boundary(Cpu& cpu, Intercept kind, u64 detail) = 0;

    /// An access by an instruction (or by event delivery) to the page that Cpu::apic_access_page names. True: it has been done, reads
    /// have filled `data`. False: it goes to memory as it is. Fault: an exit has been recorded.
    virtual Faultable<bool> apic_access(Cpu& cpu, Linear a, Physical at, void* data, unsigned size, ApicUse use) = 0;

    /// Takes the virtual interrupt that Cpu::virtual_interrupt announces.
    virtual u8 acknowledge_virtual(Cpu& cpu) = 0;
};

} // namespace vitrine
