// SPDX-License-Identifier: Apache-2.0
// Checks on the host-state area at VM entry, in the manual's order; a broken one is VMfailValid 8 (SDM volume 3, Checks on the Host-State Area).
// Text and order are from memory of the manual; kvm-unit-tests exercise most of these rows.
#pragma once

#include "vtx/spec/rule.h"

namespace vitrine::vtx {

namespace ask {

constexpr u64 cr4_pae = bit(5), cr4_pcide = bit(17), efer_lme = bit(8), efer_lma = bit(10);

/// Bits that VMX operation fixes.
constexpr bool fixed(u64 value, u64 fixed0, u64 fixed1) { return (value & fixed0) == fixed0 && !(value & ~fixed1); }

/// TI and RPL of a host selector.
constexpr bool flat(u64 selector) { return (selector & 7) == 0; }

} // namespace ask

// clang-format off
inline constexpr Rule host_rules[] = {
    {"entry.host-cr0", sdm::host_control_registers, Failure::invalid_host_state,
     "The CR0 field must not set any bit to a value not supported in VMX operation.",
     ask::always,
     [](auto& v) { return ask::fixed(v[F::host_cr0], cr0_fixed0, cr0_fixed1); },
     [](auto& v) { v.at(F::host_cr0) &= ~bit(5); }},
    {"entry.host-cr4", sdm::host_control_registers, Failure::invalid_host_state,
     "The CR4 field must not set any bit to a value not supported in VMX operation.",
     ask::always,
     [](auto& v) { return ask::fixed(v[F::host_cr4], cr4_fixed0, v[Fact::cr4_allowed]); },
     [](auto& v) { v.at(F::host_cr4) &= ~bit(13); }},
    {"entry.host-cr3", sdm::host_control_registers, Failure::invalid_host_state,
     "Bits 63:52 and bits 51:N of the CR3 field must be 0 (N is the physical-address width).",
     ask::always,
     [](auto& v) { return ask::physical(v, v[F::host_cr3]); },
     [](auto& v) { v.at(F::host_cr3) |= bit(63); }},
    {"entry.host-sysenter-esp", sdm::host_control_registers, Failure::invalid_host_state,
     "The IA32_SYSENTER_ESP field must contain a canonical address.",
     ask::always,
     [](auto& v) { return ask::canonical(v, v[F::host_sysenter_esp]); },
     [](auto& v) { v.at(F::host_sysenter_esp) = bit(62); }},
    {"entry.host-sysenter-eip", sdm::host_control_registers, Failure::invalid_host_state,
     "The IA32_SYSENTER_EIP field must contain a canonical address.",
     ask::always,
     [](auto& v) { return ask::canonical(v, v[F::host_sysenter_eip]); },
     [](auto& v) { v.at(F::host_sysenter_eip) = bit(62); }},
    {"entry.host-pat", sdm::host_control_registers, Failure::invalid_host_state,
     "If 'load IA32_PAT' (VM exit) is 1, each byte of the IA32_PAT field must be 0, 1, 4, 5, 6 or 7.",
     [](auto& v) { return exiting.load_pat(v[F::exit_controls]); },
     [](auto& v) { return ask::pat(v[F::host_pat]); },
     [](auto& v) { v.set(F::exit_controls, exiting.load_pat); v.at(F::host_pat) = 2; }},
    {"entry.host-efer-reserved", sdm::host_control_registers, Failure::invalid_host_state,
     "If 'load IA32_EFER' (VM exit) is 1, bits reserved in the IA32_EFER MSR must be 0 in the field.",
     [](auto& v) { return exiting.load_efer(v[F::exit_controls]); },
     [](auto& v) { return !(v[F::host_efer] & ~v[Fact::efer_allowed]); },
     [](auto& v) { v.set(F::exit_controls, exiting.load_efer); v.at(F::host_efer) |= bit(63); }},
    {"entry.host-efer-lma", sdm::host_control_registers, Failure::invalid_host_state,
     "If 'load IA32_EFER' (VM exit) is 1, LMA and LME in the IA32_EFER field must each be that of 'host address-space size'.",
     [](auto& v) { return exiting.load_efer(v[F::exit_controls]); },
     [](auto& v) { const bool wide = exiting.host_address_space_size(v[F::exit_controls]) != 0;
                   return ((v[F::host_efer] & ask::efer_lma) != 0) == wide && ((v[F::host_efer] & ask::efer_lme) != 0) == wide; },
     [](auto& v) { v.set(F::exit_controls, exiting.load_efer); v.at(F::host_efer) ^= ask::efer_lma; }},

    {"entry.host-selectors-flat", sdm::host_segments, Failure::invalid_host_state,
     "In the selector fields for CS, SS, DS, ES, FS, GS and TR, the RPL (bits 1:0) and the TI flag (bit 2) must be 0.",
     ask::always,
     [](auto& v) { return ask::flat(v[F::host_cs_selector] | v[F::host_ss_selector] | v[F::host_ds_selector] | v[F::host_es_selector] |
                                    v[F::host_fs_selector] | v[F::host_gs_selector] | v[F::host_tr_selector]); },
     [](auto& v) { v.at(F::host_ds_selector) |= 4; }},
    {"entry.host-cs-null", sdm::host_segments, Failure::invalid_host_state,
     "The selector field for CS cannot be 0000H.",
     ask::always,
     [](auto& v) { return v[F::host_cs_selector] != 0; },
     [](auto& v) { v.at(F::host_cs_selector) = 0; }},
    {"entry.host-tr-null", sdm::host_segments, Failure::invalid_host_state,
     "The selector field for TR cannot be 0000H.",
     ask::always,
     [](auto& v) { return v[F::host_tr_selector] != 0; },
     [](auto& v) { v.at(F::host_tr_selector) = 0; }},
    {"entry.host-ss-null", sdm::host_segments, Failure::invalid_host_state,
     "The selector field for SS cannot be 0000H if 'host address-space size' is 0.",
     [](auto& v) { return !exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return v[F::host_ss_selector] != 0; },
     [](auto& v) { v.at(Fact::long_mode) = 0; v.set(F::exit_controls, exiting.host_address_space_size, 0); v.set(F::entry_controls, entering.ia32e_mode_guest, 0);
                   v.at(F::host_efer) = 0; v.at(F::host_rip) &= low_mask(32); v.at(F::host_ss_selector) = 0; }},
    {"entry.host-fs-base", sdm::host_segments, Failure::invalid_host_state,
     "The base-address field for FS must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::host_fs_base]); }, [](auto& v) { v.at(F::host_fs_base) = bit(62); }},
    {"entry.host-gs-base", sdm::host_segments, Failure::invalid_host_state,
     "The base-address field for GS must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::host_gs_base]); }, [](auto& v) { v.at(F::host_gs_base) = bit(62); }},
    {"entry.host-gdtr-base", sdm::host_segments, Failure::invalid_host_state,
     "The base-address field for GDTR must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::host_gdtr_base]); }, [](auto& v) { v.at(F::host_gdtr_base) = bit(62); }},
    {"entry.host-idtr-base", sdm::host_segments, Failure::invalid_host_state,
     "The base-address field for IDTR must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::host_idtr_base]); }, [](auto& v) { v.at(F::host_idtr_base) = bit(62); }},
    {"entry.host-tr-base", sdm::host_segments, Failure::invalid_host_state,
     "The base-address field for TR must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::host_tr_base]); }, [](auto& v) { v.at(F::host_tr_base) = bit(62); }},

    {"entry.host-32-guest", sdm::address_space_size, Failure::invalid_host_state,
     "If the logical processor is outside IA-32e mode (IA32_EFER.LMA is 0) at the time of VM entry, 'IA-32e mode guest' and 'host address-space size' must be 0.",
     [](auto& v) { return !v[Fact::long_mode]; },
     [](auto& v) { return !entering.ia32e_mode_guest(v[F::entry_controls]) && !exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { v.at(Fact::long_mode) = 0; }},
    {"entry.host-64", sdm::address_space_size, Failure::invalid_host_state,
     "If the logical processor is in IA-32e mode (IA32_EFER.LMA is 1) at the time of VM entry, 'host address-space size' must be 1.",
     [](auto& v) { return v[Fact::long_mode] != 0; },
     [](auto& v) { return exiting.host_address_space_size(v[F::exit_controls]) != 0; },
     [](auto& v) { v.set(F::exit_controls, exiting.host_address_space_size, 0); v.set(F::entry_controls, entering.ia32e_mode_guest, 0);
                   v.at(F::host_efer) &= ~(ask::efer_lma | ask::efer_lme); v.at(F::host_rip) &= low_mask(32); v.at(F::host_ss_selector) = 8; }},
    {"entry.host-32-entry", sdm::address_space_size, Failure::invalid_host_state,
     "If 'host address-space size' is 0, 'IA-32e mode guest' must be 0.",
     [](auto& v) { return !exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return !entering.ia32e_mode_guest(v[F::entry_controls]); },
     [](auto& v) { v.at(Fact::long_mode) = 0; v.set(F::exit_controls, exiting.host_address_space_size, 0); v.set(F::entry_controls, entering.ia32e_mode_guest); v.at(F::host_efer) = 0;
                   v.at(F::host_ss_selector) = 8; }},
    {"entry.host-32-pcide", sdm::address_space_size, Failure::invalid_host_state,
     "If 'host address-space size' is 0, bit 17 of the CR4 field (CR4.PCIDE) must be 0.",
     [](auto& v) { return !exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return !(v[F::host_cr4] & ask::cr4_pcide); },
     [](auto& v) { v.at(Fact::long_mode) = 0; v.set(F::exit_controls, exiting.host_address_space_size, 0); v.set(F::entry_controls, entering.ia32e_mode_guest, 0);
                   v.at(F::host_efer) = 0; v.at(F::host_cr4) |= ask::cr4_pcide; v.at(F::host_ss_selector) = 8; }},
    {"entry.host-32-rip", sdm::address_space_size, Failure::invalid_host_state,
     "If 'host address-space size' is 0, bits 63:32 of the RIP field must be 0.",
     [](auto& v) { return !exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return !(v[F::host_rip] >> 32); },
     [](auto& v) { v.at(Fact::long_mode) = 0; v.set(F::exit_controls, exiting.host_address_space_size, 0); v.set(F::entry_controls, entering.ia32e_mode_guest, 0);
                   v.at(F::host_efer) = 0; v.at(F::host_rip) |= bit(32); v.at(F::host_ss_selector) = 8; }},
    {"entry.host-64-pae", sdm::address_space_size, Failure::invalid_host_state,
     "If 'host address-space size' is 1, bit 5 of the CR4 field (CR4.PAE) must be 1.",
     [](auto& v) { return exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return (v[F::host_cr4] & ask::cr4_pae) != 0; },
     [](auto& v) { v.at(F::host_cr4) &= ~ask::cr4_pae; }},
    {"entry.host-64-rip", sdm::address_space_size, Failure::invalid_host_state,
     "If 'host address-space size' is 1, the RIP field must contain a canonical address.",
     [](auto& v) { return exiting.host_address_space_size(v[F::exit_controls]); },
     [](auto& v) { return ask::canonical(v, v[F::host_rip]); },
     [](auto& v) { v.at(F::host_rip) = bit(62); }},
};
// clang-format on

} // namespace vitrine::vtx
