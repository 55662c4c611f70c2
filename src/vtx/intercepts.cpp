// SPDX-License-Identifier: Apache-2.0
// Instructions in VMX non-root operation: which exit, and which behave otherwise than elsewhere (SDM volume 3, VMX Non-Root Operation).
#include "vtx/instruction_information.h"
#include "vtx/unit.h"
#include "x86/msr.h"
#include "x86/ops/forms.h"

namespace vitrine::vtx {

Outcome Unit::leave(const Instruction& i, ExitReason reason, u64 qualification, u32 information) {
    ExitInformation details;
    details.instruction_information = information;
    return leave(i, reason, qualification, details);
}

Outcome Unit::leave(const Instruction& i, ExitReason reason, u64 qualification, const ExitInformation& information) {
    ExitInformation details = information;
    details.instruction_length = i.length;
    details.clear_rf = true;
    cpu_.rip = cpu_.rip_of(i);
    exit(reason, qualification, details);
    return Outcome::exited;
}

bool Unit::bitmap(F address, u64 bit) const {
    return cpu_.space().read<u8>(Physical{vmcs_[address] + bit / 8}, cpu_.requester()) >> (bit % 8) & 1;
}

u8 Unit::vtpr() const {
    constexpr u64 tpr = 0x80;
    return cpu_.space().read<u8>(Physical{vmcs_[F::virtual_apic_address] + tpr}, cpu_.requester());
}

Outcome Unit::instruction(Cpu& cpu, Intercept kind, const Instruction& i, u64 qualification) {
    const u64 two = secondary_controls();
    const vtx::Secondary& s = vtx::secondary;
    switch (kind) {
    case Intercept::hlt: return leave(i, ExitReason::hlt);
    case Intercept::invlpg: return leave(i, ExitReason::invlpg, qualification);
    case Intercept::mwait: return leave(i, ExitReason::mwait, qualification);
    case Intercept::monitor: return leave(i, ExitReason::monitor);
    case Intercept::rdpmc: return leave(i, ExitReason::rdpmc);
    case Intercept::rdtsc: return time_stamp(i, false);
    case Intercept::rdtscp: return s.enable_rdtscp(two) ? time_stamp(i, true) : cpu.ud();
    case Intercept::rdpid: return cpu.ud();
    case Intercept::cr_access: return cr_access(i, qualification);
    case Intercept::mov_dr: return leave(i, ExitReason::mov_dr, qualification);
    case Intercept::io: return port_access(i, qualification);
    case Intercept::rdmsr: return msr_access(i, false);
    case Intercept::wrmsr: return msr_access(i, true);
    case Intercept::pause: return pause(i);
    case Intercept::cpuid: return leave(i, ExitReason::cpuid);
    case Intercept::invd: return leave(i, ExitReason::invd);
    case Intercept::wbinvd: return leave(i, ExitReason::wbinvd);
    case Intercept::xsetbv: return leave(i, ExitReason::xsetbv);
    case Intercept::descriptor_table: return descriptor_table(i);
    case Intercept::rdrand:
    case Intercept::rdseed: {
        const u32 size = i.operand_size == 8 ? 2 : i.operand_size == 4 ? 1 : 0;
        return leave(i, kind == Intercept::rdrand ? ExitReason::rdrand : ExitReason::rdseed, 0, u32{i.reg / 8u} << 3 | size << 11);
    }
    case Intercept::invpcid:
        if (!s.enable_invpcid(two))
            return cpu.ud();
        return leave(i, ExitReason::invpcid, displacement(cpu, i), memory_information(i) | u32{i.reg / 8u} << 28);
    case Intercept::xsaves:
    case Intercept::xrstors: {
        if (!s.enable_xsaves(two))
            return cpu.ud();
        const u64 mask = (cpu.gpr[rdx] & low_mask(32)) << 32 | (cpu.gpr[rax] & low_mask(32));
        if (!(mask & (cpu.xcr0 | cpu.msr.xss) & vmcs_[F::xss_exiting_bitmap]))
            return Outcome::next;
        return leave(i, kind == Intercept::xsaves ? ExitReason::xsaves : ExitReason::xrstors, displacement(cpu, i), memory_information(i));
    }
    case Intercept::bus_lock:
        bus_lock_ = true;
        trap_exit(ExitReason::bus_lock, 0);
        return Outcome::next;
    default: return Outcome::next;
    }
}

// ---- time -----------------------------------------------------------------------------------------------------------

u64 Unit::guest_tsc() const {
    u64 tsc = cpu_.tsc();
    if (!on(vtx::primary.use_tsc_offsetting, F::primary))
        return tsc;
    if (vtx::secondary.use_tsc_scaling(secondary_controls()))
        tsc = static_cast<u64>(u128{tsc} * vmcs_[F::tsc_multiplier] >> 48);
    return tsc + vmcs_[F::tsc_offset];
}

Outcome Unit::time_stamp(const Instruction& i, bool with_aux) {
    if (on(vtx::primary.rdtsc_exiting, F::primary))
        return leave(i, with_aux ? ExitReason::rdtscp : ExitReason::rdtsc);
    const u64 tsc = guest_tsc();
    cpu_.gpr[rax] = tsc & low_mask(32);
    cpu_.gpr[rdx] = tsc >> 32;
    if (with_aux)
        cpu_.gpr[rcx] = cpu_.msr.tsc_aux & low_mask(32);
    return Outcome::end;
}

/// "PAUSE exiting", else PAUSE-loop exiting: time between executions, and since the loop's first one, in units of the TSC.
Outcome Unit::pause(const Instruction& i) {
    if (on(vtx::primary.pause_exiting, F::primary))
        return leave(i, ExitReason::pause);
    if (cpu_.cpl != 0)
        return Outcome::next;
    const u64 tsc = cpu_.tsc();
    if (tsc - ple_last_ > vmcs_[F::ple_gap])
        ple_first_ = tsc;
    ple_last_ = tsc;
    return tsc - ple_first_ > vmcs_[F::ple_window] ? leave(i, ExitReason::pause) : Outcome::next;
}

// ---- MSRs and ports -------------------------------------------------------------------------------------------------

Outcome Unit::msr_access(const Instruction& i, bool write) {
    constexpr u32 time_stamp_counter = 0x10;
    const u32 msr = static_cast<u32>(cpu_.gpr[rcx]);
    bool exits = true;
    if (on(vtx::primary.use_msr_bitmaps, F::primary)) {
        // Four bitmaps of 1 KiB: reads of low and high MSRs, writes of low and high ones.
        const bool high = msr >= 0xc000'0000;
        const u32 index = high ? msr - 0xc000'0000 : msr;
        exits = index > 0x1fff || bitmap(F::msr_bitmaps, (write ? 0x4000 : 0) + (high ? 0x2000 : 0) + index);
    }
    if (exits)
        return leave(i, write ? ExitReason::wrmsr : ExitReason::rdmsr);
    if (const Outcome o = x2apic_access(msr, write); o != Outcome::next)
        return o;
    if (!write && msr == time_stamp_counter) {
        const u64 tsc = guest_tsc();
        cpu_.gpr[rax] = tsc & low_mask(32);
        cpu_.gpr[rdx] = tsc >> 32;
        return Outcome::end;
    }
    return Outcome::next;
}

Outcome Unit::port_access(const Instruction& i, u64 qualification) {
    const u64 port = bits(qualification, 31, 16), size = bits(qualification, 2, 0) + 1;
    bool exits = true;
    if (on(vtx::primary.use_io_bitmaps, F::primary)) {
        exits = port + size > 0x1'0000; // wraps around
        for (u64 p = port; p < port + size && !exits; ++p)
            exits = bitmap(p < 0x8000 ? F::io_bitmap_a : F::io_bitmap_b, p & 0x7fff);
    }
    if (!exits)
        return Outcome::next;
    ExitInformation details;
    const bool string = qualification & 1 << 4, input = qualification & 1 << 3;
    if (string) {
        details.instruction_information = address_size_code(i) << 7 | u32{input ? static_cast<u8>(es) : i.segment} << 15;
        const u64 offset = cpu_.gpr[input ? rdi : rsi] & i.address_mask;
        const u8 segment = input ? static_cast<u8>(es) : i.segment;
        const bool based = !cpu_.mode64() || segment == fs || segment == gs;
        details.linear = (based ? cpu_.segments[segment].base : 0) + offset;
        if (!cpu_.mode64())
            details.linear &= low_mask(32);
        details.has_linear = true;
    }
    // The string forms' registers as they were, for those who ask (I/O RCX and its kin are for SMM alone).
    return leave(i, ExitReason::io_instruction, qualification, details);
}

// ---- descriptor tables ----------------------------------------------------------------------------------------------

Outcome Unit::descriptor_table(const Instruction& i) {
    struct Row {
        ZydisMnemonic mnemonic;
        ExitReason reason;
        u32 identity;
    };
    static constexpr Row rows[] = {
        {ZYDIS_MNEMONIC_SGDT, ExitReason::gdtr_or_idtr_access, 0}, {ZYDIS_MNEMONIC_SIDT, ExitReason::gdtr_or_idtr_access, 1},
        {ZYDIS_MNEMONIC_LGDT, ExitReason::gdtr_or_idtr_access, 2}, {ZYDIS_MNEMONIC_LIDT, ExitReason::gdtr_or_idtr_access, 3},
        {ZYDIS_MNEMONIC_SLDT, ExitReason::ldtr_or_tr_access, 0},   {ZYDIS_MNEMONIC_STR, ExitReason::ldtr_or_tr_access, 1},
        {ZYDIS_MNEMONIC_LLDT, ExitReason::ldtr_or_tr_access, 2},   {ZYDIS_MNEMONIC_LTR, ExitReason::ldtr_or_tr_access, 3},
    };
    for (const Row& row : rows) {
        if (row.mnemonic != i.mnemonic)
            continue;
        const u32 identity = row.identity << 28;
        if (row.reason == ExitReason::gdtr_or_idtr_access) {
            const u32 wide = cpu_.mode64() || i.operand_size != 2 ? 1u << 11 : 0;
            return leave(i, row.reason, displacement(cpu_, i), memory_information(i) | wide | identity);
        }
        const bool memory = i.third;
        if (!memory)
            return leave(i, row.reason, 0, identity | 1u << 10 | u32{i.reg / 8u} << 3);
        return leave(i, row.reason, displacement(cpu_, i), memory_information(i) | identity);
    }
    return Outcome::next;
}

} // namespace vitrine::vtx
