// SPDX-License-Identifier: Apache-2.0
// VMX capability MSRs: what is implemented, and the values that follow from it (SDM volume 3, VMX Capability Reporting Facility).
#pragma once

#include "vtx/spec/controls.h"
#include "vtx/spec/fields.h"

#include <initializer_list>

namespace vitrine::vtx {

inline constexpr u32 vmcs_revision = 0x0056'5401; ///< ours; bit 31 clear
inline constexpr unsigned preemption_timer_rate = 5; ///< the timer counts TSC >> 5
inline constexpr unsigned cr3_target_count = 4;
inline constexpr u64 timeout_threshold = 64; ///< cycles of the crystal that are added to the instruction-timeout control
inline constexpr unsigned most_msrs = 512; ///< in an MSR area: what IA32_VMX_MISC recommends is what is done, and no more

/// IA32_VMX_BASIC.
struct Basic {
    Field revision{30, 0, ro, "VMCS revision identifier", ""};
    Field region_size{44, 32, ro, "VMCS region size", "in bytes"};
    Field physical_32{48, ro, "32-bit addresses", "of VMXON and VMCS regions"};
    Field dual_monitor{49, ro, "dual-monitor treatment", "of SMIs and SMM"};
    Field memory_type{53, 50, ro, "memory type", "6 = WB"};
    Field string_io_information{54, ro, "INS and OUTS information", "VM exits report it"};
    Field true_controls{55, ro, "TRUE control MSRs", "default1 controls may be 0"};
    Field any_error_code{56, ro, "any error code", "hardware exceptions may be injected with or without one"};
} inline constexpr basic;

/// IA32_VMX_MISC.
struct Misc {
    Field preemption_timer_rate{4, 0, ro, "VMX-preemption timer rate", "the timer counts TSC >> this"};
    Field stores_lma{5, ro, "stores IA32_EFER.LMA", "in \"IA-32e mode guest\" at VM exits"};
    Field activity_hlt{6, ro, "activity state HLT", "is supported"};
    Field activity_shutdown{7, ro, "activity state shutdown", "is supported"};
    Field activity_wait_for_sipi{8, ro, "activity state wait-for-SIPI", "is supported"};
    Field cr3_targets{24, 16, ro, "CR3-target values", "how many"};
    Field msr_list_size{27, 25, ro, "MSR lists", "recommended maximum is 512 x (this + 1)"};
    Field writes_read_only{29, ro, "VMWRITE to VM-exit information fields", "is possible"};
    Field zero_length_injection{30, ro, "zero-length injection", "of software interrupts and exceptions"};
} inline constexpr misc;

/// IA32_VMX_EPT_VPID_CAP.
struct EptVpid {
    Field execute_only{0, ro, "EPT execute-only", "translations are supported"};
    Field walk_length_4{6, ro, "EPT walk length 4", "is supported"};
    Field walk_length_5{7, ro, "EPT walk length 5", "is supported"};
    Field uncacheable{8, ro, "EPT UC", "memory type of the EPT paging structures"};
    Field write_back{14, ro, "EPT WB", "memory type of the EPT paging structures"};
    Field page_2m{16, ro, "EPT 2M", "pages are supported"};
    Field page_1g{17, ro, "EPT 1G", "pages are supported"};
    Field invept{20, ro, "INVEPT", "is supported"};
    Field accessed_dirty{21, ro, "EPT A/D", "accessed and dirty flags are supported"};
    Field advanced_exit_information{22, ro, "EPT advanced exit information", "of EPT violations is reported"};
    Field invept_single{25, ro, "INVEPT single-context", "is supported"};
    Field invept_all{26, ro, "INVEPT all-context", "is supported"};
    Field invvpid{32, ro, "INVVPID", "is supported"};
    Field invvpid_address{40, ro, "INVVPID individual-address", "is supported"};
    Field invvpid_single{41, ro, "INVVPID single-context", "is supported"};
    Field invvpid_all{42, ro, "INVVPID all-context", "is supported"};
    Field invvpid_single_globals{43, ro, "INVVPID single-context-retaining-globals", "is supported"};
} inline constexpr ept_vpid;

/// Controls that are reserved and must be 1 (default1), and those of them that the TRUE MSRs let be 0.
struct ControlDefaults {
    u32 one, clearable;
};

inline constexpr ControlDefaults pin_defaults{0x0000'0016, 0}, primary_defaults{0x0401'e172, 0x0001'8000},
    exit_defaults{0x0003'6dff, 0x0000'0004}, entry_defaults{0x0000'11ff, 0x0000'0004};

/// The set of capability words; what an absent one means is told by the words that depend on it.
struct Capabilities {
    u32 pin = 0, primary = 0, secondary = 0, exiting = 0, entering = 0; ///< implemented controls, default1 ones not counted
    u64 tertiary = 0, misc = 0, ept_vpid = 0, vm_functions = 0;

    /// A control MSR: allowed-0 below, allowed-1 above.
    static constexpr u64 control_msr(u32 implemented, ControlDefaults d, bool true_msr) {
        const u32 one = true_msr ? d.one & ~d.clearable : d.one;
        return one | u64{implemented | d.one} << 32;
    }

    constexpr bool has(u32 word, const Field& f) const { return (word & f.mask()) != 0; }

    constexpr u64 vmx_basic() const {
        return vmcs_revision | u64{4096} << 32 | u64{6} << 50 | vtx::basic.string_io_information.mask() |
               vtx::basic.true_controls.mask();
    }

    constexpr u64 pin_based_msr() const { return control_msr(pin, pin_defaults, true); }
    constexpr u64 primary_msr() const { return control_msr(primary, primary_defaults, true); }
    constexpr u64 secondary_msr() const { return u64{secondary} << 32; }
    constexpr u64 exit_msr() const { return control_msr(exiting, exit_defaults, true); }
    constexpr u64 entry_msr() const { return control_msr(entering, entry_defaults, true); }
};

/// Everything that this room implements.
constexpr Capabilities implemented() {
    Capabilities c;
    {
        const PinBased& f = vtx::pin;
        c.pin = static_cast<u32>(f.external_interrupt_exiting.mask() | f.nmi_exiting.mask() | f.virtual_nmis.mask() |
                                 f.activate_preemption_timer.mask() | f.process_posted_interrupts.mask());
    }
    {
        const Primary& f = vtx::primary;
        c.primary = static_cast<u32>(
            f.interrupt_window_exiting.mask() | f.use_tsc_offsetting.mask() | f.hlt_exiting.mask() | f.invlpg_exiting.mask() |
            f.mwait_exiting.mask() | f.rdpmc_exiting.mask() | f.rdtsc_exiting.mask() | f.cr3_load_exiting.mask() |
            f.cr3_store_exiting.mask() | f.cr8_load_exiting.mask() | f.cr8_store_exiting.mask() | f.use_tpr_shadow.mask() |
            f.nmi_window_exiting.mask() | f.mov_dr_exiting.mask() | f.unconditional_io_exiting.mask() |
            f.use_io_bitmaps.mask() | f.monitor_trap_flag.mask() | f.use_msr_bitmaps.mask() | f.monitor_exiting.mask() |
            f.pause_exiting.mask() | f.activate_secondary_controls.mask() | f.activate_tertiary_controls.mask());
    }
    {
        const Secondary& f = vtx::secondary;
        c.secondary = static_cast<u32>(
            f.virtualize_apic_accesses.mask() | f.virtualize_x2apic_mode.mask() | f.apic_register_virtualization.mask() |
            f.virtual_interrupt_delivery.mask() | f.enable_ept.mask() | f.descriptor_table_exiting.mask() | f.enable_rdtscp.mask() | f.enable_vpid.mask() |
            f.wbinvd_exiting.mask() | f.unrestricted_guest.mask() | f.pause_loop_exiting.mask() | f.rdrand_exiting.mask() |
            f.enable_invpcid.mask() | f.enable_vm_functions.mask() | f.vmcs_shadowing.mask() | f.rdseed_exiting.mask() |
            f.mode_based_execute_control.mask() | f.enable_pml.mask() | f.ept_violation_ve.mask() | f.enable_xsaves.mask() | f.use_tsc_scaling.mask() |
            f.bus_lock_detection.mask() | f.instruction_timeout.mask() | f.sub_page_write_permission.mask());
    }
    c.tertiary = vtx::tertiary.ipi_virtualization.mask();
    {
        const ExitControls& f = vtx::exiting;
        c.exiting = static_cast<u32>(f.save_debug_controls.mask() | f.host_address_space_size.mask() |
                                     f.acknowledge_interrupt_on_exit.mask() | f.save_pat.mask() | f.load_pat.mask() |
                                     f.save_efer.mask() | f.load_efer.mask() | f.save_preemption_timer.mask());
    }
    {
        const EntryControls& f = vtx::entering;
        c.entering = static_cast<u32>(f.load_debug_controls.mask() | f.ia32e_mode_guest.mask() | f.load_pat.mask() |
                                      f.load_efer.mask());
    }
    c.misc = preemption_timer_rate | vtx::misc.stores_lma.mask() | vtx::misc.activity_hlt.mask() |
             vtx::misc.activity_shutdown.mask() | vtx::misc.activity_wait_for_sipi.mask() |
             u64{cr3_target_count} << vtx::misc.cr3_targets.low() | vtx::misc.writes_read_only.mask() |
             vtx::misc.zero_length_injection.mask();
    {
        const EptVpid& f = vtx::ept_vpid;
        c.ept_vpid = f.execute_only.mask() | f.walk_length_4.mask() | f.walk_length_5.mask() | f.uncacheable.mask() | f.write_back.mask() |
                     f.page_2m.mask() | f.page_1g.mask() | f.invept.mask() | f.accessed_dirty.mask() |
                     f.invept_single.mask() | f.invept_all.mask() | f.invvpid.mask() | f.invvpid_address.mask() |
                     f.invvpid_single.mask() | f.invvpid_all.mask() | f.invvpid_single_globals.mask();
    }
    c.vm_functions = 1; // EPTP switching
    return c;
}

/// Takes away what cannot be without something that was taken away.
constexpr void settle(Capabilities& c) {
    const auto need = [](u32& word, const Field& dependent, bool present) {
        if (!present)
            word &= ~static_cast<u32>(dependent.mask());
    };
    need(c.pin, vtx::pin.virtual_nmis, vtx::pin.nmi_exiting(c.pin));
    need(c.primary, vtx::primary.nmi_window_exiting, vtx::pin.virtual_nmis(c.pin));
    need(c.exiting, vtx::exiting.save_preemption_timer, vtx::pin.activate_preemption_timer(c.pin));
    if (!vtx::primary.activate_secondary_controls(c.primary))
        c.secondary = 0;
    if (!vtx::primary.activate_tertiary_controls(c.primary) || !vtx::primary.use_tpr_shadow(c.primary))
        c.tertiary = 0;
    need(c.primary, vtx::primary.activate_tertiary_controls, c.tertiary != 0);
    const bool ept = vtx::secondary.enable_ept(c.secondary), vpid = vtx::secondary.enable_vpid(c.secondary);
    for (const Field* f : {&vtx::secondary.unrestricted_guest, &vtx::secondary.enable_pml, &vtx::secondary.enable_vm_functions,
                           &vtx::secondary.ept_violation_ve, &vtx::secondary.mode_based_execute_control, &vtx::secondary.sub_page_write_permission})
        need(c.secondary, *f, ept);
    for (const Field* f : {&vtx::secondary.virtualize_x2apic_mode, &vtx::secondary.apic_register_virtualization, &vtx::secondary.virtual_interrupt_delivery})
        need(c.secondary, *f, vtx::primary.use_tpr_shadow(c.primary));
    need(c.secondary, vtx::secondary.virtual_interrupt_delivery, vtx::pin.external_interrupt_exiting(c.pin));
    need(c.pin, vtx::pin.process_posted_interrupts,
         vtx::secondary.virtual_interrupt_delivery(c.secondary) && vtx::exiting.acknowledge_interrupt_on_exit(c.exiting));
    need(c.secondary, vtx::secondary.enable_pml, vtx::ept_vpid.accessed_dirty(c.ept_vpid));
    need(c.secondary, vtx::secondary.use_tsc_scaling, vtx::primary.use_tsc_offsetting(c.primary));
    if (!ept)
        c.ept_vpid &= ~low_mask(32);
    if (!vpid)
        c.ept_vpid &= low_mask(32);
    if (!vtx::secondary.unrestricted_guest(c.secondary))
        c.misc &= ~vtx::misc.stores_lma.mask();
    if (!vtx::secondary.enable_vm_functions(c.secondary))
        c.vm_functions = 0;
}

namespace vmx_msr {
inline constexpr u32 basic = 0x480, pin_based = 0x481, primary = 0x482, exit = 0x483, entry = 0x484, misc = 0x485, cr0_fixed0 = 0x486,
                     cr0_fixed1 = 0x487, cr4_fixed0 = 0x488, cr4_fixed1 = 0x489, vmcs_enum = 0x48a, secondary = 0x48b,
                     ept_vpid_cap = 0x48c, true_pin_based = 0x48d, true_primary = 0x48e, true_exit = 0x48f, true_entry = 0x490,
                     vmfunc = 0x491, tertiary = 0x492;
}

inline constexpr u64 cr0_fixed0 = 0x8000'0021, cr0_fixed1 = 0xffff'ffff, cr4_fixed0 = 0x2000;

/// RDMSR of a capability MSR; false is #GP. `cr4_allowed` are the bits that CPUID lets be 1.
constexpr bool capability_msr(const Capabilities& c, u32 msr, u64 cr4_allowed, u64& value) {
    const bool secondary = vtx::primary.activate_secondary_controls(c.primary);
    switch (msr) {
    case vmx_msr::basic: value = c.vmx_basic(); return true;
    case vmx_msr::pin_based: value = Capabilities::control_msr(c.pin, pin_defaults, false); return true;
    case vmx_msr::primary: value = Capabilities::control_msr(c.primary, primary_defaults, false); return true;
    case vmx_msr::exit: value = Capabilities::control_msr(c.exiting, exit_defaults, false); return true;
    case vmx_msr::entry: value = Capabilities::control_msr(c.entering, entry_defaults, false); return true;
    case vmx_msr::misc: value = c.misc; return true;
    case vmx_msr::cr0_fixed0: value = cr0_fixed0; return true;
    case vmx_msr::cr0_fixed1: value = cr0_fixed1; return true;
    case vmx_msr::cr4_fixed0: value = cr4_fixed0; return true;
    case vmx_msr::cr4_fixed1: value = cr4_allowed; return true;
    case vmx_msr::vmcs_enum: value = u64{highest_field_index()} << 1; return true;
    case vmx_msr::secondary: value = c.secondary_msr(); return secondary;
    case vmx_msr::ept_vpid_cap: value = c.ept_vpid; return secondary && c.ept_vpid != 0;
    case vmx_msr::true_pin_based: value = c.pin_based_msr(); return true;
    case vmx_msr::true_primary: value = c.primary_msr(); return true;
    case vmx_msr::true_exit: value = c.exit_msr(); return true;
    case vmx_msr::true_entry: value = c.entry_msr(); return true;
    case vmx_msr::vmfunc: value = c.vm_functions; return c.vm_functions != 0;
    case vmx_msr::tertiary: value = c.tertiary; return c.tertiary != 0;
    default: return false;
    }
}

} // namespace vitrine::vtx
