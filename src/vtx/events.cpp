// SPDX-License-Identifier: Apache-2.0
// Events that leave VMX non-root operation: exceptions, interrupts, windows, timer, trap flag, task switches, EPT violations.
#include "vtx/unit.h"

namespace vitrine::vtx {

/// SDM volume 3, Other Causes of VM Exits: the exception bitmap, and error codes of page faults.
bool Unit::event(Cpu& cpu, const Event& event, const Event* during) {
    const bool exception = event.kind == EventKind::hardware_exception || event.kind == EventKind::software_exception ||
                           event.kind == EventKind::privileged_software_exception;
    if (!exception)
        return false;
    const unsigned vector = static_cast<unsigned>(event.vector);
    bool exits = vmcs_[F::exception_bitmap] >> vector & 1;
    if (event.vector == Vector::pf && (event.error & vmcs_[F::page_fault_mask]) != vmcs_[F::page_fault_match])
        exits = !exits;
    if (!exits)
        return false;
    // A double fault that exits is not itself "during delivery".
    const Event* vectoring = event.vector == Vector::df && event.kind == EventKind::hardware_exception ? nullptr : during;
    ExitInformation information;
    information.interruption = vector | static_cast<u32>(event.kind) << 8 | (event.has_error ? 1u << 11 : 0) | 1u << 31;
    if (cpu.nmi_unblocked && !vectoring && event.vector != Vector::df)
        information.interruption |= static_cast<u32>(interruption.nmi_unblocking.mask());
    information.interruption_error = event.has_error ? event.error : 0;
    information.instruction_length = event.instruction_length;
    information.set_rf = event.kind == EventKind::hardware_exception && (event.vector != Vector::db || (event.dr6 & dr6::bd));
    const u64 qualification = event.vector == Vector::pf ? event.cr2 : event.vector == Vector::db ? event.dr6 & (15 | dr6::bd | dr6::bs) : 0;
    exit(ExitReason::exception_or_nmi, qualification, information, vectoring);
    return true;
}

void Unit::recorded(Cpu& cpu, const Event* during) {
    bus_lock_ = false; // the access was not made
    if (cpu.nmi_unblocked && !during && (recorded_.reason == ExitReason::ept_violation || recorded_.reason == ExitReason::spp_event))
        recorded_.qualification |= ept_violation_qualification.nmi_unblocking.mask();
    constexpr u64 apic_access_types = 0xf000, during_delivery = 3 << 12;
    if (recorded_.reason == ExitReason::apic_access && during)
        recorded_.qualification = (recorded_.qualification & ~apic_access_types) | during_delivery;
    exit(recorded_.reason, recorded_.qualification, recorded_.information, during);
}

bool Unit::boundary(Cpu& cpu, Intercept kind, u64 detail) {
    ExitInformation information;
    switch (kind) {
    case Intercept::trap_exit: exit(trap_reason_, trap_qualification_); return true;
    case Intercept::monitor_trap: exit(ExitReason::monitor_trap_flag, 0); return true;
    case Intercept::preemption_timer: exit(ExitReason::preemption_timer, 0); return true;
    case Intercept::nmi_window: exit(ExitReason::nmi_window, 0); return true;
    case Intercept::interrupt_window: exit(ExitReason::interrupt_window, 0); return true;
    case Intercept::triple_fault: exit(ExitReason::triple_fault, 0); return true;
    case Intercept::sipi: exit(ExitReason::sipi, detail); return true;
    case Intercept::init:
        cpu.init_pending = false;
        exit(ExitReason::init_signal, 0);
        return true;
    case Intercept::nmi:
        information.interruption = 2 | static_cast<u32>(interruption_type::nmi) << 8 | 1u << 31;
        exit(ExitReason::exception_or_nmi, 0, information);
        cpu.nmi_blocked = true;
        return true;
    case Intercept::external_interrupt:
        if (on(exiting.acknowledge_interrupt_on_exit, F::exit_controls)) {
            const u8 vector = cpu.apic().acknowledge();
            if (posted(vector))
                return false;
            information.interruption = vector | 1u << 31;
            count_vector(vector);
        }
        exit(ExitReason::external_interrupt, 0, information);
        return true;
    case Intercept::task_switch: {
        recorded_ = {ExitReason::task_switch, detail, {}};
        if (const Instruction* i = cpu.current_instruction())
            recorded_.information.instruction_length = i->length;
        (void)cpu.raise_exit();
        return true;
    }
    case Intercept::instruction_timeout:
        // An event that never arrives is a context to go on from, with the event to be delivered again.
        recorded_ = {ExitReason::instruction_timeout, cpu.nmi_unblocked ? timeout_qualification.nmi_unblocking.mask() : 0, {}};
        cpu.spend(cpu.delivery_time);
        return true;
    default: return false;
    }
}

void Unit::record(ExitReason reason, u64 qualification, GuestPhysical address, const SecondLevelAccess& access) {
    recorded_ = {reason, qualification, {}};
    ExitInformation& information = recorded_.information;
    information.guest_physical = address.value;
    information.has_guest_physical = true;
    information.linear = access.linear;
    information.has_linear = access.linear_valid;
    information.set_rf = true;
    if (const Instruction* i = cpu_.current_instruction())
        information.instruction_length = i->length;
}

/// SDM volume 3, Convertible EPT Violations: not while an event is being delivered, and not before the last one has been taken.
bool Unit::virtualization_exception(u64 qualification, GuestPhysical address, const SecondLevelAccess& access) {
    if (!vtx::secondary.ept_violation_ve(secondary_controls()) || cpu_.delivering() || !cpu_.protected_mode())
        return false;
    const Physical area{vmcs_[F::ve_information_address]};
    const auto write = [&]<class T>(u64 at, T value) { cpu_.space().write<T>(area + at, value, cpu_.requester()); };
    if (cpu_.space().read<u32>(area + 4, cpu_.requester()) != 0)
        return false;
    write(0, static_cast<u32>(ExitReason::ept_violation));
    write(4, ~u32{0});
    write(8, qualification);
    write(16, access.linear);
    write(24, address.value);
    write(32, static_cast<u16>(vmcs_[F::eptp_index]));
    return true;
}

/// SDM volume 3, Page-Modification Logging.
bool Unit::log_dirty(GuestPhysical address) {
    const u64 index = vmcs_[F::pml_index];
    constexpr u64 entries = 512;
    if (index >= entries) {
        recorded_ = {ExitReason::page_modification_log_full, 0, {}};
        recorded_.information.set_rf = true;
        return false;
    }
    cpu_.space().write<u64>(Physical{vmcs_[F::pml_address] + 8 * index}, address.value & ~0xfffull, cpu_.requester());
    vmcs_.set(F::pml_index, index - 1);
    return true;
}

} // namespace vitrine::vtx
