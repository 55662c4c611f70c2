// SPDX-License-Identifier: Apache-2.0
// Near branches: JMP, Jcc, CALL, RET, LOOP and the JCXZ family. Far ones belong to the system rows.
#include "x86/ops/stack.h"

#include "x86/ops.h"

namespace vitrine {

namespace ops {

namespace {

/// T is the operand size, which is also the width of the new instruction pointer; u64 means 64-bit mode.
template <class T> inline bool reachable(const Cpu& cpu, T target) {
    if constexpr (sizeof(T) == 8)
        return cpu.canonical(target);
    else
        return target <= cpu.segments[cs].limit;
}

template <class T> inline Outcome go(Cpu& cpu, T target) {
    if (!reachable<T>(cpu, target)) [[unlikely]]
        return cpu.gp();
    cpu.rip = target;
    return Outcome::branch;
}

/// The binder has added offset and length, so that the displacement counts from the start of the block.
template <class T> inline T relative_target(const Cpu& cpu, const Instruction& i) {
    return static_cast<T>(cpu.gpr[block_register] + i.immediate);
}

template <class T> inline T return_address(const Cpu& cpu, const Instruction& i) {
    return static_cast<T>(cpu.rip_of(i) + i.length);
}

/// Calls `f<T>()` with the operand size of a branch: in 64-bit mode always 64 (a prefix 66h is ignored, as Intel's processors do).
template <class F> Handler by_branch_width(const Decoded& d, Instruction& out, F f) {
    if (d.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return nullptr;
    if (d.is_immediate(0) && d.operand(0).imm.is_relative)
        out.immediate += static_cast<u64>(out.offset) + out.length;
    if (d.mode.bits == 64)
        return f.template operator()<u64>();
    return out.operand_size == 2 ? f.template operator()<u16>() : f.template operator()<u32>();
}

// ---- JMP, Jcc -------------------------------------------------------------------------------------------------------

template <class T> Outcome jump(Cpu& cpu, const Instruction& i) { return go<T>(cpu, relative_target<T>(cpu, i)); }

template <class T> Outcome jump_r(Cpu& cpu, const Instruction& i) { return go<T>(cpu, get<T>(cpu, i.reg)); }

template <class T, class A> Outcome jump_m(Cpu& cpu, const Instruction& i) {
    const T target = TRY((load_operand<T, A>(cpu, i)));
    return go<T>(cpu, target);
}

Handler bind_jmp(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, [&]<class T>() -> Handler {
        if (d.is_immediate(0))
            return jump<T>;
        if (d.is_register(0))
            return jump_r<T>;
        return by_address(out, []<class A>() -> Handler { return jump_m<T, A>; });
    });
}

template <unsigned condition, class T> Outcome jump_if(Cpu& cpu, const Instruction& i) {
    return holds<condition>(cpu.status) ? go<T>(cpu, relative_target<T>(cpu, i)) : next(cpu, i);
}

template <unsigned condition> Handler bind_jcc(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, []<class T>() -> Handler { return jump_if<condition, T>; });
}

// ---- CALL, RET ------------------------------------------------------------------------------------------------------

/// The target is checked before anything is pushed, and RSP moves only when all is well.
template <class T> inline Outcome call_to(Cpu& cpu, const Instruction& i, T target) {
    if (!reachable<T>(cpu, target)) [[unlikely]]
        return cpu.gp();
    TRY(push<T>(cpu, return_address<T>(cpu, i)));
    cpu.rip = target;
    return Outcome::branch;
}

template <class T> Outcome call(Cpu& cpu, const Instruction& i) { return call_to<T>(cpu, i, relative_target<T>(cpu, i)); }

template <class T> Outcome call_r(Cpu& cpu, const Instruction& i) { return call_to<T>(cpu, i, get<T>(cpu, i.reg)); }

template <class T, class A> Outcome call_m(Cpu& cpu, const Instruction& i) {
    const T target = TRY((load_operand<T, A>(cpu, i)));
    return call_to<T>(cpu, i, target);
}

Handler bind_call(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, [&]<class T>() -> Handler {
        if (d.is_immediate(0))
            return call<T>;
        if (d.is_register(0))
            return call_r<T>;
        return by_address(out, []<class A>() -> Handler { return call_m<T, A>; });
    });
}

/// RSP moves only when the target is good. The immediate, if any, is the number of bytes to drop behind the return address.
template <class T> Outcome ret(Cpu& cpu, const Instruction& i) {
    const T target = TRY(peek<T>(cpu));
    if (!reachable<T>(cpu, target)) [[unlikely]]
        return cpu.gp();
    drop<T>(cpu, i.immediate);
    cpu.rip = target;
    return Outcome::branch;
}

Handler bind_ret(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, []<class T>() -> Handler { return ret<T>; });
}

// ---- LOOP, JCXZ -----------------------------------------------------------------------------------------------------

/// C is the width of the counter: the address size. `wanted` of ZF for LOOPE and LOOPNE, 2 when it does not matter.
template <class C, unsigned wanted, class T> Outcome loop(Cpu& cpu, const Instruction& i) {
    const C count = static_cast<C>(get<C>(cpu, rcx) - 1);
    const bool zero = cpu.status & status::zf;
    if (count != 0 && (wanted == 2 || zero == (wanted == 1))) {
        const T target = relative_target<T>(cpu, i);
        if (!reachable<T>(cpu, target))
            return cpu.gp(); // the counter keeps its value
        set<C>(cpu, rcx, count);
        cpu.rip = target;
        return Outcome::branch;
    }
    set<C>(cpu, rcx, count);
    return next(cpu, i);
}

template <class C, class T> Outcome jump_if_zero_count(Cpu& cpu, const Instruction& i) {
    return get<C>(cpu, rcx) == 0 ? go<T>(cpu, relative_target<T>(cpu, i)) : next(cpu, i);
}

template <unsigned wanted> Handler bind_loop(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, [&]<class T>() -> Handler {
        return by_word(out.address_size * 8, []<class C>() -> Handler { return loop<C, wanted, T>; });
    });
}

Handler bind_jcxz(const Decoded& d, Instruction& out) {
    return by_branch_width(d, out, [&]<class T>() -> Handler {
        return by_word(out.address_size * 8, []<class C>() -> Handler { return jump_if_zero_count<C, T>; });
    });
}

} // namespace

} // namespace ops

std::span<const OpRow> branch_rows() {
    using namespace ops;
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_JMP, bind_jmp, ends_block},       {ZYDIS_MNEMONIC_CALL, bind_call, ends_block},
        {ZYDIS_MNEMONIC_RET, bind_ret, ends_block},       {ZYDIS_MNEMONIC_LOOPNE, bind_loop<0>, ends_block},
        {ZYDIS_MNEMONIC_LOOPE, bind_loop<1>, ends_block}, {ZYDIS_MNEMONIC_LOOP, bind_loop<2>, ends_block},
        {ZYDIS_MNEMONIC_JCXZ, bind_jcxz, ends_block},     {ZYDIS_MNEMONIC_JECXZ, bind_jcxz, ends_block},
        {ZYDIS_MNEMONIC_JRCXZ, bind_jcxz, ends_block},    {ZYDIS_MNEMONIC_JO, bind_jcc<0>, ends_block},
        {ZYDIS_MNEMONIC_JNO, bind_jcc<1>, ends_block},    {ZYDIS_MNEMONIC_JB, bind_jcc<2>, ends_block},
        {ZYDIS_MNEMONIC_JNB, bind_jcc<3>, ends_block},    {ZYDIS_MNEMONIC_JZ, bind_jcc<4>, ends_block},
        {ZYDIS_MNEMONIC_JNZ, bind_jcc<5>, ends_block},    {ZYDIS_MNEMONIC_JBE, bind_jcc<6>, ends_block},
        {ZYDIS_MNEMONIC_JNBE, bind_jcc<7>, ends_block},   {ZYDIS_MNEMONIC_JS, bind_jcc<8>, ends_block},
        {ZYDIS_MNEMONIC_JNS, bind_jcc<9>, ends_block},    {ZYDIS_MNEMONIC_JP, bind_jcc<10>, ends_block},
        {ZYDIS_MNEMONIC_JNP, bind_jcc<11>, ends_block},   {ZYDIS_MNEMONIC_JL, bind_jcc<12>, ends_block},
        {ZYDIS_MNEMONIC_JNL, bind_jcc<13>, ends_block},   {ZYDIS_MNEMONIC_JLE, bind_jcc<14>, ends_block},
        {ZYDIS_MNEMONIC_JNLE, bind_jcc<15>, ends_block},
    };
    return rows;
}

} // namespace vitrine
