// SPDX-License-Identifier: Apache-2.0
// Checks on VMX controls at VM entry, in the manual's order; a broken one is VMfailValid 7 (SDM volume 3, Checks on VMX Controls).
// Text and order are from memory of the manual; kvm-unit-tests exercise most of these rows.
#pragma once

#include "vtx/spec/ept_entry.h"
#include "vtx/spec/rule.h"

namespace vitrine::vtx {

namespace ask {

constexpr bool valid(u64 information) { return interruption.valid(information) != 0; }

constexpr bool software_type(u64 type) {
    return type == interruption_type::software_interrupt || type == interruption_type::privileged_software_exception ||
           type == interruption_type::software_exception;
}

/// Exceptions that come with an error code.
constexpr bool has_error_code(u64 vector) {
    constexpr u32 vectors = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 17;
    return vector < 32 && (vectors >> vector & 1);
}

/// For violations: posted interrupts with all that they need.
template <class V> void make_posted(V& v) {
    v.set(F::primary, vtx::primary.activate_secondary_controls);
    v.set(F::primary, vtx::primary.use_tpr_shadow);
    v.set(F::secondary, vtx::secondary.virtual_interrupt_delivery);
    v.set(F::pin_based, pin.external_interrupt_exiting);
    v.set(F::pin_based, pin.process_posted_interrupts);
    v.set(F::exit_controls, exiting.acknowledge_interrupt_on_exit);
}

/// Whether the event to be injected must come with an error code.
template <class V> bool wants_error_code(V& v) {
    const u64 info = v[F::entry_interruption_information];
    const bool real = vtx::secondary.unrestricted_guest(secondary(v)) && !(v[F::guest_cr0] & 1);
    return !real && interruption.type(info) == interruption_type::hardware_exception &&
           has_error_code(interruption.vector(info));
}

} // namespace ask

// clang-format off
inline constexpr Rule control_rules[] = {
    {"entry.pin-based-reserved", sdm::execution_controls, Failure::invalid_controls,
     "Reserved bits in the pin-based VM-execution controls must be set properly (IA32_VMX_TRUE_PINBASED_CTLS).",
     ask::always,
     [](auto& v) { return ask::allowed(v[F::pin_based], v.capabilities().pin_based_msr()); },
     [](auto& v) { v.at(F::pin_based) &= ~u64{2}; }},
    {"entry.primary-reserved", sdm::execution_controls, Failure::invalid_controls,
     "Reserved bits in the primary processor-based VM-execution controls must be set properly (IA32_VMX_TRUE_PROCBASED_CTLS).",
     ask::always,
     [](auto& v) { return ask::allowed(v[F::primary], v.capabilities().primary_msr()); },
     [](auto& v) { v.at(F::primary) &= ~u64{2}; }},
    {"entry.secondary-reserved", sdm::execution_controls, Failure::invalid_controls,
     "If 'activate secondary controls' is 1, reserved bits in the secondary processor-based VM-execution controls must be cleared (IA32_VMX_PROCBASED_CTLS2).",
     [](auto& v) { return primary.activate_secondary_controls(v[F::primary]); },
     [](auto& v) { return ask::allowed(v[F::secondary], v.capabilities().secondary_msr()); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.at(F::secondary) |= bit(21); }},
    {"entry.tertiary-reserved", sdm::execution_controls, Failure::invalid_controls,
     "If 'activate tertiary controls' is 1, reserved bits in the tertiary processor-based VM-execution controls must be cleared (IA32_VMX_PROCBASED_CTLS3).",
     [](auto& v) { return primary.activate_tertiary_controls(v[F::primary]); },
     [](auto& v) { return !(v[F::tertiary] & ~v.capabilities().tertiary); },
     [](auto& v) { v.set(F::primary, primary.activate_tertiary_controls); v.at(F::tertiary) |= bit(63); }},
    {"entry.cr3-target-count", sdm::execution_controls, Failure::invalid_controls,
     "The CR3-target count must not be greater than 4.",
     ask::always,
     [](auto& v) { return v[F::cr3_target_count] <= cr3_target_count; },
     [](auto& v) { v.at(F::cr3_target_count) = cr3_target_count + 1; }},
    {"entry.io-bitmap-a", sdm::execution_controls, Failure::invalid_controls,
     "If 'use I/O bitmaps' is 1, bits 11:0 of the address of I/O bitmap A must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return primary.use_io_bitmaps(v[F::primary]); },
     [](auto& v) { return ask::page(v, v[F::io_bitmap_a]); },
     [](auto& v) { v.set(F::primary, primary.use_io_bitmaps); v.at(F::io_bitmap_a) |= 1; }},
    {"entry.io-bitmap-b", sdm::execution_controls, Failure::invalid_controls,
     "If 'use I/O bitmaps' is 1, bits 11:0 of the address of I/O bitmap B must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return primary.use_io_bitmaps(v[F::primary]); },
     [](auto& v) { return ask::page(v, v[F::io_bitmap_b]); },
     [](auto& v) { v.set(F::primary, primary.use_io_bitmaps); v.at(F::io_bitmap_b) |= 1; }},
    {"entry.msr-bitmaps", sdm::execution_controls, Failure::invalid_controls,
     "If 'use MSR bitmaps' is 1, bits 11:0 of the MSR-bitmap address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return primary.use_msr_bitmaps(v[F::primary]); },
     [](auto& v) { return ask::page(v, v[F::msr_bitmaps]); },
     [](auto& v) { v.set(F::primary, primary.use_msr_bitmaps); v.at(F::msr_bitmaps) |= 1; }},
    {"entry.virtual-apic-address", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TPR shadow' is 1, bits 11:0 of the virtual-APIC address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return primary.use_tpr_shadow(v[F::primary]); },
     [](auto& v) { return ask::page(v, v[F::virtual_apic_address]); },
     [](auto& v) { v.set(F::primary, primary.use_tpr_shadow); v.at(F::virtual_apic_address) |= 1; }},
    {"entry.tpr-threshold-reserved", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TPR shadow' is 1 and 'virtual-interrupt delivery' is 0, bits 31:4 of the TPR threshold must be 0.",
     [](auto& v) { return primary.use_tpr_shadow(v[F::primary]) && !secondary.virtual_interrupt_delivery(ask::secondary(v)); },
     [](auto& v) { return !(v[F::tpr_threshold] & ~u64{15}); },
     [](auto& v) { v.set(F::primary, primary.use_tpr_shadow); v.at(F::tpr_threshold) = 0x10; }},
    {"entry.tpr-threshold-above-vtpr", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TPR shadow' is 1 and 'virtualize APIC accesses' and 'virtual-interrupt delivery' are 0, bits 3:0 of the TPR threshold must not be greater than bits 7:4 of VTPR.",
     [](auto& v) { return primary.use_tpr_shadow(v[F::primary]) && !secondary.virtualize_apic_accesses(ask::secondary(v)) &&
                          !secondary.virtual_interrupt_delivery(ask::secondary(v)); },
     [](auto& v) { return (v[F::tpr_threshold] & 15) <= bits(v[Fact::vtpr], 7, 4); },
     [](auto& v) { v.set(F::primary, primary.use_tpr_shadow); v.at(F::tpr_threshold) = 1; v.at(Fact::vtpr) = 0; }},
    {"entry.virtual-nmis-need-nmi-exiting", sdm::execution_controls, Failure::invalid_controls,
     "If 'NMI exiting' is 0, 'virtual NMIs' must be 0.",
     [](auto& v) { return !pin.nmi_exiting(v[F::pin_based]); },
     [](auto& v) { return !pin.virtual_nmis(v[F::pin_based]); },
     [](auto& v) { v.set(F::pin_based, pin.nmi_exiting, 0); v.set(F::pin_based, pin.virtual_nmis); }},
    {"entry.nmi-window-needs-virtual-nmis", sdm::execution_controls, Failure::invalid_controls,
     "If 'virtual NMIs' is 0, 'NMI-window exiting' must be 0.",
     [](auto& v) { return !pin.virtual_nmis(v[F::pin_based]); },
     [](auto& v) { return !primary.nmi_window_exiting(v[F::primary]); },
     [](auto& v) { v.set(F::pin_based, pin.virtual_nmis, 0); v.set(F::primary, primary.nmi_window_exiting); }},
    {"entry.apic-access-address", sdm::execution_controls, Failure::invalid_controls,
     "If 'virtualize APIC accesses' is 1, bits 11:0 of the APIC-access address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.virtualize_apic_accesses(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::apic_access_address]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::primary, primary.use_tpr_shadow); v.set(F::secondary, secondary.virtualize_apic_accesses); v.at(F::apic_access_address) |= 1; }},
    {"entry.x2apic-mode-needs-tpr-shadow", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TPR shadow' is 0, 'virtualize x2APIC mode', 'APIC-register virtualization' and 'virtual-interrupt delivery' must all be 0.",
     [](auto& v) { return !primary.use_tpr_shadow(v[F::primary]); },
     [](auto& v) { const u64 two = ask::secondary(v); return !secondary.virtualize_x2apic_mode(two) && !secondary.apic_register_virtualization(two) && !secondary.virtual_interrupt_delivery(two); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::primary, primary.use_tpr_shadow, 0); v.set(F::secondary, secondary.virtualize_x2apic_mode); }},
    {"entry.ipi-virtualization-needs-tpr-shadow", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TPR shadow' is 0, 'IPI virtualization' must be 0.",
     [](auto& v) { return !primary.use_tpr_shadow(v[F::primary]); },
     [](auto& v) { return !tertiary.ipi_virtualization(ask::tertiary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_tertiary_controls); v.set(F::primary, primary.use_tpr_shadow, 0); v.set(F::tertiary, tertiary.ipi_virtualization); }},
    {"entry.pid-pointer-table", sdm::execution_controls, Failure::invalid_controls,
     "If 'IPI virtualization' is 1, bits 2:0 of the PID-pointer table address must be 0, and neither it nor the table's last entry may lie beyond the physical-address width.",
     [](auto& v) { return tertiary.ipi_virtualization(ask::tertiary(v)); },
     [](auto& v) { return is_aligned(v[F::pid_pointer_table], 8) && ask::physical(v, v[F::pid_pointer_table]) &&
                          ask::physical(v, v[F::pid_pointer_table] + 8 * v[F::last_pid_pointer_index]); },
     [](auto& v) { v.set(F::primary, primary.activate_tertiary_controls); v.set(F::primary, primary.use_tpr_shadow); v.set(F::tertiary, tertiary.ipi_virtualization);
                   v.at(F::pid_pointer_table) |= 4; }},
    {"entry.x2apic-mode-or-accesses", sdm::execution_controls, Failure::invalid_controls,
     "If 'virtualize x2APIC mode' is 1, 'virtualize APIC accesses' must be 0.",
     [](auto& v) { return secondary.virtualize_x2apic_mode(ask::secondary(v)); },
     [](auto& v) { return !secondary.virtualize_apic_accesses(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::primary, primary.use_tpr_shadow); v.set(F::secondary, secondary.virtualize_x2apic_mode);
                   v.set(F::secondary, secondary.virtualize_apic_accesses); v.at(F::apic_access_address) = 0; }},
    {"entry.vid-needs-extint", sdm::execution_controls, Failure::invalid_controls,
     "If 'virtual-interrupt delivery' is 1, 'external-interrupt exiting' must be 1.",
     [](auto& v) { return secondary.virtual_interrupt_delivery(ask::secondary(v)); },
     [](auto& v) { return pin.external_interrupt_exiting(v[F::pin_based]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::primary, primary.use_tpr_shadow); v.set(F::secondary, secondary.virtual_interrupt_delivery); v.set(F::pin_based, pin.external_interrupt_exiting, 0); }},
    {"entry.posted-needs-vid", sdm::execution_controls, Failure::invalid_controls,
     "If 'process posted interrupts' is 1, 'virtual-interrupt delivery' must be 1.",
     [](auto& v) { return pin.process_posted_interrupts(v[F::pin_based]); },
     [](auto& v) { return secondary.virtual_interrupt_delivery(ask::secondary(v)); },
     [](auto& v) { v.set(F::pin_based, pin.process_posted_interrupts); v.set(F::exit_controls, exiting.acknowledge_interrupt_on_exit); v.set(F::secondary, secondary.virtual_interrupt_delivery, 0); }},
    {"entry.posted-needs-acknowledge", sdm::execution_controls, Failure::invalid_controls,
     "If 'process posted interrupts' is 1, 'acknowledge interrupt on exit' must be 1.",
     [](auto& v) { return pin.process_posted_interrupts(v[F::pin_based]); },
     [](auto& v) { return exiting.acknowledge_interrupt_on_exit(v[F::exit_controls]); },
     [](auto& v) { ask::make_posted(v); v.set(F::exit_controls, exiting.acknowledge_interrupt_on_exit, 0); }},
    {"entry.posted-vector", sdm::execution_controls, Failure::invalid_controls,
     "If 'process posted interrupts' is 1, bits 15:8 of the posted-interrupt notification vector must be 0.",
     [](auto& v) { return pin.process_posted_interrupts(v[F::pin_based]); },
     [](auto& v) { return v[F::posted_interrupt_vector] <= 0xff; },
     [](auto& v) { ask::make_posted(v); v.at(F::posted_interrupt_vector) = 0x100; }},
    {"entry.posted-descriptor", sdm::execution_controls, Failure::invalid_controls,
     "If 'process posted interrupts' is 1, bits 5:0 of the posted-interrupt descriptor address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return pin.process_posted_interrupts(v[F::pin_based]); },
     [](auto& v) { return is_aligned(v[F::posted_interrupt_descriptor], 64) && ask::physical(v, v[F::posted_interrupt_descriptor]); },
     [](auto& v) { ask::make_posted(v); v.at(F::posted_interrupt_descriptor) = 1; }},
    {"entry.vpid-zero", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable VPID' is 1, the VPID must not be 0000H.",
     [](auto& v) { return secondary.enable_vpid(ask::secondary(v)); },
     [](auto& v) { return v[F::vpid] != 0; },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_vpid); v.at(F::vpid) = 0; }},
    {"entry.eptp-memory-type", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable EPT' is 1, the EPT memory type (bits 2:0 of the EPTP) must be a value supported by the processor.",
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { const u64 type = ept_pointer.memory_type(v[F::eptp]);
                   return (type == 0 && ept_vpid.uncacheable(v.capabilities().ept_vpid)) || (type == 6 && ept_vpid.write_back(v.capabilities().ept_vpid)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::eptp, ept_pointer.memory_type, 1); }},
    {"entry.eptp-walk-length", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable EPT' is 1, bits 5:3 of the EPTP (1 less than the EPT page-walk length) must be a value supported by the processor.",
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { return ept_walk_supported(v[F::eptp], v.capabilities().ept_vpid); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::eptp, ept_pointer.walk_length, 5); }},
    {"entry.eptp-accessed-dirty", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable EPT' is 1, bit 6 of the EPTP must be 0 if bit 21 of IA32_VMX_EPT_VPID_CAP is read as 0.",
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)) && !ept_vpid.accessed_dirty(v.capabilities().ept_vpid); },
     [](auto& v) { return !ept_pointer.accessed_dirty(v[F::eptp]); },
     [](auto& v) { v.set(F::eptp, ept_pointer.accessed_dirty); }},
    {"entry.eptp-reserved", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable EPT' is 1, reserved bits 11:7 and 63:N of the EPTP (N is the physical-address width) must all be 0.",
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { return !(v[F::eptp] & (ept_pointer.reserved.mask() | ept_pointer.shadow_stack.mask())) && ask::physical(v, v[F::eptp]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.at(F::eptp) |= bit(7); }},
    {"entry.pml-needs-ept", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable PML' is 1, 'enable EPT' must be 1.",
     [](auto& v) { return secondary.enable_pml(ask::secondary(v)); },
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_pml); v.set(F::secondary, secondary.enable_ept, 0);
                   v.set(F::secondary, secondary.unrestricted_guest, 0); v.set(F::secondary, secondary.enable_vm_functions, 0); v.at(F::pml_address) = 0; }},
    {"entry.pml-address", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable PML' is 1, bits 11:0 of the PML address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.enable_pml(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::pml_address]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::secondary, secondary.enable_pml); v.at(F::pml_address) |= 8; }},
    {"entry.mode-based-needs-ept", sdm::execution_controls, Failure::invalid_controls,
     "If 'mode-based execute control for EPT' is 1, 'enable EPT' must be 1.",
     [](auto& v) { return secondary.mode_based_execute_control(ask::secondary(v)); },
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.mode_based_execute_control); v.set(F::secondary, secondary.enable_ept, 0);
                   v.set(F::secondary, secondary.unrestricted_guest, 0); v.set(F::secondary, secondary.enable_pml, 0); v.set(F::secondary, secondary.enable_vm_functions, 0); }},
    {"entry.sub-pages-need-ept", sdm::execution_controls, Failure::invalid_controls,
     "If 'sub-page write permissions for EPT' is 1, 'enable EPT' must be 1.",
     [](auto& v) { return secondary.sub_page_write_permission(ask::secondary(v)); },
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.sub_page_write_permission); v.set(F::secondary, secondary.enable_ept, 0);
                   v.set(F::secondary, secondary.unrestricted_guest, 0); v.set(F::secondary, secondary.enable_pml, 0); v.set(F::secondary, secondary.enable_vm_functions, 0); }},
    {"entry.spptp", sdm::execution_controls, Failure::invalid_controls,
     "If 'sub-page write permissions for EPT' is 1, bits 11:0 of the SPPTP must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.sub_page_write_permission(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::spptp]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::secondary, secondary.sub_page_write_permission); v.at(F::spptp) |= 1; }},
    {"entry.unrestricted-needs-ept", sdm::execution_controls, Failure::invalid_controls,
     "If 'unrestricted guest' is 1, 'enable EPT' must be 1.",
     [](auto& v) { return secondary.unrestricted_guest(ask::secondary(v)); },
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.unrestricted_guest); v.set(F::secondary, secondary.enable_ept, 0);
                   v.set(F::secondary, secondary.enable_pml, 0); v.set(F::secondary, secondary.enable_vm_functions, 0); }},
    {"entry.vm-functions-reserved", sdm::execution_controls, Failure::invalid_controls,
     "If 'enable VM functions' is 1, reserved bits in the VM-function controls must be clear (IA32_VMX_VMFUNC).",
     [](auto& v) { return secondary.enable_vm_functions(ask::secondary(v)); },
     [](auto& v) { return !(v[F::vm_function_controls] & ~v.capabilities().vm_functions); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_vm_functions); v.at(F::vm_function_controls) |= bit(63); }},
    {"entry.eptp-switching-needs-ept", sdm::execution_controls, Failure::invalid_controls,
     "If 'EPTP switching' is 1, 'enable EPT' must be 1.",
     [](auto& v) { return secondary.enable_vm_functions(ask::secondary(v)) && (v[F::vm_function_controls] & 1); },
     [](auto& v) { return secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_vm_functions); v.at(F::vm_function_controls) = 1;
                   v.set(F::secondary, secondary.enable_ept, 0); v.set(F::secondary, secondary.unrestricted_guest, 0); v.set(F::secondary, secondary.enable_pml, 0); v.at(F::eptp_list_address) = 0; }},
    {"entry.eptp-list-address", sdm::execution_controls, Failure::invalid_controls,
     "If 'EPTP switching' is 1, bits 11:0 of the EPTP-list address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.enable_vm_functions(ask::secondary(v)) && (v[F::vm_function_controls] & 1); },
     [](auto& v) { return ask::page(v, v[F::eptp_list_address]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::secondary, secondary.enable_vm_functions);
                   v.at(F::vm_function_controls) = 1; v.at(F::eptp_list_address) |= 1; }},
    {"entry.ve-information-address", sdm::execution_controls, Failure::invalid_controls,
     "If 'EPT-violation #VE' is 1, bits 11:0 of the virtualization-exception information address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.ept_violation_ve(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::ve_information_address]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.ept_violation_ve); v.at(F::ve_information_address) |= 1; }},
    {"entry.vmread-bitmap", sdm::execution_controls, Failure::invalid_controls,
     "If 'VMCS shadowing' is 1, bits 11:0 of the VMREAD-bitmap address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.vmcs_shadowing(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::vmread_bitmap]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.vmcs_shadowing); v.at(F::vmread_bitmap) |= 1; }},
    {"entry.vmwrite-bitmap", sdm::execution_controls, Failure::invalid_controls,
     "If 'VMCS shadowing' is 1, bits 11:0 of the VMWRITE-bitmap address must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return secondary.vmcs_shadowing(ask::secondary(v)); },
     [](auto& v) { return ask::page(v, v[F::vmwrite_bitmap]); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.vmcs_shadowing); v.at(F::vmwrite_bitmap) |= 1; }},
    {"entry.tsc-multiplier-zero", sdm::execution_controls, Failure::invalid_controls,
     "If 'use TSC scaling' is 1, the TSC multiplier must not be 0.",
     [](auto& v) { return secondary.use_tsc_scaling(ask::secondary(v)); },
     [](auto& v) { return v[F::tsc_multiplier] != 0; },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.use_tsc_scaling); v.at(F::tsc_multiplier) = 0; }},

    {"entry.exit-controls-reserved", sdm::exit_controls, Failure::invalid_controls,
     "Reserved bits in the primary VM-exit controls must be set properly (IA32_VMX_TRUE_EXIT_CTLS).",
     ask::always,
     [](auto& v) { return ask::allowed(v[F::exit_controls], v.capabilities().exit_msr()); },
     [](auto& v) { v.at(F::exit_controls) &= ~u64{1}; }},
    {"entry.save-timer-needs-timer", sdm::exit_controls, Failure::invalid_controls,
     "If 'activate VMX-preemption timer' is 0, 'save VMX-preemption timer value' must also be 0.",
     [](auto& v) { return !pin.activate_preemption_timer(v[F::pin_based]); },
     [](auto& v) { return !exiting.save_preemption_timer(v[F::exit_controls]); },
     [](auto& v) { v.set(F::pin_based, pin.activate_preemption_timer, 0); v.set(F::exit_controls, exiting.save_preemption_timer); }},
    {"entry.exit-msr-store-area", sdm::exit_controls, Failure::invalid_controls,
     "If the VM-exit MSR-store count is not 0, the address must be 16-byte aligned, and neither it nor the area's last byte may lie beyond the physical-address width.",
     [](auto& v) { return v[F::exit_msr_store_count] != 0; },
     [](auto& v) { return ask::area(v, v[F::exit_msr_store_address], v[F::exit_msr_store_count]); },
     [](auto& v) { v.at(F::exit_msr_store_count) = 1; v.at(F::exit_msr_store_address) = 8; }},
    {"entry.exit-msr-load-area", sdm::exit_controls, Failure::invalid_controls,
     "If the VM-exit MSR-load count is not 0, the address must be 16-byte aligned, and neither it nor the area's last byte may lie beyond the physical-address width.",
     [](auto& v) { return v[F::exit_msr_load_count] != 0; },
     [](auto& v) { return ask::area(v, v[F::exit_msr_load_address], v[F::exit_msr_load_count]); },
     [](auto& v) { v.at(F::exit_msr_load_count) = 1; v.at(F::exit_msr_load_address) = 8; }},

    {"entry.entry-controls-reserved", sdm::entry_controls, Failure::invalid_controls,
     "Reserved bits in the VM-entry controls must be set properly (IA32_VMX_TRUE_ENTRY_CTLS).",
     ask::always,
     [](auto& v) { return ask::allowed(v[F::entry_controls], v.capabilities().entry_msr()); },
     [](auto& v) { v.at(F::entry_controls) &= ~u64{1}; }},
    {"entry.injection-type", sdm::entry_controls, Failure::invalid_controls,
     "If the valid bit of the VM-entry interruption-information field is 1, the interruption type must not be 1, and 7 (other event) only if 'monitor trap flag' is supported.",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]); },
     [](auto& v) { const u64 type = interruption.type(v[F::entry_interruption_information]);
                   return type != interruption_type::reserved &&
                          (type != interruption_type::other_event || primary.monitor_trap_flag(v.capabilities().primary)); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | 1 << 8; }},
    {"entry.injection-vector", sdm::entry_controls, Failure::invalid_controls,
     "The vector must be 2 if the interruption type is NMI, at most 31 if it is hardware exception, and 0 (pending MTF) if it is other event.",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]); },
     [](auto& v) { const u64 info = v[F::entry_interruption_information], vector = interruption.vector(info);
                   switch (interruption.type(info)) {
                   case interruption_type::nmi: return vector == 2;
                   case interruption_type::hardware_exception: return vector <= 31;
                   case interruption_type::other_event: return vector == 0;
                   default: return true;
                   } },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::nmi << 8 | 3; }},
    {"entry.injection-error-code", sdm::entry_controls, Failure::invalid_controls,
     "The deliver-error-code bit must be 1 if the event is a hardware exception that delivers an error code and the guest is in protected mode, else 0.",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]); },
     [](auto& v) { return (interruption.deliver_error_code(v[F::entry_interruption_information]) != 0) == ask::wants_error_code(v); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::hardware_exception << 8 | 6 | bit(11); }},
    {"entry.injection-reserved", sdm::entry_controls, Failure::invalid_controls,
     "Reserved bits 30:12 of the VM-entry interruption-information field must be 0.",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]); },
     [](auto& v) { return !(v[F::entry_interruption_information] & (interruption.reserved.mask() | interruption.nmi_unblocking.mask())); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::hardware_exception << 8 | 6 | bit(12); }},
    {"entry.injected-error-code-reserved", sdm::entry_controls, Failure::invalid_controls,
     "If the deliver-error-code bit is 1, bits 31:16 of the VM-entry exception error code must be 0.",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]) && interruption.deliver_error_code(v[F::entry_interruption_information]); },
     [](auto& v) { return !(v[F::entry_exception_error_code] >> 16); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::hardware_exception << 8 | 13 | bit(11);
                   v.at(F::guest_cr0) |= 1; v.at(F::entry_exception_error_code) = bit(16); }},
    {"entry.injection-length", sdm::entry_controls, Failure::invalid_controls,
     "If the event is a software interrupt or exception, the VM-entry instruction length must be 0 to 15 (1 to 15 if IA32_VMX_MISC[30] is 0).",
     [](auto& v) { return ask::valid(v[F::entry_interruption_information]) && ask::software_type(interruption.type(v[F::entry_interruption_information])); },
     [](auto& v) { return v[F::entry_instruction_length] <= 15 && (v[F::entry_instruction_length] != 0 || misc.zero_length_injection(v.capabilities().misc)); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::software_interrupt << 8 | 0x80; v.at(F::entry_instruction_length) = 16; }},
    {"entry.entry-msr-load-area", sdm::entry_controls, Failure::invalid_controls,
     "If the VM-entry MSR-load count is not 0, the address must be 16-byte aligned, and neither it nor the area's last byte may lie beyond the physical-address width.",
     [](auto& v) { return v[F::entry_msr_load_count] != 0; },
     [](auto& v) { return ask::area(v, v[F::entry_msr_load_address], v[F::entry_msr_load_count]); },
     [](auto& v) { v.at(F::entry_msr_load_count) = 1; v.at(F::entry_msr_load_address) = 8; }},
};
// clang-format on

} // namespace vitrine::vtx
