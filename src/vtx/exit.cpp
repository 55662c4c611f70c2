// SPDX-License-Identifier: Apache-2.0
// VM exit: what is recorded, saving the guest, MSR areas, loading the host, VMX aborts (SDM volume 3, VM Exits).
#include "vtx/area_state.h"
#include "vtx/explain.h"
#include "vtx/unit.h"
#include "x86/control.h"
#include "x86/msr.h"

#include <fmt/format.h>

namespace vitrine::vtx {

namespace {

bool is_software(const Event& e) {
    return e.kind == EventKind::software_interrupt || e.kind == EventKind::software_exception || e.kind == EventKind::privileged_software_exception;
}

u32 information_of(const Event& e) {
    return static_cast<u32>(e.vector) | static_cast<u32>(e.kind) << 8 | (e.has_error ? 1u << 11 : 0) | 1u << 31;
}

/// Virtual nanoseconds of a VM exit. More than a tick of the VMX-preemption timer: on a processor too no guest comes and goes without
/// that timer having counted (kvm-unit-tests looks).
constexpr u64 exit_time = 64;

} // namespace

void Unit::exit(ExitReason reason, u64 qualification, const ExitInformation& information, const Event* during) {
    count(reason, cpu_.rip);
    if (cpu_.glass().on(Topic::vmx)) [[unlikely]]
        cpu_.glass().tell(Topic::vmx, "exit", {{"cpu", cpu_.index()}, {"vmcs", vmcs_.pointer()}, {"reason", find_exit(reason)->name}, {"qualification", qualification},
                                               {"means", qualification_text(reason, qualification)}, {"rip", cpu_.rip},
                                               {"gpa", information.guest_physical}, {"event", information.interruption}});
    cpu_.spend(exit_time);
    const u64 guest_rip = cpu_.rip;
    vmcs_.set(F::exit_reason, static_cast<u32>(reason) | (bus_lock_ ? bus_lock_flag : 0));
    bus_lock_ = false;
    vmcs_.set(F::exit_qualification, qualification);
    vmcs_.set(F::exit_interruption_information, information.interruption);
    vmcs_.set(F::exit_interruption_error_code, information.interruption_error);
    vmcs_.set(F::idt_vectoring_information, during ? information_of(*during) : 0);
    vmcs_.set(F::idt_vectoring_error_code, during && during->has_error ? during->error : 0);
    vmcs_.set(F::exit_instruction_length, during && is_software(*during) ? during->instruction_length : information.instruction_length);
    vmcs_.set(F::exit_instruction_information, information.instruction_information);
    if (information.has_linear)
        vmcs_.set(F::guest_linear_address, information.linear);
    if (information.has_guest_physical)
        vmcs_.set(F::guest_physical_address, information.guest_physical);
    vmcs_.set(F::entry_interruption_information, vmcs_[F::entry_interruption_information] & ~interruption.valid.mask());
    save_guest(information, during);
    if (!store_msrs())
        return abort(abort_indicator::saving_guest_msrs, "an MSR of the VM-exit MSR-store area could not be saved");
    load_host();
    stop_if_wanted(reason, qualification, guest_rip);
}

/// A person wants to look at this one: the exit is complete, and the VMM's first instruction is next.
void Unit::stop_if_wanted(ExitReason reason, u64 qualification, u64 rip) {
    if (!stop_.every && stop_.reason != reason) [[likely]]
        return;
    stop_ = {};
    const std::string means = qualification_text(reason, qualification);
    (void)cpu_.stop(StopKind::debugger, fmt::format("VM exit: {}{}{}, guest rip {:x}, VMCS {:x}", find_exit(reason)->name, means.empty() ? "" : ": ", means, rip,
                                                    vmcs_.pointer()));
}

void Unit::count(ExitReason reason, u64 rip) {
    statistics_.exited({vmcs_.pointer(), rip, reason}, cpu_.retired_by_now());
    u64*& counter = counters_[static_cast<unsigned>(reason)];
    if (!counter)
        counter = &cpu_.glass().counter(fmt::format("vmx.exit.{}", find_exit(reason)->id));
    ++*counter;
}

/// Which interrupts the VMM was left for: by posting, those of an assigned device are none of them.
void Unit::count_vector(u8 vector) {
    u64*& counter = vector_counters_[vector];
    if (!counter)
        counter = &cpu_.glass().counter(fmt::format("vmx.external-interrupt.{:02x}", vector));
    ++*counter;
}

/// Events that VM entries injected, by kind.
void Unit::count_injection(EventKind kind) {
    static constexpr const char* names[] = {"external-interrupt", "reserved", "nmi", "hardware-exception", "software-interrupt", "privileged-software-exception", "software-exception"};
    const unsigned n = static_cast<unsigned>(kind);
    u64*& counter = injection_counters_[n];
    if (!counter)
        counter = &cpu_.glass().counter(fmt::format("vmx.injection.{}", names[n]));
    ++*counter;
}

void Unit::count(const char* name, u64*& counter) {
    if (!counter)
        counter = &cpu_.glass().counter(name);
    ++*counter;
}

void Unit::save_guest(const ExitInformation& information, const Event* during) {
    vmcs_.set(F::guest_cr0, cpu_.cr0);
    vmcs_.set(F::guest_cr3, cpu_.cr3);
    vmcs_.set(F::guest_cr4, cpu_.cr4);
    vmcs_.set(F::guest_sysenter_cs, cpu_.msr.sysenter_cs);
    vmcs_.set(F::guest_sysenter_esp, cpu_.msr.sysenter_esp);
    vmcs_.set(F::guest_sysenter_eip, cpu_.msr.sysenter_eip);
    const u64 controls = vmcs_[F::exit_controls];
    if (exiting.save_debug_controls(controls)) {
        vmcs_.set(F::guest_dr7, cpu_.dr7);
        vmcs_.set(F::guest_debugctl, cpu_.msr.debugctl);
    }
    if (exiting.save_efer(controls))
        vmcs_.set(F::guest_efer, cpu_.efer);
    if (exiting.save_pat(controls))
        vmcs_.set(F::guest_pat, cpu_.msr.pat);
    if (exiting.save_preemption_timer(controls))
        vmcs_.set(F::preemption_timer_value, remaining_timer());
    if (vtx::misc.stores_lma(capabilities_.misc))
        vmcs_.set(F::entry_controls, entering.ia32e_mode_guest.with(vmcs_[F::entry_controls], cpu_.long_mode()));
    for (unsigned n = 0; n < segment_count; ++n) {
        const Segment& s = cpu_.segments[n];
        vmcs_.set(guest_selector(n), s.selector);
        vmcs_.set(guest_base(n), s.base);
        vmcs_.set(guest_limit(n), s.limit);
        // The privilege level is SS.DPL, whatever the descriptor said.
        vmcs_.set(guest_access_rights(n), n == ss ? rights::dpl.with(s.rights, cpu_.cpl) : s.rights);
    }
    vmcs_.set(F::guest_gdtr_base, cpu_.gdtr.base);
    vmcs_.set(F::guest_gdtr_limit, cpu_.gdtr.limit);
    vmcs_.set(F::guest_idtr_base, cpu_.idtr.base);
    vmcs_.set(F::guest_idtr_limit, cpu_.idtr.limit);
    vmcs_.set(F::guest_rsp, cpu_.gpr[rsp]);
    vmcs_.set(F::guest_rip, cpu_.rip);
    u64 flags = cpu_.rflags();
    if (information.clear_rf)
        flags &= ~rflags::rf;
    else if (information.set_rf && !during)
        flags |= rflags::rf;
    vmcs_.set(F::guest_rflags, flags);
    // MWAIT's waiting is no activity state of its own.
    vmcs_.set(F::guest_activity_state, cpu_.activity == Activity::mwait ? 0 : static_cast<u64>(cpu_.activity));
    vmcs_.set(F::guest_interruptibility_state, (cpu_.blocked_by_sti() ? 1 : 0) | (cpu_.blocked_by_mov_ss() ? 2 : 0) | (cpu_.nmi_blocked ? 8 : 0));
    const u64 pending = cpu_.pending_debug;
    vmcs_.set(F::guest_pending_debug_exceptions,
              (pending & (15 | dr6::bs)) | (pending & 15 ? pending_debug_exceptions.enabled_breakpoint.mask() : 0));
    if (cpu_.second_level && pae_paging(cpu_))
        for (unsigned n = 0; n < 4; ++n)
            vmcs_.set(after(F::guest_pdpte0, n), cpu_.pdpte[n]);
}

u32 Unit::remaining_timer() const {
    const u64 passed = (cpu_.tsc() >> preemption_timer_rate) - (timer_started_ >> preemption_timer_rate);
    return passed >= timer_value_ ? 0 : static_cast<u32>(timer_value_ - passed);
}

bool Unit::store_msrs() {
    constexpr u32 fs_base = 0xc000'0100, gs_base = 0xc000'0101;
    for (u64 n = 0; n < vmcs_[F::exit_msr_store_count]; ++n) {
        const Physical at{vmcs_[F::exit_msr_store_address] + 16 * n};
        const u64 index = cpu_.space().read<u64>(at, cpu_.requester());
        const u32 msr = static_cast<u32>(index);
        if (n >= most_msrs || index >> 32 || msr == fs_base || msr == gs_base || msr >> 8 == 8)
            return false;
        const Faultable<u64> value = vitrine::read_msr(cpu_, msr);
        if (!value.ok())
            return false;
        cpu_.space().write<u64>(at + 8, value.value(), cpu_.requester());
    }
    return true;
}

/// VMX operation without VPID: translations without a tag do not survive transitions.
void Unit::flush_untagged() {
    if (!vtx::secondary.enable_vpid(secondary_controls()))
        cpu_.tlb().flush_if([](const TlbKey& k) { return k.vpid == 0; }, false);
}

void Unit::load_host() {
    timer_.cancel();
    const bool was_virtual_nmis = cpu_.nmi_never_blocked;
    const u64 controls = vmcs_[F::exit_controls];
    non_root_ = false;
    cpu_.intercepts = 0;
    cpu_.second_level = nullptr;
    cpu_.sub_pages = false;
    cpu_.vpid = 0;
    cpu_.cr0_required = cr0_fixed0;
    cpu_.init_blocked = true;
    cpu_.mtf_due = cpu_.preemption_due = cpu_.nmi_unblocked = cpu_.trap_exit_due = cpu_.virtual_interrupt = false;
    cpu_.apic_access_page = ~0ull;
    cpu_.iret_keeps_nmi_blocked = cpu_.nmi_never_blocked = false;
    if (was_virtual_nmis)
        cpu_.nmi_blocked = false;
    load_host_registers(cpu_, [this](F f) { return vmcs_[f]; });
    if (cpu_.dr7 & dr7::enabled)
        cpu_.tlb().drop_tags();
    cpu_.dr7 = dr7::always;
    cpu_.msr.debugctl = 0;
    cpu_.msr.sysenter_cs = vmcs_[F::host_sysenter_cs];
    cpu_.msr.sysenter_esp = vmcs_[F::host_sysenter_esp];
    cpu_.msr.sysenter_eip = vmcs_[F::host_sysenter_eip];
    if (exiting.load_pat(controls))
        cpu_.msr.pat = vmcs_[F::host_pat];
    cpu_.set_rflags(2);
    cpu_.cpl = 0;
    cpu_.activity = Activity::active;
    cpu_.sti_shadow = cpu_.mov_ss_shadow = false;
    cpu_.pending_debug = 0;
    cpu_.monitor_armed = false;
    flush_untagged();
    cpu_.mode_changed();
    if (pae_paging(cpu_) && !load_pdptes(cpu_, cpu_.cr3))
        return abort(abort_indicator::host_pdptes, "host page-directory-pointer-table entries have reserved bits set");
    if (load_msrs(F::exit_msr_load_address, F::exit_msr_load_count, false))
        return abort(abort_indicator::loading_host_msrs, "an MSR of the VM-exit MSR-load area could not be loaded");
}

/// The processor shuts down and wakes by RESET# only: the machine stops and says why.
void Unit::abort(u32 indicator, const char* why) {
    cpu_.space().write<u32>(Physical{vmcs_.pointer() + 4}, indicator, cpu_.requester());
    cpu_.activity = Activity::shutdown;
    (void)cpu_.stop(StopKind::triple_fault, fmt::format("VMX abort {} on processor {}: {} (VMCS at {:x}, exit reason {:x})", indicator, cpu_.index(), why,
                                                        vmcs_.pointer(), vmcs_[F::exit_reason]));
}

} // namespace vitrine::vtx
