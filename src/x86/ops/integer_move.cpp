// SPDX-License-Identifier: Apache-2.0
// Moves: MOV, MOVNTI, MOVDIRI, MOVDIR64B, MOVZX, MOVSX, MOVSXD, MOVBE, LEA, CMOVcc, SETcc, XLAT, and the sign extensions of the accumulator.
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

#include <algorithm>

namespace vitrine::ops {

namespace {

// ---- MOV. Forms with segment, control and debug registers belong to the system rows. --------------------------------

template <class T> Outcome mov_rr(Cpu& cpu, const Instruction& i) {
    set<T>(cpu, i.reg, get<T>(cpu, i.rm));
    return next(cpu, i);
}

template <class T> Outcome mov_ri(Cpu& cpu, const Instruction& i) {
    set<T>(cpu, i.reg, static_cast<T>(i.immediate));
    return next(cpu, i);
}

template <class T, class A> Outcome mov_rm(Cpu& cpu, const Instruction& i) {
    const T value = TRY(load_operand<T, A>(cpu, i));
    set<T>(cpu, i.reg, value);
    return next(cpu, i);
}

template <class T, class A> Outcome mov_mr(Cpu& cpu, const Instruction& i) {
    TRY(store_operand<T, A>(cpu, i, get<T>(cpu, i.reg)));
    return next(cpu, i);
}

template <class T, class A> Outcome mov_mi(Cpu& cpu, const Instruction& i) {
    TRY(store_operand<T, A>(cpu, i, static_cast<T>(i.immediate)));
    return next(cpu, i);
}

Handler bind_mov(const Decoded& d, Instruction& out) {
    if (!general_operands(d))
        return nullptr;
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_register(0) && d.is_register(1))
            return mov_rr<T>;
        if (d.is_register(0) && d.is_immediate(1))
            return mov_ri<T>;
        return by_address(out, [&]<class A>() -> Handler {
            if (d.is_register(0))
                return mov_rm<T, A>;
            return d.is_register(1) ? mov_mr<T, A> : mov_mi<T, A>;
        });
    });
}

// ---- MOVDIR64B ------------------------------------------------------------------------------------------------------

/// The destination is ES: and the register, in the address size.
Outcome movdir64b(Cpu& cpu, const Instruction& i) {
    constexpr unsigned size = 64;
    const u64 offset = get<u64>(cpu, i.reg) & i.address_mask;
    u8 data[size];
    TRY(cpu.load_bytes(TRY(cpu.address(i, size, Use::read)), data, size));
    const Linear to = TRY(cpu.segmented(es, offset, size, Use::write));
    if (to.value % size)
        return cpu.gp();
    TRY(cpu.store_bytes(to, data, size));
    return next(cpu, i);
}

Handler bind_movdir64b(const Decoded&, Instruction&) { return movdir64b; }

// ---- MOVZX, MOVSX, MOVSXD -------------------------------------------------------------------------------------------

/// To is the width written, From the width (and signedness) read.
template <class To, class From> Outcome extend_r(Cpu& cpu, const Instruction& i) {
    set<To>(cpu, i.reg, static_cast<To>(get<From>(cpu, i.rm)));
    return next(cpu, i);
}

template <class To, class From, class A> Outcome extend_m(Cpu& cpu, const Instruction& i) {
    const From value = TRY(load_operand<From, A>(cpu, i));
    set<To>(cpu, i.reg, static_cast<To>(value));
    return next(cpu, i);
}

template <bool is_signed> Handler bind_extend(const Decoded& d, Instruction& out) {
    return by_word(bits_of(d, 0), [&]<class To>() -> Handler {
        // MOVSXD with a 16- or 32-bit destination is a plain move; with a 16-bit one Intel's processors read 16 bits.
        return by_width(std::min(bits_of(d, 0), bits_of(d, 1)), [&]<class Bits>() -> Handler {
            if constexpr (sizeof(Bits) > sizeof(To)) {
                return nullptr;
            } else {
                using From = std::conditional_t<is_signed, std::make_signed_t<Bits>, Bits>;
                if (d.is_register(1))
                    return extend_r<To, From>;
                return by_address(out, []<class A>() -> Handler { return extend_m<To, From, A>; });
            }
        });
    });
}

// ---- MOVBE ----------------------------------------------------------------------------------------------------------

template <class T> T reversed(T v) {
    if constexpr (sizeof(T) == 2)
        return __builtin_bswap16(v);
    else if constexpr (sizeof(T) == 4)
        return __builtin_bswap32(v);
    else
        return __builtin_bswap64(v);
}

template <class T> Outcome movbe_load(Cpu& cpu, const Instruction& i) {
    const T value = TRY(load_operand<T, AnyAddress>(cpu, i));
    set<T>(cpu, i.reg, reversed(value));
    return next(cpu, i);
}

template <class T> Outcome movbe_store(Cpu& cpu, const Instruction& i) {
    TRY(store_operand<T, AnyAddress>(cpu, i, reversed(get<T>(cpu, i.reg))));
    return next(cpu, i);
}

Handler bind_movbe(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_register(0) ? movbe_load<T> : movbe_store<T>; });
}

// ---- LEA ------------------------------------------------------------------------------------------------------------

template <class T, class A> Outcome lea(Cpu& cpu, const Instruction& i) {
    set<T>(cpu, i.reg, static_cast<T>(A::offset(cpu, i)));
    return next(cpu, i);
}

Handler bind_lea(const Decoded& d, Instruction& out) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if (out.address_mask != ~0ull)
            return lea<T, AnyAddress>;
        return out.index == zero_register ? lea<T, BaseOnly> : lea<T, BaseIndex>;
    });
}

// ---- CMOVcc and SETcc -----------------------------------------------------------------------------------------------

template <unsigned condition, class T> Outcome cmov_r(Cpu& cpu, const Instruction& i) {
    const T value = get<T>(cpu, holds<condition>(cpu.status) ? i.rm : i.reg); // a 32-bit one clears the upper half either way
    set<T>(cpu, i.reg, value);
    return next(cpu, i);
}

/// The source is read (and may fault) whether the condition holds or not.
template <unsigned condition, class T> Outcome cmov_m(Cpu& cpu, const Instruction& i) {
    const T value = TRY(load_operand<T, AnyAddress>(cpu, i));
    set<T>(cpu, i.reg, holds<condition>(cpu.status) ? value : get<T>(cpu, i.reg));
    return next(cpu, i);
}

template <unsigned condition> Handler bind_cmov(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        return d.is_register(1) ? cmov_r<condition, T> : cmov_m<condition, T>;
    });
}

template <unsigned condition> Outcome set_r(Cpu& cpu, const Instruction& i) {
    set<u8>(cpu, i.reg, holds<condition>(cpu.status));
    return next(cpu, i);
}

template <unsigned condition> Outcome set_m(Cpu& cpu, const Instruction& i) {
    TRY(store_operand<u8, AnyAddress>(cpu, i, holds<condition>(cpu.status)));
    return next(cpu, i);
}

template <unsigned condition> Handler bind_set(const Decoded& d, Instruction&) {
    return d.is_register(0) ? set_r<condition> : set_m<condition>;
}

// ---- XLAT, CBW ... CQO ----------------------------------------------------------------------------------------------

/// The binder left the memory operand with RBX as its base; AL is added here.
Outcome xlat(Cpu& cpu, const Instruction& i) {
    Instruction with_al = i;
    with_al.displacement = get<u8>(cpu, rax);
    const u8 value = TRY(load_operand<u8, AnyAddress>(cpu, with_al));
    set<u8>(cpu, rax, value);
    return next(cpu, i);
}

template <class To, class From> Outcome extend_accumulator(Cpu& cpu, const Instruction& i) {
    set<To>(cpu, rax, static_cast<To>(static_cast<std::make_signed_t<From>>(get<From>(cpu, rax))));
    return next(cpu, i);
}

template <class T> Outcome spread_sign(Cpu& cpu, const Instruction& i) {
    set<T>(cpu, rdx, sign(get<T>(cpu, rax)) ? static_cast<T>(~T{0}) : T{0});
    return next(cpu, i);
}

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded&, Instruction&) { return handler; }

} // namespace

std::span<const OpRow> move_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_MOV, bind_mov},
        {ZYDIS_MNEMONIC_MOVNTI, bind_mov},
        {ZYDIS_MNEMONIC_MOVDIRI, bind_mov},
        {ZYDIS_MNEMONIC_MOVDIR64B, bind_movdir64b},
        {ZYDIS_MNEMONIC_MOVZX, bind_extend<false>},
        {ZYDIS_MNEMONIC_MOVSX, bind_extend<true>},
        {ZYDIS_MNEMONIC_MOVSXD, bind_extend<true>},
        {ZYDIS_MNEMONIC_MOVBE, bind_movbe},
        {ZYDIS_MNEMONIC_LEA, bind_lea},
        {ZYDIS_MNEMONIC_XLAT, bind<xlat>},
        {ZYDIS_MNEMONIC_CBW, bind<extend_accumulator<u16, u8>>},
        {ZYDIS_MNEMONIC_CWDE, bind<extend_accumulator<u32, u16>>},
        {ZYDIS_MNEMONIC_CDQE, bind<extend_accumulator<u64, u32>>},
        {ZYDIS_MNEMONIC_CWD, bind<spread_sign<u16>>},
        {ZYDIS_MNEMONIC_CDQ, bind<spread_sign<u32>>},
        {ZYDIS_MNEMONIC_CQO, bind<spread_sign<u64>>},
        {ZYDIS_MNEMONIC_CMOVO, bind_cmov<0>},
        {ZYDIS_MNEMONIC_CMOVNO, bind_cmov<1>},
        {ZYDIS_MNEMONIC_CMOVB, bind_cmov<2>},
        {ZYDIS_MNEMONIC_CMOVNB, bind_cmov<3>},
        {ZYDIS_MNEMONIC_CMOVZ, bind_cmov<4>},
        {ZYDIS_MNEMONIC_CMOVNZ, bind_cmov<5>},
        {ZYDIS_MNEMONIC_CMOVBE, bind_cmov<6>},
        {ZYDIS_MNEMONIC_CMOVNBE, bind_cmov<7>},
        {ZYDIS_MNEMONIC_CMOVS, bind_cmov<8>},
        {ZYDIS_MNEMONIC_CMOVNS, bind_cmov<9>},
        {ZYDIS_MNEMONIC_CMOVP, bind_cmov<10>},
        {ZYDIS_MNEMONIC_CMOVNP, bind_cmov<11>},
        {ZYDIS_MNEMONIC_CMOVL, bind_cmov<12>},
        {ZYDIS_MNEMONIC_CMOVNL, bind_cmov<13>},
        {ZYDIS_MNEMONIC_CMOVLE, bind_cmov<14>},
        {ZYDIS_MNEMONIC_CMOVNLE, bind_cmov<15>},
        {ZYDIS_MNEMONIC_SETO, bind_set<0>},
        {ZYDIS_MNEMONIC_SETNO, bind_set<1>},
        {ZYDIS_MNEMONIC_SETB, bind_set<2>},
        {ZYDIS_MNEMONIC_SETNB, bind_set<3>},
        {ZYDIS_MNEMONIC_SETZ, bind_set<4>},
        {ZYDIS_MNEMONIC_SETNZ, bind_set<5>},
        {ZYDIS_MNEMONIC_SETBE, bind_set<6>},
        {ZYDIS_MNEMONIC_SETNBE, bind_set<7>},
        {ZYDIS_MNEMONIC_SETS, bind_set<8>},
        {ZYDIS_MNEMONIC_SETNS, bind_set<9>},
        {ZYDIS_MNEMONIC_SETP, bind_set<10>},
        {ZYDIS_MNEMONIC_SETNP, bind_set<11>},
        {ZYDIS_MNEMONIC_SETL, bind_set<12>},
        {ZYDIS_MNEMONIC_SETNL, bind_set<13>},
        {ZYDIS_MNEMONIC_SETLE, bind_set<14>},
        {ZYDIS_MNEMONIC_SETNLE, bind_set<15>},
    };
    return rows;
}

} // namespace vitrine::ops
