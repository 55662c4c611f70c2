// SPDX-License-Identifier: Apache-2.0
// The table of exits. A reason without an answer ends the guest and says so; Pane never guesses.
#include "pane/vmx/exits.h"

#include "pane/guest/guest.h"
#include "pane/vmx/control_registers.h"
#include "pane/vmx/cpuid.h"
#include "pane/vmx/device_memory.h"
#include "pane/vmx/msrs.h"
#include "pane/vmx/ports.h"

#include "vtx/spec/controls.h"
#include "vtx/spec/exits.h"

namespace vitrine::pane {

namespace {

using vtx::ExitReason;
using Handler = void (*)(Vcpu& v, u64 qualification);

constexpr u8 invalid_opcode = 6, general_protection = 13;

void nothing(Vcpu&, u64) {} // what there is to do is done before the next entry

void undefined(Vcpu& v, u64) { v.inject_exception(invalid_opcode); }

void crash(Vcpu& v, const char* why) {
    dump(v);
    v.guest->end(Ending::crash, why);
}

void external_interrupt(Vcpu& v, u64) { ++v.guest->statistics.physical_interrupts; }

void exception_or_nmi(Vcpu& v, u64) {
    const u64 information = vmread(F::exit_interruption_information);
    if (vtx::interruption.type(information) == vtx::interruption_type::nmi)
        panic("the machine raised an NMI");
    crash(v, "an exception exited that Pane did not ask for");
}

void triple_fault(Vcpu& v, u64) { crash(v, "triple fault"); }

void entry_failed(Vcpu& v, u64) { crash(v, "the processor refused the guest's state at VM entry"); }

void task_switch(Vcpu& v, u64) { crash(v, "a task switch: Pane has no hardware task switching"); }

void misconfigured(Vcpu&, u64) {
    panic("EPT misconfiguration at {x}: a bug of Pane", vmread(F::guest_physical_address));
}

void hlt(Vcpu& v, u64) {
    v.skip_instruction();
    constexpr u64 rflags_if = 1 << 9;
    v.interrupts_open = vmread(F::guest_rflags) & rflags_if;
    if (v.can_wake())
        return;
    v.state = Vcpu::State::halted;
    for (unsigned n = 0; n < v.guest->vcpu_count; ++n) {
        const Vcpu& other = *v.guest->vcpus[n];
        if (other.state == Vcpu::State::runnable || (other.state == Vcpu::State::halted && other.interrupts_open))
            return;
    }
    v.guest->end(Ending::halt, "halted for good: no processor takes interrupts");
}

void wbinvd(Vcpu& v, u64) {
    asm volatile("wbinvd" ::: "memory"); // INVD too: what a guest wrote must not be lost behind Pane's back
    v.skip_instruction();
}

void rdmsr_executed(Vcpu& v, u64) {
    u64 value = 0;
    if (!read_msr(v, static_cast<u32>(v.registers.rcx), value)) {
        ++v.guest->statistics.refused_msrs;
        return v.inject_exception(general_protection, 0, true);
    }
    v.registers.rax = static_cast<u32>(value);
    v.registers.rdx = value >> 32;
    v.skip_instruction();
}

void wrmsr_executed(Vcpu& v, u64) {
    const u64 value = v.registers.rdx << 32 | static_cast<u32>(v.registers.rax);
    if (!write_msr(v, static_cast<u32>(v.registers.rcx), value)) {
        ++v.guest->statistics.refused_msrs;
        return v.inject_exception(general_protection, 0, true);
    }
    v.skip_instruction();
}

void ept_violation(Vcpu& v, u64 qualification) {
    const GuestPhysical gpa{vmread(F::guest_physical_address)};
    const auto& q = vtx::ept_violation_qualification;
    if (q.fetch(qualification)) {
        ++v.guest->statistics.ept_violations;
        say("[{}] an instruction fetch from {x}, which is no memory", v.guest->config.name, gpa.value);
        return crash(v, "executed where there is no memory");
    }
    if (!q.translated(qualification)) {
        ++v.guest->statistics.ept_violations;
        return crash(v, "its page tables lie where there is no memory");
    }
    device_memory_access(v, gpa);
}

void apic_access(Vcpu& v, u64 qualification) { device_memory_access(v, GuestPhysical{0xfee0'0000 + (qualification & 0xfff)}); }

void virtualized_eoi(Vcpu& v, u64 qualification) { v.apic.broadcast_eoi(static_cast<u8>(qualification)); }

void apic_write(Vcpu& v, u64 qualification) { v.apic.written(static_cast<u16>(qualification & 0xff0)); }

struct Row {
    ExitReason reason;
    Handler handler;
};

// clang-format off
constexpr Row rows[] = {
    {ExitReason::exception_or_nmi,     exception_or_nmi},
    {ExitReason::external_interrupt,   external_interrupt},
    {ExitReason::triple_fault,         triple_fault},
    {ExitReason::interrupt_window,     nothing},
    {ExitReason::nmi_window,           nothing},
    {ExitReason::task_switch,          task_switch},
    {ExitReason::cpuid,                [](Vcpu& v, u64) { cpuid_executed(v); }},
    {ExitReason::hlt,                  hlt},
    {ExitReason::invd,                 wbinvd},
    {ExitReason::wbinvd,               wbinvd},
    {ExitReason::vmcall,               undefined},
    {ExitReason::vmclear,              undefined},
    {ExitReason::vmlaunch,             undefined},
    {ExitReason::vmptrld,              undefined},
    {ExitReason::vmptrst,              undefined},
    {ExitReason::vmread,               undefined},
    {ExitReason::vmresume,             undefined},
    {ExitReason::vmwrite,              undefined},
    {ExitReason::vmxoff,               undefined},
    {ExitReason::vmxon,                undefined},
    {ExitReason::invept,               undefined},
    {ExitReason::invvpid,              undefined},
    {ExitReason::getsec,               undefined},
    {ExitReason::mwait,                undefined},
    {ExitReason::monitor,              undefined},
    {ExitReason::cr_access,            control_register_access},
    {ExitReason::io_instruction,       io_instruction},
    {ExitReason::rdmsr,                rdmsr_executed},
    {ExitReason::wrmsr,                wrmsr_executed},
    {ExitReason::invalid_guest_state,  entry_failed},
    {ExitReason::msr_loading,          entry_failed},
    {ExitReason::tpr_below_threshold,  nothing},
    {ExitReason::apic_access,          apic_access},
    {ExitReason::virtualized_eoi,      virtualized_eoi},
    {ExitReason::ept_violation,        ept_violation},
    {ExitReason::ept_misconfiguration, misconfigured},
    {ExitReason::preemption_timer,     nothing},
    {ExitReason::xsetbv,               [](Vcpu& v, u64) { xsetbv_executed(v); }},
    {ExitReason::apic_write,           apic_write},
};
// clang-format on

/// Handlers by number: the table above, spread out.
struct Dispatch {
    Handler by_number[Statistics::most_reasons]{};

    constexpr Dispatch() {
        for (const Row& r : rows)
            by_number[static_cast<unsigned>(r.reason)] = r.handler;
    }
};
constexpr Dispatch dispatch;

/// An event whose delivery the exit interrupted must be delivered again (SDM volume 3, Information for VM Exits During Event Delivery).
void keep_interrupted_event(Vcpu& v) {
    const u64 information = vmread(F::idt_vectoring_information);
    const auto& i = vtx::interruption;
    if (!i.valid(information))
        return;
    v.event.information = static_cast<u32>(information & ~(i.nmi_unblocking.mask() | i.reserved.mask()));
    v.event.error_code = static_cast<u32>(vmread(F::idt_vectoring_error_code));
    v.event.length = static_cast<u32>(vmread(F::exit_instruction_length));
    if (i.type(information) == vtx::interruption_type::nmi) // the entry blocks NMIs itself
        vmwrite(F::guest_interruptibility_state, vmread(F::guest_interruptibility_state) & ~vtx::interruptibility.blocking_by_nmi.mask());
}

} // namespace

void handle_exit(Vcpu& v) {
    const u64 reason = vmread(F::exit_reason) & 0xffff;
    ++v.guest->statistics.exits[reason < Statistics::most_reasons ? reason : 0];
    if (!v.guest->alive())
        return; // it has ended while this processor was in it
    keep_interrupted_event(v);
    const Handler handler = reason < Statistics::most_reasons ? dispatch.by_number[reason] : nullptr;
    if (!handler) {
        const vtx::ExitRow* row = vtx::find_exit(static_cast<ExitReason>(reason));
        say("[{}] VM exit {} ({})", v.guest->config.name, reason, row ? row->name : "unknown");
        return crash(v, "a VM exit that Pane has no answer for");
    }
    handler(v, vmread(F::exit_qualification));
}

void dump(const Vcpu& v) {
    const Registers& r = v.registers;
    const u64 reason = vmread(F::exit_reason) & 0xffff;
    const vtx::ExitRow* row = vtx::find_exit(static_cast<ExitReason>(reason));
    const auto& name = v.guest->config.name;
    say("\n[{}] processor {}: exit {} ({}), qualification {x}", name, v.number, reason, row ? row->name : "unknown", vmread(F::exit_qualification));
    say("[{}] rip {x} rsp {x} rflags {x} cs {x}", name, vmread(F::guest_rip), vmread(F::guest_rsp), vmread(F::guest_rflags), vmread(F::guest_cs_selector));
    say("[{}] cr0 {x} cr3 {x} cr4 {x} efer {x}", name, vmread(F::guest_cr0), vmread(F::guest_cr3), vmread(F::guest_cr4), vmread(F::guest_efer));
    say("[{}] rax {x} rbx {x} rcx {x} rdx {x} rsi {x} rdi {x} rbp {x}", name, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp);
    say("[{}] r8 {x} r9 {x} r10 {x} r11 {x} r12 {x} r13 {x} r14 {x} r15 {x}", name, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15);
}

} // namespace vitrine::pane
