// SPDX-License-Identifier: Apache-2.0
// VM entry: checks, loading the guest, MSRs, event injection (SDM volume 3, VM Entries).
#include "vtx/area_state.h"
#include "vtx/spec/entry_rules.h"
#include "vtx/unit.h"
#include "x86/control.h"
#include "x86/model.h"
#include "x86/msr.h"

namespace vitrine::vtx {

Outcome Unit::enter(const Instruction& i, bool launch) {
    if (!vmcs_.valid() || vmcs_.shadow())
        return fail_invalid(i);
    if (cpu_.blocked_by_mov_ss())
        return fail(i, VmError::blocked_by_mov_ss);
    if (launch && vmcs_.launched)
        return fail(i, VmError::vmlaunch_not_clear);
    if (!launch && !vmcs_.launched)
        return fail(i, VmError::vmresume_not_launched);
    RuleInput input;
    gather(input);
    const View view(input);
    // Fields that rules of other groups read, and memory, may have changed without a VMWRITE to the group itself.
    const bool looks_elsewhere = interruption.valid(vmcs_[F::entry_interruption_information]) || on(vtx::primary.use_tpr_shadow, F::primary);
    if (!vmcs_.controls_checked || looks_elsewhere) {
        if (first_broken(control_rules, view)) {
            tell_broken("entry.invalid-controls", i);
            return fail(i, VmError::invalid_control_fields);
        }
        vmcs_.controls_checked = true;
        vmcs_.host_checked = false; // reads the exit controls too
    }
    if (!vmcs_.host_checked || !cpu_.long_mode()) {
        if (first_broken(host_rules, view)) {
            tell_broken("entry.invalid-host-state", i);
            return fail(i, VmError::invalid_host_state);
        }
        vmcs_.host_checked = true;
    }
    cpu_.rip = cpu_.next_rip(i); // what an entry that fails late leaves behind is the host's anyway
    if (const Rule* broken = first_broken(guest_rules, view)) {
        tell_broken("entry.invalid-guest-state", i);
        static constexpr u64 qualifications[] = {0, 0, entry_failure::other, entry_failure::pdpte, entry_failure::nmi_with_sti, entry_failure::link_pointer};
        entry_failed(ExitReason::invalid_guest_state, qualifications[static_cast<unsigned>(broken->failure)]);
        return Outcome::exited;
    }
    load_guest();
    for (unsigned n = 0; n < 4; ++n)
        if (pae_paging(cpu_))
            cpu_.pdpte[n] = cpu_.second_level ? vmcs_[after(F::guest_pdpte0, n)] : input.facts[static_cast<unsigned>(Fact::pdpte0) + n];
    if (const u64 failed = load_msrs(F::entry_msr_load_address, F::entry_msr_load_count, true)) {
        cpu_.glass().odd(Topic::vmx, "entry.msr-load-failed", {{"entry", failed}});
        entry_failed(ExitReason::msr_loading, failed);
        return Outcome::exited;
    }
    vmcs_.launched = true;
    ++entries_;
    statistics_.entered(vmcs_.pointer(), cpu_.retired_by_now());
    non_root_ = true;
    cpu_.init_blocked = false;
    set_intercepts();
    start_virtual_interrupts();
    start_timer();
    cpu_.glass().tell(Topic::vmx, "entry", {{"cpu", cpu_.index()}, {"vmcs", vmcs_.pointer()}, {"rip", cpu_.rip}, {"event", vmcs_[F::entry_interruption_information]}});
    inject();
    return Outcome::exited;
}

void Unit::gather(RuleInput& input) {
    input.fields = vmcs_.values();
    input.capabilities = &capabilities_;
    const auto fact = [&](Fact f) -> u64& { return input.facts[static_cast<unsigned>(f)]; };
    fact(Fact::physical_bits) = cpu_.model().physical_bits;
    fact(Fact::linear_bits) = cpu_.model().has(Feature::la57) ? 57 : 48;
    fact(Fact::long_mode) = cpu_.long_mode();
    fact(Fact::cr4_allowed) = cpu_.model().cr4_allowed();
    fact(Fact::efer_allowed) = cpu_.model().efer_allowed();
    fact(Fact::debugctl_allowed) = 3; // LBR and BTF, as the MSR takes them
    fact(Fact::current_vmcs) = vmcs_.pointer();
    const auto read = [&](u64 at) { return cpu_.space().read<u64>(Physical{at}, cpu_.requester()); };
    if (const u64 link = vmcs_[F::vmcs_link_pointer]; link != Vmcs::no_pointer && valid_region(link))
        fact(Fact::link_revision) = read(link) & low_mask(32);
    if (on(vtx::primary.use_tpr_shadow, F::primary) && valid_region(vmcs_[F::virtual_apic_address]))
        fact(Fact::vtpr) = vtpr();
    const bool pae = (vmcs_[F::guest_cr0] & cr0::pg) && (vmcs_[F::guest_cr4] & cr4::pae) && !on(entering.ia32e_mode_guest, F::entry_controls);
    if (pae && !vtx::secondary.enable_ept(secondary_controls()))
        for (unsigned n = 0; n < 4; ++n)
            input.facts[static_cast<unsigned>(Fact::pdpte0) + n] = read((vmcs_[F::guest_cr3] & 0xffff'ffe0) + 8 * n);
}

void Unit::load_guest() {
    load_guest_registers(cpu_, [this](F f) { return vmcs_[f]; });
    const u64 entry = vmcs_[F::entry_controls];
    const u64 old_dr7 = cpu_.dr7;
    if (entering.load_debug_controls(entry)) {
        cpu_.dr7 = (vmcs_[F::guest_dr7] & 0xffff'23ff) | dr7::always;
        cpu_.msr.debugctl = vmcs_[F::guest_debugctl];
    }
    if (old_dr7 != cpu_.dr7)
        cpu_.tlb().drop_tags(); // watched pages may not be accessed past the checks
    cpu_.msr.sysenter_cs = vmcs_[F::guest_sysenter_cs];
    cpu_.msr.sysenter_esp = vmcs_[F::guest_sysenter_esp];
    cpu_.msr.sysenter_eip = vmcs_[F::guest_sysenter_eip];
    if (entering.load_pat(entry))
        cpu_.msr.pat = vmcs_[F::guest_pat];
    cpu_.set_rflags(vmcs_[F::guest_rflags]);
    cpu_.cpl = !(cpu_.cr0 & cr0::pe) ? u8{0} : cpu_.v86() ? u8{3} : cpu_.segments[ss].dpl();
    cpu_.activity = static_cast<Activity>(vmcs_[F::guest_activity_state]);
    cpu_.monitor_armed = false; // SDM, Clearing Address-Range Monitoring
    const u64 blocking = vmcs_[F::guest_interruptibility_state];
    cpu_.sti_shadow = interruptibility.blocking_by_sti(blocking) != 0;
    cpu_.mov_ss_shadow = interruptibility.blocking_by_mov_ss(blocking) != 0;
    cpu_.nmi_blocked = interruptibility.blocking_by_nmi(blocking) != 0;
    cpu_.nmi_never_blocked = on(pin.virtual_nmis, F::pin_based);
    cpu_.iret_keeps_nmi_blocked = on(pin.nmi_exiting, F::pin_based) && !on(pin.virtual_nmis, F::pin_based);
    cpu_.mtf_due = cpu_.preemption_due = cpu_.nmi_unblocked = cpu_.trap_exit_due = false;
    const u64 pending = vmcs_[F::guest_pending_debug_exceptions];
    cpu_.pending_debug = pending & (pending_debug_exceptions.enabled_breakpoint.mask() | pending_debug_exceptions.bs.mask()) ? pending & (15 | dr6::bs) : 0;
    const u64 secondaries = secondary_controls();
    cpu_.vpid = vtx::secondary.enable_vpid(secondaries) ? static_cast<u16>(vmcs_[F::vpid]) : u16{0};
    cpu_.second_level = nullptr;
    cpu_.sub_pages = vtx::secondary.sub_page_write_permission(secondaries) != 0;
    if (vtx::secondary.enable_ept(secondaries)) {
        ept_.select(vmcs_[F::eptp], secondaries);
        cpu_.second_level = &ept_;
    }
    cpu_.cr0_required = vtx::secondary.unrestricted_guest(secondaries) ? cr0_fixed0 & ~(cr0::pe | cr0::pg) : cr0_fixed0;
    flush_untagged();
    cpu_.rf_loaded();
    cpu_.mode_changed();
}

u64 Unit::load_msrs(F address, F count, bool guest) {
    constexpr u32 fs_base = 0xc000'0100, gs_base = 0xc000'0101, update_trigger = 0x79, smm_monitor_control = 0x9b;
    for (u64 n = 0; n < vmcs_[count]; ++n) {
        const Physical at{vmcs_[address] + 16 * n};
        const u64 index = cpu_.space().read<u64>(at, cpu_.requester()), value = cpu_.space().read<u64>(at + 8, cpu_.requester());
        const u32 msr = static_cast<u32>(index);
        const bool refused = index >> 32 || msr == fs_base || msr == gs_base || msr >> 8 == 8 || (guest && msr == update_trigger) || msr == smm_monitor_control;
        if (n >= most_msrs || refused || !write_msr(cpu_, msr, value))
            return n + 1;
    }
    return 0;
}

void Unit::inject() {
    const u64 info = vmcs_[F::entry_interruption_information];
    const u64 type = interruption.type(info);
    if (!interruption.valid(info)) {
        // Shutdown and wait-for-SIPI know no debug exceptions.
        if (cpu_.activity == Activity::shutdown || cpu_.activity == Activity::wait_for_sipi)
            cpu_.pending_debug = 0;
        return;
    }
    if (type == interruption_type::other_event) {
        cpu_.mtf_due = true;
        return;
    }
    count_injection(static_cast<EventKind>(type));
    const bool software = type >= interruption_type::software_interrupt;
    if (!software)
        cpu_.pending_debug = 0;
    const bool has_error = interruption.deliver_error_code(info) != 0;
    cpu_.inject({.vector = static_cast<Vector>(interruption.vector(info)), .kind = static_cast<EventKind>(type), .has_error = has_error,
                 .error = has_error ? static_cast<u32>(vmcs_[F::entry_exception_error_code]) : 0,
                 .instruction_length = software ? static_cast<u8>(vmcs_[F::entry_instruction_length]) : u8{0}, .injected = true});
}

void Unit::start_timer() {
    if (!on(pin.activate_preemption_timer, F::pin_based))
        return;
    timer_value_ = static_cast<u32>(vmcs_[F::preemption_timer_value]);
    timer_started_ = cpu_.tsc();
    if (timer_value_ == 0) {
        cpu_.preemption_due = true;
        return;
    }
    const u64 due = ((timer_started_ >> preemption_timer_rate) + timer_value_) << preemption_timer_rate;
    timer_.arm(due - cpu_.tsc_offset);
}

void Unit::set_intercepts() {
    const u64 p = vmcs_[F::pin_based], one = vmcs_[F::primary], two = secondary_controls();
    u64 set = 0;
    const auto when = [&](bool on, std::initializer_list<Intercept> kinds) {
        for (const Intercept kind : kinds)
            if (on)
                set |= bit(static_cast<unsigned>(kind));
    };
    using enum Intercept;
    const vtx::Primary& c = vtx::primary;
    const vtx::Secondary& s = vtx::secondary;
    when(true, {cr_access, rdmsr, wrmsr, cpuid, invd, xsetbv, task_switch, triple_fault, init, sipi});
    when(pin.external_interrupt_exiting(p), {external_interrupt});
    when(pin.nmi_exiting(p), {nmi});
    when(c.interrupt_window_exiting(one), {interrupt_window});
    when(c.nmi_window_exiting(one), {nmi_window});
    when(c.hlt_exiting(one), {hlt});
    when(c.invlpg_exiting(one), {invlpg, invpcid});
    when(c.mwait_exiting(one), {mwait});
    when(c.monitor_exiting(one), {monitor});
    when(c.rdpmc_exiting(one), {rdpmc});
    when(c.rdtsc_exiting(one) || c.use_tsc_offsetting(one), {rdtsc, rdtscp});
    when(c.mov_dr_exiting(one), {mov_dr});
    when(c.unconditional_io_exiting(one) || c.use_io_bitmaps(one), {io});
    when(c.monitor_trap_flag(one), {monitor_trap});
    when(c.pause_exiting(one) || s.pause_loop_exiting(two), {pause});
    when(!s.enable_rdtscp(two), {rdtscp, rdpid});
    when(s.descriptor_table_exiting(two), {descriptor_table});
    when(s.wbinvd_exiting(two), {wbinvd});
    when(s.rdrand_exiting(two), {rdrand});
    when(s.rdseed_exiting(two), {rdseed});
    when(!s.enable_invpcid(two), {invpcid});
    when(!s.enable_xsaves(two) || vmcs_[F::xss_exiting_bitmap] != 0, {xsaves, xrstors});
    when(s.bus_lock_detection(two), {bus_lock});
    when(s.instruction_timeout(two), {instruction_timeout});
    cpu_.delivery_time = vmcs_[F::instruction_timeout_control] + timeout_threshold;
    when(vmcs_[F::exception_bitmap] || vmcs_[F::page_fault_mask] || vmcs_[F::page_fault_match], {exception});
    cpu_.intercepts = set;
    cpu_.events_changed();
}

/// After the guest's state has been found wanting: the host's is loaded as by an exit, and nothing of the guest is saved.
void Unit::entry_failed(ExitReason reason, u64 qualification) {
    vmcs_.set(F::exit_reason, static_cast<u32>(reason) | entry_failure_flag);
    vmcs_.set(F::exit_qualification, qualification);
    count(reason, vmcs_[F::guest_rip]);
    load_host();
}

} // namespace vitrine::vtx
