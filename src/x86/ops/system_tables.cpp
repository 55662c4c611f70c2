// SPDX-License-Identifier: Apache-2.0
// Descriptor tables and what programs may ask about selectors: LGDT to STR, LAR, LSL, VERR, VERW, ARPL.
#include "x86/ops/system.h"

namespace vitrine::ops {

namespace {

u64 displacement(const Instruction& i) { return static_cast<u64>(i.displacement); }

// ---- GDTR and IDTR --------------------------------------------------------------------------------------------------

unsigned table_operand(const Cpu& cpu) { return cpu.mode64() ? 10 : 6; }

template <TableRegister State::*table> Outcome load_table(Cpu& cpu, const Instruction& i) {
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::descriptor_table, i, displacement(i));
    const unsigned size = table_operand(cpu);
    const Linear at = TRY(cpu.address(i, size, Use::read));
    u8 bytes[10]{};
    TRY(cpu.load_bytes(at, bytes, size));
    TableRegister r{};
    std::memcpy(&r.limit, bytes, 2);
    std::memcpy(&r.base, bytes + 2, size - 2);
    if (cpu.mode64()) {
        if (!canonical_base(cpu, r.base))
            return cpu.gp();
    } else if (i.operand_size == 2) {
        r.base &= 0xff'ffff;
    }
    cpu.*table = r;
    return next(cpu, i);
}

template <TableRegister State::*table> Outcome store_table(Cpu& cpu, const Instruction& i) {
    if (prevented(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::descriptor_table, i, displacement(i));
    const unsigned size = table_operand(cpu);
    const Linear at = TRY(cpu.address(i, size, Use::write));
    const TableRegister& r = cpu.*table;
    u8 bytes[10];
    std::memcpy(bytes, &r.limit, 2);
    std::memcpy(bytes + 2, &r.base, 8);
    TRY(cpu.store_bytes(at, bytes, size));
    return next(cpu, i);
}

// ---- LDTR and TR ----------------------------------------------------------------------------------------------------

/// A selector from a register or from memory, for instructions that only protected mode knows.
Faultable<u16> selector_operand(Cpu& cpu, const Instruction& i) {
    if (i.third)
        return load_operand<u16, AnyAddress>(cpu, i);
    return get<u16>(cpu, i.reg);
}

Outcome lldt(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::descriptor_table, i, displacement(i));
    TRY(load_ldtr(cpu, TRY(selector_operand(cpu, i))));
    return next(cpu, i);
}

Outcome ltr(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    if (!privileged(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::descriptor_table, i, displacement(i));
    TRY(load_tr(cpu, TRY(selector_operand(cpu, i))));
    return next(cpu, i);
}

template <SegmentName name> Outcome store_selector(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    if (prevented(cpu))
        return cpu.gp();
    INTERCEPT(cpu, Intercept::descriptor_table, i, displacement(i));
    const u16 selector = cpu.segments[name].selector;
    if (i.third)
        TRY((store_operand<u16, AnyAddress>(cpu, i, selector)));
    else
        set_sized(cpu, i.reg, i.operand_size, selector);
    return next(cpu, i);
}

// ---- questions about selectors --------------------------------------------------------------------------------------

constexpr u32 types(std::initializer_list<unsigned> list) {
    u32 mask = 0;
    for (const unsigned t : list)
        mask |= 1u << t;
    return mask;
}

/// System descriptors that LAR and LSL accept.
constexpr u32 lar_types = types({1, 2, 3, 4, 5, 9, 11, 12}), lar_types_long = types({2, 9, 11, 12}), lsl_types = types({1, 2, 3, 9, 11}),
              lsl_types_long = types({2, 9, 11});

/// The descriptor, when the program may see it and it is of an accepted kind.
Faultable<bool> visible(Cpu& cpu, u16 selector, u32 system_types, Descriptor& d) {
    if (null_selector(selector) || !in_table(cpu, selector))
        return false;
    d = TRY(read_descriptor(cpu, selector));
    if (!d.segment() && !((system_types >> d.type()) & 1))
        return false;
    return d.conforming() || (d.dpl() >= cpu.cpl && d.dpl() >= (selector & 3));
}

Outcome lar(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    const u16 selector = i.third ? TRY((load_operand<u16, AnyAddress>(cpu, i))) : get<u16>(cpu, i.rm);
    Descriptor d;
    const bool ok = TRY(visible(cpu, selector, cpu.long_mode() ? lar_types_long : lar_types, d));
    set_zf(cpu, ok);
    if (ok)
        set_sized(cpu, i.reg, i.operand_size, (d.low >> 32) & (i.operand_size == 2 ? 0xff00 : 0xff'ff00));
    return next(cpu, i);
}

Outcome lsl(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    const u16 selector = i.third ? TRY((load_operand<u16, AnyAddress>(cpu, i))) : get<u16>(cpu, i.rm);
    Descriptor d;
    const bool ok = TRY(visible(cpu, selector, cpu.long_mode() ? lsl_types_long : lsl_types, d));
    set_zf(cpu, ok);
    if (ok)
        set_sized(cpu, i.reg, i.operand_size, d.limit());
    return next(cpu, i);
}

template <bool write> Outcome verify(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    const u16 selector = TRY(selector_operand(cpu, i));
    Descriptor d;
    const bool seen = TRY(visible(cpu, selector, 0, d));
    set_zf(cpu, seen && (write ? d.writable() : d.readable()));
    return next(cpu, i);
}

Outcome arpl(Cpu& cpu, const Instruction& i) {
    if (!protected_only(cpu))
        return cpu.ud();
    const bool memory = i.third;
    // reg is the first register operand: with a memory destination that is the source.
    const u16 source = get<u16>(cpu, memory ? i.reg : i.rm);
    Linear at{};
    u16 selector;
    if (memory) {
        at = TRY(cpu.address(i, 2, Use::write));
        selector = TRY(cpu.load_for_write<u16>(at));
    } else {
        selector = get<u16>(cpu, i.reg);
    }
    const bool adjusted = (selector & 3) < (source & 3);
    if (adjusted) {
        selector = static_cast<u16>((selector & ~3) | (source & 3));
        if (memory)
            TRY(cpu.store<u16>(at, selector));
        else
            set<u16>(cpu, i.reg, selector);
    }
    set_zf(cpu, adjusted);
    return next(cpu, i);
}

// ---- binding: `third` tells a memory operand, `operand_size` is the register's --------------------------------------------

template <Handler handler> Handler bind_selector(const Decoded& d, Instruction& out) {
    const bool memory = d.is_memory(0) || d.is_memory(1);
    out.third = memory;
    if (d.is_register(0))
        out.operand_size = static_cast<u8>(d.operand(0).size / 8);
    return handler;
}

} // namespace

std::span<const OpRow> table_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_LGDT, bind_to<load_table<&State::gdtr>>},
        {ZYDIS_MNEMONIC_LIDT, bind_to<load_table<&State::idtr>>},
        {ZYDIS_MNEMONIC_SGDT, bind_to<store_table<&State::gdtr>>},
        {ZYDIS_MNEMONIC_SIDT, bind_to<store_table<&State::idtr>>},
        {ZYDIS_MNEMONIC_LLDT, bind_selector<lldt>},
        {ZYDIS_MNEMONIC_LTR, bind_selector<ltr>},
        {ZYDIS_MNEMONIC_SLDT, bind_selector<store_selector<ldtr>>},
        {ZYDIS_MNEMONIC_STR, bind_selector<store_selector<tr>>},
        {ZYDIS_MNEMONIC_LAR, bind_selector<lar>},
        {ZYDIS_MNEMONIC_LSL, bind_selector<lsl>},
        {ZYDIS_MNEMONIC_VERR, bind_selector<verify<false>>},
        {ZYDIS_MNEMONIC_VERW, bind_selector<verify<true>>},
        {ZYDIS_MNEMONIC_ARPL, bind_selector<arpl>},
    };
    return rows;
}

} // namespace vitrine::ops
