// SPDX-License-Identifier: Apache-2.0
// Checks on the guest-state area at VM entry, in the manual's order; a broken one is a VM-entry failure, exit reason 33.
// SDM volume 3, Checks on the Guest State Area. Text and order are from memory of the manual; kvm-unit-tests exercise many rows.
#pragma once

#include "vtx/spec/entry_rules_controls.h"
#include "vtx/spec/entry_rules_host.h"
#include "vtx/spec/exits.h"

namespace vitrine::vtx {

namespace ask {

constexpr u64 cr0_pe = bit(0), cr0_pg = bit(31), flag_tf = bit(8), flag_if = bit(9), flag_vm = bit(17), debugctl_btf = bit(1);

/// Access rights of a segment in the VMCS's layout.
struct SegmentRights {
    Field type{3, 0, rw, "type", ""};
    Field s{4, rw, "S", ""};
    Field dpl{6, 5, rw, "DPL", ""};
    Field p{7, rw, "P", ""};
    Field reserved{11, 8, rw, "reserved", ""};
    Field l{13, rw, "L", ""};
    Field db{14, rw, "D/B", ""};
    Field g{15, rw, "G", ""};
    Field unusable{16, rw, "unusable", ""};
} inline constexpr ar;

inline constexpr unsigned es = 0, cs = 1, ss = 2, ds = 3, fs = 4, gs = 5, ldtr = 6, tr = 7;
inline constexpr unsigned data_segments[] = {es, ds, fs, gs};

template <class V> bool ia32e(V& v) { return entering.ia32e_mode_guest(v[F::entry_controls]) != 0; }

template <class V> bool unrestricted(V& v) { return vtx::secondary.unrestricted_guest(secondary(v)) != 0; }

template <class V> bool virtual_8086(V& v) { return (v[F::guest_rflags] & flag_vm) != 0; }

template <class V> u64 rights(V& v, unsigned n) { return v[guest_access_rights(n)]; }

template <class V> bool usable(V& v, unsigned n) { return !ar.unusable(rights(v, n)); }

/// CS is checked whatever its unusable bit says; the others only when they are usable.
template <class V, class Holds> bool each_code_or_data(V& v, Holds holds) {
    for (unsigned n = es; n <= gs; ++n)
        if ((n == cs || usable(v, n)) && !holds(n))
            return false;
    return true;
}

/// G and the limit must agree.
constexpr bool granularity(u64 access_rights, u64 limit) {
    const bool g = ar.g(access_rights) != 0;
    return !((limit & 0xfff) != 0xfff && g) && !((limit & 0xfff0'0000) != 0 && !g);
}

constexpr bool rights_reserved_clear(u64 access_rights) { return !(access_rights & (ar.reserved.mask() | 0xfffe'0000)); }

/// For violations: segments as virtual-8086 mode wants them.
template <class V> void make_virtual_8086(V& v) {
    v.at(F::guest_rflags) |= flag_vm;
    for (unsigned n = es; n <= gs; ++n) {
        v.at(guest_selector(n)) = 0;
        v.at(guest_base(n)) = 0;
        v.at(guest_limit(n)) = 0xffff;
        v.at(guest_access_rights(n)) = 0xf3;
    }
}

/// The event to be injected, if any.
template <class V> bool injects(V& v, u64 type) {
    const u64 info = v[F::entry_interruption_information];
    return valid(info) && interruption.type(info) == type;
}

/// Guest PDPTEs are registers in PAE paging.
template <class V> bool pae(V& v) {
    return (v[F::guest_cr0] & cr0_pg) && (v[F::guest_cr4] & cr4_pae) && !ia32e(v);
}

template <class V> bool pdpte(V& v, u64 value) {
    constexpr u64 reserved = 0x1e6; // bits 2:1 and 8:5
    return !(value & 1) || (!(value & reserved) && physical(v, value));
}

template <class V> bool single_step(V& v) {
    return (v[F::guest_rflags] & flag_tf) && !(v[F::guest_debugctl] & debugctl_btf);
}

/// States in which pending debug exceptions are held back.
template <class V> bool holds_debug_back(V& v) {
    return (v[F::guest_interruptibility_state] & 3) || v[F::guest_activity_state] == 1;
}

} // namespace ask

// clang-format off
inline constexpr Rule guest_rules[] = {
    // --- control registers, debug registers, MSRs
    {"entry.guest-cr0", sdm::guest_control_registers, Failure::guest_state,
     "The CR0 field must not set any bit to a value not supported in VMX operation; PE and PG are not checked if 'unrestricted guest' is 1.",
     ask::always,
     [](auto& v) { const u64 free = ask::unrestricted(v) ? ask::cr0_pe | ask::cr0_pg : 0; return ask::fixed(v[F::guest_cr0], cr0_fixed0 & ~free, cr0_fixed1); },
     [](auto& v) { v.at(F::guest_cr0) &= ~bit(5); }},
    {"entry.guest-cr0-pg", sdm::guest_control_registers, Failure::guest_state,
     "If bit 31 in the CR0 field (PG) is 1, bit 0 (PE) must also be 1.",
     ask::always,
     [](auto& v) { return !(v[F::guest_cr0] & ask::cr0_pg) || (v[F::guest_cr0] & ask::cr0_pe); },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::secondary, secondary.unrestricted_guest);
                   v.at(F::guest_cr0) = (v[F::guest_cr0] | ask::cr0_pg) & ~ask::cr0_pe; }},
    {"entry.guest-cr4", sdm::guest_control_registers, Failure::guest_state,
     "The CR4 field must not set any bit to a value not supported in VMX operation.",
     ask::always,
     [](auto& v) { return ask::fixed(v[F::guest_cr4], cr4_fixed0, v[Fact::cr4_allowed]); },
     [](auto& v) { v.at(F::guest_cr4) &= ~bit(13); }},
    {"entry.guest-debugctl", sdm::guest_control_registers, Failure::guest_state,
     "If 'load debug controls' is 1, bits reserved in the IA32_DEBUGCTL MSR must be 0 in the field.",
     [](auto& v) { return entering.load_debug_controls(v[F::entry_controls]); },
     [](auto& v) { return !(v[F::guest_debugctl] & ~v[Fact::debugctl_allowed]); },
     [](auto& v) { v.set(F::entry_controls, entering.load_debug_controls); v.at(F::guest_debugctl) |= bit(63); }},
    {"entry.guest-ia32e-paging", sdm::guest_control_registers, Failure::guest_state,
     "If 'IA-32e mode guest' is 1, bit 31 in the CR0 field (PG) and bit 5 in the CR4 field (PAE) must each be 1.",
     [](auto& v) { return ask::ia32e(v); },
     [](auto& v) { return (v[F::guest_cr0] & ask::cr0_pg) && (v[F::guest_cr4] & ask::cr4_pae); },
     [](auto& v) { v.set(F::entry_controls, entering.ia32e_mode_guest); v.at(F::guest_cr4) &= ~ask::cr4_pae; }},
    {"entry.guest-pcide", sdm::guest_control_registers, Failure::guest_state,
     "If 'IA-32e mode guest' is 0, bit 17 in the CR4 field (PCIDE) must be 0.",
     [](auto& v) { return !ask::ia32e(v); },
     [](auto& v) { return !(v[F::guest_cr4] & ask::cr4_pcide); },
     [](auto& v) { v.set(F::entry_controls, entering.ia32e_mode_guest, 0); v.at(F::guest_cr4) |= ask::cr4_pcide; }},
    {"entry.guest-cr3", sdm::guest_control_registers, Failure::guest_state,
     "Bits 63:52 and bits 51:N of the CR3 field must be 0 (N is the physical-address width).",
     ask::always,
     [](auto& v) { return ask::physical(v, v[F::guest_cr3]); },
     [](auto& v) { v.at(F::guest_cr3) |= bit(63); }},
    {"entry.guest-dr7", sdm::guest_control_registers, Failure::guest_state,
     "If 'load debug controls' is 1, bits 63:32 in the DR7 field must be 0.",
     [](auto& v) { return entering.load_debug_controls(v[F::entry_controls]); },
     [](auto& v) { return !(v[F::guest_dr7] >> 32); },
     [](auto& v) { v.set(F::entry_controls, entering.load_debug_controls); v.at(F::guest_dr7) |= bit(32); }},
    {"entry.guest-sysenter-esp", sdm::guest_control_registers, Failure::guest_state,
     "The IA32_SYSENTER_ESP field must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::guest_sysenter_esp]); }, [](auto& v) { v.at(F::guest_sysenter_esp) = bit(62); }},
    {"entry.guest-sysenter-eip", sdm::guest_control_registers, Failure::guest_state,
     "The IA32_SYSENTER_EIP field must contain a canonical address.",
     ask::always, [](auto& v) { return ask::canonical(v, v[F::guest_sysenter_eip]); }, [](auto& v) { v.at(F::guest_sysenter_eip) = bit(62); }},
    {"entry.guest-pat", sdm::guest_control_registers, Failure::guest_state,
     "If 'load IA32_PAT' (VM entry) is 1, each byte of the IA32_PAT field must be 0, 1, 4, 5, 6 or 7.",
     [](auto& v) { return entering.load_pat(v[F::entry_controls]); },
     [](auto& v) { return ask::pat(v[F::guest_pat]); },
     [](auto& v) { v.set(F::entry_controls, entering.load_pat); v.at(F::guest_pat) = 2; }},
    {"entry.guest-efer-reserved", sdm::guest_control_registers, Failure::guest_state,
     "If 'load IA32_EFER' (VM entry) is 1, bits reserved in the IA32_EFER MSR must be 0 in the field.",
     [](auto& v) { return entering.load_efer(v[F::entry_controls]); },
     [](auto& v) { return !(v[F::guest_efer] & ~v[Fact::efer_allowed]); },
     [](auto& v) { v.set(F::entry_controls, entering.load_efer); v.at(F::guest_efer) |= bit(63); }},
    {"entry.guest-efer-lma", sdm::guest_control_registers, Failure::guest_state,
     "If 'load IA32_EFER' (VM entry) is 1, bit 10 (LMA) of the field must equal 'IA-32e mode guest', and bit 8 (LME) too if CR0.PG is 1.",
     [](auto& v) { return entering.load_efer(v[F::entry_controls]); },
     [](auto& v) { const bool lma = (v[F::guest_efer] & ask::efer_lma) != 0, lme = (v[F::guest_efer] & ask::efer_lme) != 0;
                   return lma == ask::ia32e(v) && (!(v[F::guest_cr0] & ask::cr0_pg) || lma == lme); },
     [](auto& v) { v.set(F::entry_controls, entering.load_efer); v.at(F::guest_efer) ^= ask::efer_lma; }},

    // --- segment registers
    {"entry.guest-tr-ti", sdm::guest_segments, Failure::guest_state,
     "Selector of TR: the TI flag (bit 2) must be 0.",
     ask::always, [](auto& v) { return !(v[F::guest_tr_selector] & 4); }, [](auto& v) { v.at(F::guest_tr_selector) |= 4; }},
    {"entry.guest-ldtr-ti", sdm::guest_segments, Failure::guest_state,
     "Selector of LDTR: if LDTR is usable, the TI flag (bit 2) must be 0.",
     [](auto& v) { return ask::usable(v, ask::ldtr); },
     [](auto& v) { return !(v[F::guest_ldtr_selector] & 4); },
     [](auto& v) { v.at(F::guest_ldtr_access_rights) = 0x82; v.at(F::guest_ldtr_selector) |= 4; }},
    {"entry.guest-ss-rpl", sdm::guest_segments, Failure::guest_state,
     "Selector of SS: if the guest will not be virtual-8086 and 'unrestricted guest' is 0, the RPL (bits 1:0) must equal the RPL of the selector for CS.",
     [](auto& v) { return !ask::virtual_8086(v) && !ask::unrestricted(v); },
     [](auto& v) { return (v[F::guest_ss_selector] & 3) == (v[F::guest_cs_selector] & 3); },
     [](auto& v) { v.set(F::secondary, secondary.unrestricted_guest, 0); v.at(F::guest_ss_selector) ^= 1; }},
    {"entry.guest-v86-bases", sdm::guest_segments, Failure::guest_state,
     "If the guest will be virtual-8086, the base of CS, SS, DS, ES, FS and GS must be the selector shifted left 4 bits.",
     [](auto& v) { return ask::virtual_8086(v); },
     [](auto& v) { for (unsigned n = ask::es; n <= ask::gs; ++n) if (v[guest_base(n)] != v[guest_selector(n)] << 4) return false; return true; },
     [](auto& v) { ask::make_virtual_8086(v); v.at(F::guest_ds_base) = 0x12340; }},
    {"entry.guest-bases-canonical", sdm::guest_segments, Failure::guest_state,
     "The base of TR, FS and GS, and of LDTR if it is usable, must be canonical.",
     ask::always,
     [](auto& v) { return ask::canonical(v, v[F::guest_tr_base]) && ask::canonical(v, v[F::guest_fs_base]) && ask::canonical(v, v[F::guest_gs_base]) &&
                          (!ask::usable(v, ask::ldtr) || ask::canonical(v, v[F::guest_ldtr_base])); },
     [](auto& v) { v.at(F::guest_gs_base) = bit(62); }},
    {"entry.guest-bases-32-bit", sdm::guest_segments, Failure::guest_state,
     "Bits 63:32 of the base of CS, and of SS, DS and ES if they are usable, must be 0.",
     ask::always,
     [](auto& v) { for (const unsigned n : {ask::es, ask::cs, ask::ss, ask::ds}) if ((n == ask::cs || ask::usable(v, n)) && (v[guest_base(n)] >> 32)) return false; return true; },
     [](auto& v) { v.at(F::guest_cs_base) = bit(32); }},
    {"entry.guest-v86-limits", sdm::guest_segments, Failure::guest_state,
     "If the guest will be virtual-8086, the limit of CS, SS, DS, ES, FS and GS must be 0000FFFFH.",
     [](auto& v) { return ask::virtual_8086(v); },
     [](auto& v) { for (unsigned n = ask::es; n <= ask::gs; ++n) if (v[guest_limit(n)] != 0xffff) return false; return true; },
     [](auto& v) { ask::make_virtual_8086(v); v.at(F::guest_ds_limit) = 0xfffff; }},
    {"entry.guest-v86-rights", sdm::guest_segments, Failure::guest_state,
     "If the guest will be virtual-8086, the access rights of CS, SS, DS, ES, FS and GS must be 000000F3H.",
     [](auto& v) { return ask::virtual_8086(v); },
     [](auto& v) { for (unsigned n = ask::es; n <= ask::gs; ++n) if (ask::rights(v, n) != 0xf3) return false; return true; },
     [](auto& v) { ask::make_virtual_8086(v); v.at(F::guest_ds_access_rights) = 0x93; }},
    {"entry.guest-cs-type", sdm::guest_segments, Failure::guest_state,
     "The type of CS must be 9, 11, 13 or 15 (accessed code), or 3 if 'unrestricted guest' is 1.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { const u64 type = ask::ar.type(ask::rights(v, ask::cs)); return (type & 9) == 9 || (type == 3 && ask::unrestricted(v)); },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.type, 10); }},
    {"entry.guest-ss-type", sdm::guest_segments, Failure::guest_state,
     "If SS is usable, its type must be 3 or 7 (read/write, accessed data).",
     [](auto& v) { return !ask::virtual_8086(v) && ask::usable(v, ask::ss); },
     [](auto& v) { const u64 type = ask::ar.type(ask::rights(v, ask::ss)); return type == 3 || type == 7; },
     [](auto& v) { v.set(F::guest_ss_access_rights, ask::ar.unusable, 0); v.set(F::guest_ss_access_rights, ask::ar.type, 1); }},
    {"entry.guest-data-type", sdm::guest_segments, Failure::guest_state,
     "If DS, ES, FS or GS is usable, bit 0 of its type must be 1 (accessed), and bit 1 too if bit 3 is 1 (readable code).",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { for (const unsigned n : ask::data_segments) { const u64 type = ask::ar.type(ask::rights(v, n)); if (ask::usable(v, n) && (!(type & 1) || ((type & 8) && !(type & 2)))) return false; } return true; },
     [](auto& v) { v.set(F::guest_fs_access_rights, ask::ar.unusable, 0); v.set(F::guest_fs_access_rights, ask::ar.type, 2); }},
    {"entry.guest-segment-s", sdm::guest_segments, Failure::guest_state,
     "Bit 4 (S) must be 1 in CS, and in SS, DS, ES, FS and GS if they are usable.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { return ask::each_code_or_data(v, [&](unsigned n) { return ask::ar.s(ask::rights(v, n)) != 0; }); },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.s, 0); }},
    {"entry.guest-cs-dpl", sdm::guest_segments, Failure::guest_state,
     "The DPL of CS must be 0 for type 3, that of SS for types 9 and 11, and at most that of SS for types 13 and 15.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { const u64 r = ask::rights(v, ask::cs), type = ask::ar.type(r), dpl = ask::ar.dpl(r), stack = ask::ar.dpl(ask::rights(v, ask::ss));
                   return type == 3 ? dpl == 0 : (type & 13) == 9 ? dpl == stack : dpl <= stack; },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.type, 11); v.set(F::guest_cs_access_rights, ask::ar.dpl, ask::ar.dpl(v[F::guest_ss_access_rights]) ^ 1); }},
    {"entry.guest-ss-dpl-rpl", sdm::guest_segments, Failure::guest_state,
     "If 'unrestricted guest' is 0, the DPL of SS must equal the RPL from its selector.",
     [](auto& v) { return !ask::virtual_8086(v) && !ask::unrestricted(v); },
     [](auto& v) { return ask::ar.dpl(ask::rights(v, ask::ss)) == (v[F::guest_ss_selector] & 3); },
     [](auto& v) { v.set(F::secondary, secondary.unrestricted_guest, 0); v.at(F::guest_ss_selector) ^= 1; v.at(F::guest_cs_selector) ^= 1; }},
    {"entry.guest-ss-dpl-zero", sdm::guest_segments, Failure::guest_state,
     "The DPL of SS must be 0 if the type of CS is 3 or bit 0 in the CR0 field (PE) is 0.",
     [](auto& v) { return !ask::virtual_8086(v) && (ask::ar.type(ask::rights(v, ask::cs)) == 3 || !(v[F::guest_cr0] & ask::cr0_pe)); },
     [](auto& v) { return ask::ar.dpl(ask::rights(v, ask::ss)) == 0; },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::secondary, secondary.unrestricted_guest);
                   v.set(F::guest_cs_access_rights, ask::ar.type, 3); v.set(F::guest_ss_access_rights, ask::ar.dpl, 3); }},
    {"entry.guest-data-dpl", sdm::guest_segments, Failure::guest_state,
     "If DS, ES, FS or GS is usable, 'unrestricted guest' is 0 and its type is at most 11, its DPL must not be less than the RPL in its selector.",
     [](auto& v) { return !ask::virtual_8086(v) && !ask::unrestricted(v); },
     [](auto& v) { for (const unsigned n : ask::data_segments) { const u64 r = ask::rights(v, n); if (ask::usable(v, n) && ask::ar.type(r) <= 11 && ask::ar.dpl(r) < (v[guest_selector(n)] & 3)) return false; } return true; },
     [](auto& v) { v.set(F::secondary, secondary.unrestricted_guest, 0); v.set(F::guest_ds_access_rights, ask::ar.unusable, 0); v.set(F::guest_ds_access_rights, ask::ar.dpl, 0); v.at(F::guest_ds_selector) |= 3; }},
    {"entry.guest-segment-present", sdm::guest_segments, Failure::guest_state,
     "Bit 7 (P) must be 1 in CS, and in SS, DS, ES, FS and GS if they are usable.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { return ask::each_code_or_data(v, [&](unsigned n) { return ask::ar.p(ask::rights(v, n)) != 0; }); },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.p, 0); }},
    {"entry.guest-segment-reserved", sdm::guest_segments, Failure::guest_state,
     "Reserved bits 11:8 and 31:17 must be 0 in the access rights of CS, and in those of SS, DS, ES, FS and GS if they are usable.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { return ask::each_code_or_data(v, [&](unsigned n) { return ask::rights_reserved_clear(ask::rights(v, n)); }); },
     [](auto& v) { v.at(F::guest_cs_access_rights) |= bit(8); }},
    {"entry.guest-cs-db", sdm::guest_segments, Failure::guest_state,
     "If the guest will be IA-32e mode and the L bit of CS is 1, its D/B bit must be 0.",
     [](auto& v) { return !ask::virtual_8086(v) && ask::ia32e(v) && ask::ar.l(ask::rights(v, ask::cs)); },
     [](auto& v) { return !ask::ar.db(ask::rights(v, ask::cs)); },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.l); v.set(F::guest_cs_access_rights, ask::ar.db); }},
    {"entry.guest-segment-granularity", sdm::guest_segments, Failure::guest_state,
     "In CS, and in SS, DS, ES, FS and GS if they are usable: if any bit of limit 11:0 is 0, G must be 0; if any bit of limit 31:20 is 1, G must be 1.",
     [](auto& v) { return !ask::virtual_8086(v); },
     [](auto& v) { return ask::each_code_or_data(v, [&](unsigned n) { return ask::granularity(ask::rights(v, n), v[guest_limit(n)]); }); },
     [](auto& v) { v.at(F::guest_cs_limit) = 0xffff'ffff; v.set(F::guest_cs_access_rights, ask::ar.g, 0); }},
    {"entry.guest-tr-type", sdm::guest_segments, Failure::guest_state,
     "The type of TR must be 11 (busy 64-bit TSS) if the guest will be IA-32e mode, else 3 or 11 (busy 16-bit or 32-bit TSS).",
     ask::always,
     [](auto& v) { const u64 type = ask::ar.type(ask::rights(v, ask::tr)); return type == 11 || (type == 3 && !ask::ia32e(v)); },
     [](auto& v) { v.set(F::guest_tr_access_rights, ask::ar.type, 9); }},
    {"entry.guest-tr-rights", sdm::guest_segments, Failure::guest_state,
     "In the access rights of TR, S must be 0, P must be 1, reserved bits must be 0, and the unusable bit must be 0.",
     ask::always,
     [](auto& v) { const u64 r = ask::rights(v, ask::tr); return !ask::ar.s(r) && ask::ar.p(r) && ask::rights_reserved_clear(r) && !ask::ar.unusable(r); },
     [](auto& v) { v.set(F::guest_tr_access_rights, ask::ar.unusable); }},
    {"entry.guest-tr-granularity", sdm::guest_segments, Failure::guest_state,
     "TR: if any bit of limit 11:0 is 0, G must be 0; if any bit of limit 31:20 is 1, G must be 1.",
     ask::always,
     [](auto& v) { return ask::granularity(ask::rights(v, ask::tr), v[F::guest_tr_limit]); },
     [](auto& v) { v.at(F::guest_tr_limit) = 0x67; v.set(F::guest_tr_access_rights, ask::ar.g); }},
    {"entry.guest-ldtr-rights", sdm::guest_segments, Failure::guest_state,
     "If LDTR is usable, its type must be 2, S must be 0, P must be 1, and reserved bits must be 0.",
     [](auto& v) { return ask::usable(v, ask::ldtr); },
     [](auto& v) { const u64 r = ask::rights(v, ask::ldtr); return ask::ar.type(r) == 2 && !ask::ar.s(r) && ask::ar.p(r) && ask::rights_reserved_clear(r); },
     [](auto& v) { v.at(F::guest_ldtr_access_rights) = 0x83; v.at(F::guest_ldtr_selector) &= ~u64{4}; }},
    {"entry.guest-ldtr-granularity", sdm::guest_segments, Failure::guest_state,
     "If LDTR is usable: if any bit of limit 11:0 is 0, G must be 0; if any bit of limit 31:20 is 1, G must be 1.",
     [](auto& v) { return ask::usable(v, ask::ldtr); },
     [](auto& v) { return ask::granularity(ask::rights(v, ask::ldtr), v[F::guest_ldtr_limit]); },
     [](auto& v) { v.at(F::guest_ldtr_access_rights) = 0x8082; v.at(F::guest_ldtr_selector) &= ~u64{4}; v.at(F::guest_ldtr_limit) = 0x67; }},

    // --- descriptor-table registers
    {"entry.guest-table-bases", sdm::guest_tables, Failure::guest_state,
     "The base addresses of GDTR and IDTR must be canonical.",
     ask::always,
     [](auto& v) { return ask::canonical(v, v[F::guest_gdtr_base]) && ask::canonical(v, v[F::guest_idtr_base]); },
     [](auto& v) { v.at(F::guest_idtr_base) = bit(62); }},
    {"entry.guest-table-limits", sdm::guest_tables, Failure::guest_state,
     "Bits 31:16 of the limits of GDTR and IDTR must be 0.",
     ask::always,
     [](auto& v) { return !((v[F::guest_gdtr_limit] | v[F::guest_idtr_limit]) >> 16); },
     [](auto& v) { v.at(F::guest_gdtr_limit) |= bit(16); }},

    // --- RIP and RFLAGS
    {"entry.guest-rip-32", sdm::guest_rip_rflags, Failure::guest_state,
     "Bits 63:32 of RIP must be 0 if 'IA-32e mode guest' is 0 or the L bit of CS is 0.",
     [](auto& v) { return !ask::ia32e(v) || !ask::ar.l(ask::rights(v, ask::cs)); },
     [](auto& v) { return !(v[F::guest_rip] >> 32); },
     [](auto& v) { v.set(F::guest_cs_access_rights, ask::ar.l, 0); v.at(F::guest_rip) |= bit(32); }},
    {"entry.guest-rip-64", sdm::guest_rip_rflags, Failure::guest_state,
     "RIP must be canonical if 'IA-32e mode guest' is 1 and the L bit of CS is 1.",
     [](auto& v) { return ask::ia32e(v) && ask::ar.l(ask::rights(v, ask::cs)); },
     // The manual asks that bits 63:N be identical: one bit more is allowed than a canonical address has.
     [](auto& v) { const u64 above = v[F::guest_rip] >> v[Fact::linear_bits]; return above == 0 || above == (~u64{0} >> v[Fact::linear_bits]); },
     [](auto& v) { v.at(F::guest_rip) = bit(62); }},
    {"entry.guest-rflags-reserved", sdm::guest_rip_rflags, Failure::guest_state,
     "Reserved bits 63:22, 15, 5 and 3 of RFLAGS must be 0, and reserved bit 1 must be 1.",
     ask::always,
     [](auto& v) { return !(v[F::guest_rflags] & (~low_mask(22) | bit(15) | bit(5) | bit(3))) && (v[F::guest_rflags] & 2); },
     [](auto& v) { v.at(F::guest_rflags) |= bit(3); }},
    {"entry.guest-rflags-vm", sdm::guest_rip_rflags, Failure::guest_state,
     "The VM flag must be 0 if 'IA-32e mode guest' is 1 or bit 0 in the CR0 field (PE) is 0.",
     [](auto& v) { return ask::ia32e(v) || !(v[F::guest_cr0] & ask::cr0_pe); },
     [](auto& v) { return !(v[F::guest_rflags] & ask::flag_vm); },
     [](auto& v) { ask::make_virtual_8086(v); v.at(F::guest_rip) &= 0xffff; }},
    {"entry.guest-rflags-if", sdm::guest_rip_rflags, Failure::guest_state,
     "The IF flag must be 1 if an external interrupt is injected.",
     [](auto& v) { return ask::injects(v, interruption_type::external_interrupt); },
     [](auto& v) { return (v[F::guest_rflags] & ask::flag_if) != 0; },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | 0x40; v.at(F::guest_rflags) &= ~ask::flag_if; }},

    // --- non-register state
    {"entry.guest-activity", sdm::guest_non_register, Failure::guest_state,
     "The activity-state field must be 0 to 3, and an activity state that the processor supports (IA32_VMX_MISC).",
     ask::always,
     [](auto& v) { const u64 a = v[F::guest_activity_state]; return a == 0 || (a <= 3 && (v.capabilities().misc >> (5 + a) & 1)); },
     [](auto& v) { v.at(F::guest_activity_state) = 4; }},
    {"entry.guest-hlt-dpl", sdm::guest_non_register, Failure::guest_state,
     "The activity state must not be HLT if the DPL of SS is not 0.",
     [](auto& v) { return v[F::guest_activity_state] == 1; },
     [](auto& v) { return ask::ar.dpl(ask::rights(v, ask::ss)) == 0; },
     [](auto& v) { v.at(F::guest_activity_state) = 1; v.at(F::guest_interruptibility_state) = 0; v.set(F::guest_ss_access_rights, ask::ar.dpl, 3); v.set(F::guest_cs_access_rights, ask::ar.type, 11);
                   v.set(F::guest_cs_access_rights, ask::ar.dpl, 3); v.at(F::guest_ss_selector) |= 3; v.at(F::guest_cs_selector) |= 3; }},
    {"entry.guest-active-when-blocked", sdm::guest_non_register, Failure::guest_state,
     "The activity state must be active if the interruptibility state indicates blocking by STI or by MOV SS.",
     [](auto& v) { return (v[F::guest_interruptibility_state] & 3) != 0; },
     [](auto& v) { return v[F::guest_activity_state] == 0; },
     [](auto& v) { v.at(F::guest_activity_state) = 1; v.at(F::guest_interruptibility_state) = 2; }},
    {"entry.guest-activity-event", sdm::guest_non_register, Failure::guest_state,
     "In HLT only external interrupts, NMIs, #DB, #MC and pending MTF may be injected, in shutdown only NMIs and #MC, in wait-for-SIPI nothing.",
     [](auto& v) { return v[F::guest_activity_state] != 0 && ask::valid(v[F::entry_interruption_information]); },
     [](auto& v) { const u64 info = v[F::entry_interruption_information], type = interruption.type(info), vector = interruption.vector(info);
                   const bool nmi = type == interruption_type::nmi, exception = type == interruption_type::hardware_exception, mc = exception && vector == 18;
                   switch (v[F::guest_activity_state]) {
                   case 1: return nmi || mc || (exception && vector == 1) || type == interruption_type::external_interrupt || type == interruption_type::other_event;
                   case 2: return nmi || mc;
                   default: return false;
                   } },
     [](auto& v) { v.at(F::guest_activity_state) = 3; v.at(F::entry_interruption_information) = bit(31) | interruption_type::nmi << 8 | 2; }},
    {"entry.guest-interruptibility-reserved", sdm::guest_non_register, Failure::guest_state,
     "Reserved bits 31:5 of the interruptibility-state field must be 0.",
     ask::always,
     [](auto& v) { return !(v[F::guest_interruptibility_state] >> 5); },
     [](auto& v) { v.at(F::guest_interruptibility_state) |= bit(5); }},
    {"entry.guest-sti-and-mov-ss", sdm::guest_non_register, Failure::guest_state,
     "The field cannot indicate blocking by both STI and MOV SS.",
     ask::always,
     [](auto& v) { return (v[F::guest_interruptibility_state] & 3) != 3; },
     [](auto& v) { v.at(F::guest_rflags) |= ask::flag_if; v.at(F::guest_interruptibility_state) |= 3; }},
    {"entry.guest-sti-if", sdm::guest_non_register, Failure::guest_state,
     "Bit 0 (blocking by STI) must be 0 if the IF flag in the RFLAGS field is 0.",
     [](auto& v) { return !(v[F::guest_rflags] & ask::flag_if); },
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 1); },
     [](auto& v) { v.at(F::guest_rflags) &= ~ask::flag_if; v.at(F::guest_interruptibility_state) = 1; }},
    {"entry.guest-interrupt-blocked", sdm::guest_non_register, Failure::guest_state,
     "Bits 0 (blocking by STI) and 1 (blocking by MOV SS) must both be 0 if an external interrupt is injected.",
     [](auto& v) { return ask::injects(v, interruption_type::external_interrupt); },
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 3); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | 0x40; v.at(F::guest_rflags) |= ask::flag_if; v.at(F::guest_interruptibility_state) = 2; }},
    {"entry.guest-nmi-mov-ss", sdm::guest_non_register, Failure::guest_state,
     "Bit 1 (blocking by MOV SS) must be 0 if an NMI is injected.",
     [](auto& v) { return ask::injects(v, interruption_type::nmi); },
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 2); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::nmi << 8 | 2; v.at(F::guest_interruptibility_state) = 2; }},
    {"entry.guest-blocking-by-smi", sdm::guest_non_register, Failure::guest_state,
     "Bit 2 (blocking by SMI) must be 0 if the processor is not in SMM.",
     ask::always,
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 4); },
     [](auto& v) { v.at(F::guest_interruptibility_state) |= 4; }},
    {"entry.guest-nmi-sti", sdm::guest_non_register, Failure::guest_nmi_with_sti,
     "A processor may require bit 0 (blocking by STI) to be 0 if an NMI is injected; this one does.",
     [](auto& v) { return ask::injects(v, interruption_type::nmi); },
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 1); },
     [](auto& v) { v.at(F::entry_interruption_information) = bit(31) | interruption_type::nmi << 8 | 2; v.at(F::guest_rflags) |= ask::flag_if; v.at(F::guest_interruptibility_state) = 1; }},
    {"entry.guest-virtual-nmi-blocked", sdm::guest_non_register, Failure::guest_state,
     "If 'virtual NMIs' is 1 and an NMI is injected, bit 3 (blocking by NMI) must be 0.",
     [](auto& v) { return pin.virtual_nmis(v[F::pin_based]) && ask::injects(v, interruption_type::nmi); },
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 8); },
     [](auto& v) { v.set(F::pin_based, pin.nmi_exiting); v.set(F::pin_based, pin.virtual_nmis); v.at(F::entry_interruption_information) = bit(31) | interruption_type::nmi << 8 | 2; v.at(F::guest_interruptibility_state) = 8; }},
    {"entry.guest-enclave-interruption", sdm::guest_non_register, Failure::guest_state,
     "Bit 4 (enclave interruption) must be 0 if the processor does not support SGX.",
     ask::always,
     [](auto& v) { return !(v[F::guest_interruptibility_state] & 16); },
     [](auto& v) { v.at(F::guest_interruptibility_state) |= 16; }},
    {"entry.guest-pending-debug-reserved", sdm::guest_non_register, Failure::guest_state,
     "Bits 11:4, 13, 15 and 63:17 of the pending debug exceptions field must be 0.",
     ask::always,
     [](auto& v) { return !(v[F::guest_pending_debug_exceptions] & (0xff0 | bit(13) | bit(15) | ~low_mask(17))); },
     [](auto& v) { v.at(F::guest_pending_debug_exceptions) |= bit(4); }},
    {"entry.guest-pending-debug-bs", sdm::guest_non_register, Failure::guest_state,
     "With blocking by STI or MOV SS, or in HLT: BS (bit 14) of the pending debug exceptions field must be 1 if TF is 1 and BTF is 0, else 0.",
     [](auto& v) { return ask::holds_debug_back(v); },
     [](auto& v) { return (pending_debug_exceptions.bs(v[F::guest_pending_debug_exceptions]) != 0) == ask::single_step(v); },
     [](auto& v) { v.at(F::guest_interruptibility_state) = 2; v.at(F::guest_rflags) |= ask::flag_tf; v.at(F::guest_debugctl) &= ~ask::debugctl_btf; v.at(F::guest_pending_debug_exceptions) = 0; }},
    {"entry.guest-pending-debug-rtm", sdm::guest_non_register, Failure::guest_state,
     "Bit 16 (RTM) of the pending debug exceptions field must be 0 if the processor does not support RTM.",
     ask::always,
     [](auto& v) { return !pending_debug_exceptions.rtm(v[F::guest_pending_debug_exceptions]); },
     [](auto& v) { v.set(F::guest_pending_debug_exceptions, pending_debug_exceptions.rtm); }},
    {"entry.link-pointer-address", sdm::guest_non_register, Failure::guest_link_pointer,
     "If the VMCS link pointer is not FFFFFFFF_FFFFFFFFH, its bits 11:0 must be 0, and no bit beyond the physical-address width may be set.",
     [](auto& v) { return v[F::vmcs_link_pointer] != ~u64{0}; },
     [](auto& v) { return ask::page(v, v[F::vmcs_link_pointer]); },
     [](auto& v) { v.at(F::vmcs_link_pointer) = 1; v.at(Fact::link_revision) = vmcs_revision; }},
    {"entry.link-pointer-revision", sdm::guest_non_register, Failure::guest_link_pointer,
     "Bits 30:0 of the region's first 4 bytes must be the processor's VMCS revision identifier, and bit 31 must be the setting of 'VMCS shadowing'.",
     [](auto& v) { return v[F::vmcs_link_pointer] != ~u64{0}; },
     [](auto& v) { const u64 shadowing = secondary.vmcs_shadowing(ask::secondary(v)); return v[Fact::link_revision] == (vmcs_revision | shadowing << 31); },
     [](auto& v) { v.at(F::vmcs_link_pointer) = 0x5000; v.at(Fact::link_revision) = ~vmcs_revision; }},
    {"entry.link-pointer-current", sdm::guest_non_register, Failure::guest_link_pointer,
     "If the processor is not in SMM, the VMCS link pointer must not be the current VMCS pointer.",
     [](auto& v) { return v[F::vmcs_link_pointer] != ~u64{0}; },
     [](auto& v) { return v[F::vmcs_link_pointer] != v[Fact::current_vmcs]; },
     [](auto& v) { v.at(F::vmcs_link_pointer) = v[Fact::current_vmcs]; v.set(F::secondary, secondary.vmcs_shadowing, 0); v.at(Fact::link_revision) = vmcs_revision; }},

    // --- page-directory-pointer-table entries
    {"entry.guest-pdptes-in-vmcs", sdm::guest_pdptes, Failure::guest_pdpte,
     "If the guest uses PAE paging and 'enable EPT' is 1, reserved bits must be 0 in each PDPTE field whose P flag is 1.",
     [](auto& v) { return ask::pae(v) && secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { for (unsigned n = 0; n < 4; ++n) if (!ask::pdpte(v, v[after(F::guest_pdpte0, n)])) return false; return true; },
     [](auto& v) { v.set(F::primary, primary.activate_secondary_controls); v.set(F::secondary, secondary.enable_ept); v.set(F::entry_controls, entering.ia32e_mode_guest, 0); v.at(F::guest_efer) &= ~(ask::efer_lma | ask::efer_lme);
                   v.at(F::guest_cr4) &= ~ask::cr4_pcide; v.set(F::guest_cs_access_rights, ask::ar.l, 0); v.at(F::guest_rip) &= low_mask(32); v.at(F::guest_pdpte2) = 3; }},
    {"entry.guest-pdptes-in-memory", sdm::guest_pdptes, Failure::guest_pdpte,
     "If the guest uses PAE paging and 'enable EPT' is 0, reserved bits must be 0 in each PDPTE referenced by CR3 whose P flag is 1.",
     [](auto& v) { return ask::pae(v) && !secondary.enable_ept(ask::secondary(v)); },
     [](auto& v) { for (const Fact f : {Fact::pdpte0, Fact::pdpte1, Fact::pdpte2, Fact::pdpte3}) if (!ask::pdpte(v, v[f])) return false; return true; },
     [](auto& v) { v.at(F::secondary) = 0; v.set(F::entry_controls, entering.ia32e_mode_guest, 0); v.at(F::guest_efer) &= ~(ask::efer_lma | ask::efer_lme);
                   v.at(F::guest_cr4) &= ~ask::cr4_pcide; v.set(F::guest_cs_access_rights, ask::ar.l, 0); v.at(F::guest_rip) &= low_mask(32); v.at(Fact::pdpte2) = 3; }},
};
// clang-format on

} // namespace vitrine::vtx
