// SPDX-License-Identifier: Apache-2.0
// XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B and BSWAP. One processor runs at a time, so LOCK changes nothing.
#include "x86/ops/arith.h"
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

namespace vitrine::ops {

namespace {

template <class T> Outcome xchg_rr(Cpu& cpu, const Instruction& i) {
    const T a = get<T>(cpu, i.reg), b = get<T>(cpu, i.rm);
    set<T>(cpu, i.reg, b);
    set<T>(cpu, i.rm, a);
    return next(cpu, i);
}

template <class T> Outcome xchg_mr(Cpu& cpu, const Instruction& i) {
    T old{};
    const T value = get<T>(cpu, i.reg);
    TRY(modify_operand<T, AnyAddress>(cpu, i, [&](T v) {
        old = v;
        return value;
    }));
    set<T>(cpu, i.reg, old);
    return next(cpu, i);
}

Handler bind_xchg(const Decoded& d, Instruction&) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        return d.is_register(0) && d.is_register(1) ? xchg_rr<T> : xchg_mr<T>;
    });
}

/// The source is written before the destination: XADD of a register with itself leaves the sum.
template <class T> Outcome xadd_rr(Cpu& cpu, const Instruction& i) {
    const T old = get<T>(cpu, i.reg);
    const T sum = Add::apply(old, get<T>(cpu, i.rm), cpu.status);
    set<T>(cpu, i.rm, old);
    set<T>(cpu, i.reg, sum);
    return next(cpu, i);
}

template <class T> Outcome xadd_mr(Cpu& cpu, const Instruction& i) {
    T old{};
    const T source = get<T>(cpu, i.reg);
    TRY(modify_operand<T, AnyAddress>(cpu, i, [&](T v) {
        old = v;
        return Add::apply(v, source, cpu.status);
    }));
    set<T>(cpu, i.reg, old);
    return next(cpu, i);
}

Handler bind_xadd(const Decoded& d, Instruction&) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_register(0) ? xadd_rr<T> : xadd_mr<T>; });
}

/// A register destination is not written when the comparison fails, not even its upper half (seen on Intel's processors).
template <class T> Outcome cmpxchg_rr(Cpu& cpu, const Instruction& i) {
    const T value = get<T>(cpu, i.reg), accumulator = get<T>(cpu, rax);
    Cmp::apply(accumulator, value, cpu.status);
    if (accumulator == value)
        set<T>(cpu, i.reg, get<T>(cpu, i.rm));
    else
        set<T>(cpu, rax, value);
    return next(cpu, i);
}

/// Memory is always written, with its old value when the comparison fails.
template <class T> Outcome cmpxchg_mr(Cpu& cpu, const Instruction& i) {
    T old{};
    const T source = get<T>(cpu, i.reg), accumulator = get<T>(cpu, rax);
    TRY(modify_operand<T, AnyAddress>(cpu, i, [&](T v) {
        old = v;
        return v == accumulator ? source : v;
    }));
    Cmp::apply(accumulator, old, cpu.status);
    if (old != accumulator)
        set<T>(cpu, rax, old);
    return next(cpu, i);
}

/// F3 90 with REX.B is XCHG with R8, not PAUSE: the prefix says nothing about it.
Handler bind_pause_of_r8(const Decoded& d, Instruction& out) {
    if (!(d.info.attributes & ZYDIS_ATTRIB_HAS_REX) || !d.info.raw.rex.B)
        return nullptr;
    bool narrow = false;
    for (unsigned n = 0; n < d.info.raw.prefix_count; ++n)
        narrow |= d.info.raw.prefixes[n].value == 0x66;
    out.reg = 8 * r8;
    out.rm = 8 * rax;
    return d.info.raw.rex.W ? xchg_rr<u64> : narrow ? xchg_rr<u16> : xchg_rr<u32>;
}

Handler bind_cmpxchg(const Decoded& d, Instruction&) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_register(0) ? cmpxchg_rr<T> : cmpxchg_mr<T>; });
}

/// CMPXCHG8B and CMPXCHG16B: T is half the operand. Only ZF changes.
template <class T, class Whole> Outcome cmpxchg_pair(Cpu& cpu, const Instruction& i) {
    const auto join = [](T high, T low) { return static_cast<Whole>(static_cast<Whole>(high) << width<T> | low); };
    const Linear a = TRY(cpu.address(i, sizeof(Whole), Use::write));
    if (sizeof(Whole) == 16 && a.value % 16 != 0)
        return cpu.gp();
    const Whole expected = join(get<T>(cpu, rdx), get<T>(cpu, rax)), wanted = join(get<T>(cpu, rcx), get<T>(cpu, rbx));
    Whole old{};
    TRY(modify_at<Whole>(cpu, a, [&](Whole v) {
        old = v;
        return v == expected ? wanted : v;
    }));
    cpu.status = static_cast<u16>((cpu.status & ~status::zf) | bit_if(old == expected, status::zf));
    if (old != expected) {
        set<T>(cpu, rax, static_cast<T>(old));
        set<T>(cpu, rdx, static_cast<T>(old >> width<T>));
    }
    return next(cpu, i);
}

template <class T, class Whole> Handler bind_pair(const Decoded&, Instruction&) { return cmpxchg_pair<T, Whole>; }

/// The word form is undefined; Intel's processors leave zero.
template <class T> Outcome bswap(Cpu& cpu, const Instruction& i) {
    const T v = get<T>(cpu, i.reg);
    if constexpr (sizeof(T) == 8)
        set<T>(cpu, i.reg, __builtin_bswap64(v));
    else if constexpr (sizeof(T) == 4)
        set<T>(cpu, i.reg, __builtin_bswap32(v));
    else
        set<T>(cpu, i.reg, T{0});
    return next(cpu, i);
}

Handler bind_bswap(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), []<class T>() -> Handler { return bswap<T>; });
}

} // namespace

std::span<const OpRow> exchange_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_XCHG, bind_xchg},
        {ZYDIS_MNEMONIC_PAUSE, bind_pause_of_r8},
        {ZYDIS_MNEMONIC_XADD, bind_xadd},
        {ZYDIS_MNEMONIC_CMPXCHG, bind_cmpxchg},
        {ZYDIS_MNEMONIC_CMPXCHG8B, bind_pair<u32, u64>},
        {ZYDIS_MNEMONIC_CMPXCHG16B, bind_pair<u64, u128>},
        {ZYDIS_MNEMONIC_BSWAP, bind_bswap},
    };
    return rows;
}

} // namespace vitrine::ops
