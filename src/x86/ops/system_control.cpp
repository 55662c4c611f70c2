// SPDX-License-Identifier: Apache-2.0
// Control and debug registers: MOV CR, MOV DR, CLTS, LMSW, SMSW.
#include "x86/control.h"
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

/// Exit Qualification for Control-Register Accesses.
constexpr u64 from_cr = 1 << 4, clts_access = 2 << 4, lmsw_access = 3 << 4, memory_operand = 1 << 6;

u64 gpr_number(const Instruction& i) { return u64{i.reg / 8u} << 8; }

/// `third` is the control register's number, `reg` the general register.
Outcome mov_to_cr(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    const u64 value = cpu.mode64() ? get<u64>(cpu, i.reg) : get<u32>(cpu, i.reg);
    INTERCEPT(cpu, Intercept::cr_access, i, i.third | gpr_number(i));
    switch (i.third) {
    case 0: TRY(write_cr0(cpu, value)); break;
    case 2: cpu.cr2 = value; break;
    case 3: TRY(write_cr3(cpu, value)); break;
    case 4: TRY(write_cr4(cpu, value)); break;
    default:
        if (value > 15)
            return cpu.gp();
        cpu.apic().set_cr8(static_cast<u8>(value));
        break;
    }
    cpu.events_changed();
    return Outcome::end;
}

Outcome mov_from_cr(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::cr_access, i, i.third | from_cr | gpr_number(i));
    const u64 value = i.third == 0   ? cpu.cr0
                      : i.third == 2 ? cpu.cr2
                      : i.third == 3 ? cpu.cr3
                      : i.third == 4 ? cpu.cr4
                                     : cpu.apic().cr8();
    set_sized(cpu, i.reg, cpu.mode64() ? 8 : 4, value);
    return next(cpu, i);
}

/// What both directions of MOV DR check; DR4 and DR5 are DR6 and DR7 unless CR4.DE makes them undefined.
Faultable<> check_dr(Cpu& cpu, const Instruction& i) {
    if ((i.third == 4 || i.third == 5) && (cpu.cr4 & cr4::de))
        return cpu.ud();
    if (!privileged(cpu))
        return cpu.gp();
    return {};
}

Faultable<> check_general_detect(Cpu& cpu) {
    if (cpu.dr7 & dr7::gd)
        return cpu.raise_event({.vector = Vector::db, .dr6 = dr6::bd});
    return {};
}

constexpr u64 dr_qualification_from = 1 << 4;

Outcome mov_to_dr(Cpu& cpu, const Instruction& i) {
    TRY(check_dr(cpu, i));
    INTERCEPT(cpu, Intercept::mov_dr, i, i.third | gpr_number(i));
    TRY(check_general_detect(cpu));
    const u64 value = cpu.mode64() ? get<u64>(cpu, i.reg) : get<u32>(cpu, i.reg);
    if (i.third < 4) {
        cpu.dr[i.third] = value;
    } else {
        if (value >> 32)
            return cpu.gp();
        constexpr u64 dr6_writable = 0xe00f, dr7_writable = 0xffff'23ff; // without RTM
        if (i.third & 1)
            cpu.dr7 = (value & dr7_writable) | dr7::always;
        else
            cpu.dr6 = (value & dr6_writable) | dr6::always;
    }
    // Watched pages may not be accessed past the checks.
    cpu.tlb().drop_tags();
    cpu.events_changed();
    return Outcome::end;
}

Outcome mov_from_dr(Cpu& cpu, const Instruction& i) {
    TRY(check_dr(cpu, i));
    INTERCEPT(cpu, Intercept::mov_dr, i, i.third | dr_qualification_from | gpr_number(i));
    TRY(check_general_detect(cpu));
    const u64 value = i.third < 4 ? cpu.dr[i.third] : i.third & 1 ? cpu.dr7 : cpu.dr6;
    set_sized(cpu, i.reg, cpu.mode64() ? 8 : 4, value);
    return next(cpu, i);
}

Outcome clts(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::cr_access, i, clts_access);
    cpu.cr0 &= ~cr0::ts;
    cpu.mode_changed();
    return Outcome::end;
}

Outcome load_machine_status(Cpu& cpu, const Instruction& i, u16 value, u64 memory) {
    INTERCEPT(cpu, Intercept::cr_access, i, lmsw_access | memory | u64{value} << 16);
    // PE can be set and not cleared.
    TRY(write_cr0(cpu, (cpu.cr0 & ~u64{0xe}) | (value & 0xf)));
    return Outcome::end;
}

Outcome lmsw_register(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    return load_machine_status(cpu, i, get<u16>(cpu, i.reg), 0);
}

Outcome lmsw_memory(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    const u16 value = TRY((load_operand<u16, AnyAddress>(cpu, i)));
    return load_machine_status(cpu, i, value, memory_operand);
}

Outcome smsw_register(Cpu& cpu, const Instruction& i) {
    if (prevented(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::cr_access, i, from_cr);
    set_sized(cpu, i.reg, i.operand_size, cpu.cr0);
    return next(cpu, i);
}

Outcome smsw_memory(Cpu& cpu, const Instruction& i) {
    if (prevented(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::cr_access, i, from_cr | memory_operand);
    TRY((store_operand<u16, AnyAddress>(cpu, i, static_cast<u16>(cpu.cr0))));
    return next(cpu, i);
}

Handler bind_lmsw(const Decoded& d, Instruction&) { return d.is_memory(0) ? lmsw_memory : lmsw_register; }

Handler bind_smsw(const Decoded& d, Instruction& out) {
    out.third = no_register;
    if (d.is_memory(0))
        return smsw_memory;
    out.third = 0;
    out.operand_size = static_cast<u8>(d.operand(0).size / 8);
    return smsw_register;
}

} // namespace

Handler bind_control_move(const Decoded& d, Instruction& out) {
    if (d.info.mnemonic != ZYDIS_MNEMONIC_MOV)
        return nullptr;
    for (unsigned n = 0; n < 2; ++n) {
        const bool control = is_register_of(d, n, ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15);
        const bool debug = is_register_of(d, n, ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15);
        if (!control && !debug)
            continue;
        const ZydisRegister r = d.operand(n).reg.value;
        out.third = static_cast<u16>(r - (control ? ZYDIS_REGISTER_CR0 : ZYDIS_REGISTER_DR0));
        out.reg = gpr_offset(d.operand(1 - n).reg.value);
        if (control)
            return n == 0 ? mov_to_cr : mov_from_cr;
        return n == 0 ? mov_to_dr : mov_from_dr;
    }
    return nullptr;
}

std::span<const OpRow> control_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_CLTS, bind_to<clts>, ends_block},
        {ZYDIS_MNEMONIC_LMSW, bind_lmsw, ends_block},
        {ZYDIS_MNEMONIC_SMSW, bind_smsw},
    };
    return rows;
}

} // namespace vitrine::ops
