// SPDX-License-Identifier: Apache-2.0
// The control words of a VMCS, bit by bit, with the manual's names (SDM volume 3, VM-Execution, VM-Exit and VM-Entry Control Fields).
#pragma once

#include "words/bits.h"

namespace vitrine::vtx {

struct PinBased {
    Field external_interrupt_exiting{0, rw, "external-interrupt exiting", "external interrupts cause VM exits"};
    Field nmi_exiting{3, rw, "NMI exiting", "NMIs cause VM exits"};
    Field virtual_nmis{5, rw, "virtual NMIs", "NMIs are never blocked; virtual-NMI blocking is tracked"};
    Field activate_preemption_timer{6, rw, "activate VMX-preemption timer", "the timer counts down in VMX non-root operation"};
    Field process_posted_interrupts{7, rw, "process posted interrupts", "the notification vector is treated specially"};
} inline constexpr pin;

struct Primary {
    Field interrupt_window_exiting{2, rw, "interrupt-window exiting", "a VM exit at the first boundary where interrupts are open"};
    Field use_tsc_offsetting{3, rw, "use TSC offsetting", "the TSC is modified by the TSC offset"};
    Field hlt_exiting{7, rw, "HLT exiting", "HLT causes VM exits"};
    Field invlpg_exiting{9, rw, "INVLPG exiting", "INVLPG causes VM exits"};
    Field mwait_exiting{10, rw, "MWAIT exiting", "MWAIT causes VM exits"};
    Field rdpmc_exiting{11, rw, "RDPMC exiting", "RDPMC causes VM exits"};
    Field rdtsc_exiting{12, rw, "RDTSC exiting", "RDTSC and RDTSCP cause VM exits"};
    Field cr3_load_exiting{15, rw, "CR3-load exiting", "MOV to CR3 causes VM exits but for the CR3-target values"};
    Field cr3_store_exiting{16, rw, "CR3-store exiting", "MOV from CR3 causes VM exits"};
    Field activate_tertiary_controls{17, rw, "activate tertiary controls", "the tertiary controls are used"};
    Field cr8_load_exiting{19, rw, "CR8-load exiting", "MOV to CR8 causes VM exits"};
    Field cr8_store_exiting{20, rw, "CR8-store exiting", "MOV from CR8 causes VM exits"};
    Field use_tpr_shadow{21, rw, "use TPR shadow", "the TPR is virtualised by the virtual-APIC page"};
    Field nmi_window_exiting{22, rw, "NMI-window exiting", "a VM exit at the first boundary without virtual-NMI blocking"};
    Field mov_dr_exiting{23, rw, "MOV-DR exiting", "MOV DR causes VM exits"};
    Field unconditional_io_exiting{24, rw, "unconditional I/O exiting", "I/O instructions cause VM exits"};
    Field use_io_bitmaps{25, rw, "use I/O bitmaps", "bitmaps say which ports cause VM exits"};
    Field monitor_trap_flag{27, rw, "monitor trap flag", "a VM exit after each instruction"};
    Field use_msr_bitmaps{28, rw, "use MSR bitmaps", "bitmaps say which MSRs cause VM exits"};
    Field monitor_exiting{29, rw, "MONITOR exiting", "MONITOR causes VM exits"};
    Field pause_exiting{30, rw, "PAUSE exiting", "PAUSE causes VM exits"};
    Field activate_secondary_controls{31, rw, "activate secondary controls", "the secondary controls are used"};
} inline constexpr primary;

struct Secondary {
    Field virtualize_apic_accesses{0, rw, "virtualize APIC accesses", "accesses to the APIC-access page are treated specially"};
    Field enable_ept{1, rw, "enable EPT", "guest-physical addresses are translated"};
    Field descriptor_table_exiting{2, rw, "descriptor-table exiting", "LGDT to STR cause VM exits"};
    Field enable_rdtscp{3, rw, "enable RDTSCP", "RDTSCP and RDPID do not cause #UD"};
    Field virtualize_x2apic_mode{4, rw, "virtualize x2APIC mode", "RDMSR and WRMSR of x2APIC registers are treated specially"};
    Field enable_vpid{5, rw, "enable VPID", "translations are tagged with a VPID"};
    Field wbinvd_exiting{6, rw, "WBINVD exiting", "WBINVD causes VM exits"};
    Field unrestricted_guest{7, rw, "unrestricted guest", "a guest may run without paging, or in real mode"};
    Field apic_register_virtualization{8, rw, "APIC-register virtualization", "most reads of APIC registers are virtualised"};
    Field virtual_interrupt_delivery{9, rw, "virtual-interrupt delivery", "pending virtual interrupts are evaluated and delivered"};
    Field pause_loop_exiting{10, rw, "PAUSE-loop exiting", "a series of PAUSE at CPL 0 can cause a VM exit"};
    Field rdrand_exiting{11, rw, "RDRAND exiting", "RDRAND causes VM exits"};
    Field enable_invpcid{12, rw, "enable INVPCID", "INVPCID does not cause #UD"};
    Field enable_vm_functions{13, rw, "enable VM functions", "VMFUNC may be used"};
    Field vmcs_shadowing{14, rw, "VMCS shadowing", "VMREAD and VMWRITE may access a shadow VMCS"};
    Field enable_encls_exiting{15, rw, "enable ENCLS exiting", "ENCLS consults its bitmap"};
    Field rdseed_exiting{16, rw, "RDSEED exiting", "RDSEED causes VM exits"};
    Field enable_pml{17, rw, "enable PML", "guest-physical pages that become dirty are logged"};
    Field ept_violation_ve{18, rw, "EPT-violation #VE", "EPT violations may cause #VE instead of VM exits"};
    Field enable_xsaves{20, rw, "enable XSAVES/XRSTORS", "XSAVES and XRSTORS do not cause #UD"};
    Field mode_based_execute_control{22, rw, "mode-based execute control for EPT", "execute permission by the linear address's privilege"};
    Field sub_page_write_permission{23, rw, "sub-page write permissions for EPT", "write permission by 128 bytes"};
    Field use_tsc_scaling{25, rw, "use TSC scaling", "the TSC is modified by the TSC multiplier"};
    Field enable_user_wait_and_pause{26, rw, "enable user wait and pause", "TPAUSE, UMONITOR and UMWAIT do not cause #UD"};
    Field bus_lock_detection{30, rw, "bus-lock detection", "an instruction that asserts a bus lock is followed by a VM exit"};
    Field instruction_timeout{31, rw, "instruction timeout", "a VM exit when no instruction boundary is reached for too long"};
} inline constexpr secondary;

/// 64 bits wide, and without bits that must be 1.
struct Tertiary {
    Field ipi_virtualization{4, rw, "IPI virtualization", "IPIs to other virtual processors are posted without a VM exit"};
} inline constexpr tertiary;

struct ExitControls {
    Field save_debug_controls{2, rw, "save debug controls", "DR7 and IA32_DEBUGCTL are saved"};
    Field host_address_space_size{9, rw, "host address-space size", "the host is in 64-bit mode after the exit"};
    Field load_perf_global_ctrl{12, rw, "load IA32_PERF_GLOBAL_CTRL", "the MSR is loaded"};
    Field acknowledge_interrupt_on_exit{15, rw, "acknowledge interrupt on exit", "the vector of an external interrupt is acquired"};
    Field save_pat{18, rw, "save IA32_PAT", "the MSR is saved"};
    Field load_pat{19, rw, "load IA32_PAT", "the MSR is loaded"};
    Field save_efer{20, rw, "save IA32_EFER", "the MSR is saved"};
    Field load_efer{21, rw, "load IA32_EFER", "the MSR is loaded"};
    Field save_preemption_timer{22, rw, "save VMX-preemption timer value", "the timer's value is saved"};
} inline constexpr exiting;

struct EntryControls {
    Field load_debug_controls{2, rw, "load debug controls", "DR7 and IA32_DEBUGCTL are loaded"};
    Field ia32e_mode_guest{9, rw, "IA-32e mode guest", "the guest is in IA-32e mode after the entry"};
    Field entry_to_smm{10, rw, "entry to SMM", "the guest is in system-management mode after the entry"};
    Field deactivate_dual_monitor{11, rw, "deactivate dual-monitor treatment", "the default treatment of SMIs is in effect"};
    Field load_perf_global_ctrl{13, rw, "load IA32_PERF_GLOBAL_CTRL", "the MSR is loaded"};
    Field load_pat{14, rw, "load IA32_PAT", "the MSR is loaded"};
    Field load_efer{15, rw, "load IA32_EFER", "the MSR is loaded"};
} inline constexpr entering;

/// Interruption-information fields: of VM entries, VM exits and IDT vectoring.
struct InterruptionInformation {
    Field vector{7, 0, rw, "vector", "of the interrupt or exception"};
    Field type{10, 8, rw, "type", "interruption type"};
    Field deliver_error_code{11, rw, "error code", "there is an error code"};
    Field nmi_unblocking{12, rw, "NMI unblocking due to IRET", "IRET unblocked NMIs before it faulted"};
    Field reserved{30, 13, rw, "reserved", "must be zero at VM entry"};
    Field valid{31, rw, "valid", "there is an event"};
} inline constexpr interruption;

namespace interruption_type {
inline constexpr u64 external_interrupt = 0, reserved = 1, nmi = 2, hardware_exception = 3, software_interrupt = 4,
                     privileged_software_exception = 5, software_exception = 6, other_event = 7;
}

struct Interruptibility {
    Field blocking_by_sti{0, rw, "blocking by STI", "until the next instruction"};
    Field blocking_by_mov_ss{1, rw, "blocking by MOV SS", "until the next instruction"};
    Field blocking_by_smi{2, rw, "blocking by SMI", "in system-management mode"};
    Field blocking_by_nmi{3, rw, "blocking by NMI", "or virtual-NMI blocking"};
    Field enclave_interruption{4, rw, "enclave interruption", "the exit came from enclave mode"};
} inline constexpr interruptibility;

struct PendingDebug {
    Field b{3, 0, rw, "B3 - B0", "conditions met"};
    Field enabled_breakpoint{12, rw, "enabled breakpoint", "at least one condition was enabled in DR7"};
    Field bs{14, rw, "BS", "single step"};
    Field rtm{16, rw, "RTM", "within a transactional region"};
} inline constexpr pending_debug_exceptions;

/// EPTP.
struct EptPointer {
    Field memory_type{2, 0, rw, "memory type", "of the EPT paging structures: 0 = UC, 6 = WB"};
    Field walk_length{5, 3, rw, "page-walk length - 1", "3 or 4"};
    Field accessed_dirty{6, rw, "accessed and dirty flags", "are enabled"};
    Field shadow_stack{7, rw, "supervisor shadow stack", "access rights are enforced"};
    Field reserved{11, 8, rw, "reserved", "must be zero"};
} inline constexpr ept_pointer;

} // namespace vitrine::vtx
