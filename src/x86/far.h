// SPDX-License-Identifier: Apache-2.0
// What far transfers, interrupts and returns share: a transition that can be taken back, inner stacks from the TSS, task switches.
#pragma once

#include "x86/segments.h"

namespace vitrine {

/// Remembers CS, SS, RSP, flags and privilege, so that pushes can be made on the new stack in the new mode, and all of it be
/// taken back if one of them faults.
class Transition {
public:
    explicit Transition(Cpu& cpu)
        : cpu_(cpu), cs_(cpu.segments[cs]), ss_(cpu.segments[ss]), rsp_(cpu.gpr[rsp]), flags_(cpu.flags), status_(cpu.status),
          cpl_(cpu.cpl) {}

    /// Restores everything; pass the fault on.
    Fault undo();

    const Segment& old_cs() const { return cs_; }
    const Segment& old_ss() const { return ss_; }
    u64 old_rsp() const { return rsp_; }
    u8 old_cpl() const { return cpl_; }

private:
    Cpu& cpu_;
    Segment cs_, ss_;
    u64 rsp_, flags_;
    u16 status_;
    u8 cpl_;
};

/// Where the TSS says that the stack of privilege `cpl` lies (outside IA-32e mode).
struct InnerStack {
    u16 selector;
    u32 sp;
};
Faultable<InnerStack> inner_stack(Cpu& cpu, u8 cpl, u32 ext = 0);

/// RSPn, or with `ist` 1 to 7 an interrupt stack, of the 64-bit TSS.
Faultable<u64> inner_stack64(Cpu& cpu, u8 cpl, u8 ist, u32 ext = 0);

/// What causes a task switch; the numbers are VMX's (SDM: Exit Qualification for Task Switch).
enum class TaskSwitch : u8 { call = 0, iret = 1, jmp = 2, idt_gate = 3 };

/// Switches to the task of a TSS selector. `return_rip` is saved in the old task. With `error`, it is pushed on the new stack.
/// Checks of privilege are the caller's. A fault before the commit point leaves the old task, one after it belongs to the new one.
Faultable<> task_switch(Cpu& cpu, u16 selector, TaskSwitch cause, u64 return_rip, const u32* error = nullptr, u32 ext = 0);

/// The TSS selector of a task gate descriptor, present and in the GDT.
Faultable<u16> task_gate_target(Cpu& cpu, const Descriptor& gate, u16 gate_selector, u32 ext = 0);

/// Asks the interceptor, when it wants this kind, whether the instruction may go on. Outcome::next: go on.
inline Outcome intercept(Cpu& cpu, Intercept kind, const Instruction& insn, u64 qualification = 0) {
    if (cpu.intercepted(kind)) [[unlikely]]
        return cpu.interceptor->instruction(cpu, kind, insn, qualification);
    return Outcome::next;
}

/// Handlers of far transfers (ops/system.cpp binds them).
namespace far {
Outcome jump_pointer(Cpu& cpu, const Instruction& insn); ///< JMP ptr16:16/32
Outcome jump_memory(Cpu& cpu, const Instruction& insn);
Outcome call_pointer(Cpu& cpu, const Instruction& insn);
Outcome call_memory(Cpu& cpu, const Instruction& insn);
Outcome ret(Cpu& cpu, const Instruction& insn); ///< RETF [imm16]
Outcome iret(Cpu& cpu, const Instruction& insn);
} // namespace far

} // namespace vitrine

/// Leaves the handler when an intercepted instruction became an exit.
#define INTERCEPT(...)                                                                                                 \
    do {                                                                                                               \
        if (const ::vitrine::Outcome intercepted_ = ::vitrine::intercept(__VA_ARGS__); !(intercepted_ == ::vitrine::Outcome::next)) \
            return intercepted_;                                                                                       \
    } while (false)
