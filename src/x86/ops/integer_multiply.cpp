// SPDX-License-Identifier: Apache-2.0
// MUL, IMUL with one, two and three operands, MULX, DIV and IDIV.
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"
#include "x86/ops/multiply.h"

namespace vitrine::ops {

namespace {

template <class T, bool memory> Faultable<T> source(Cpu& cpu, const Instruction& i, u16 offset) {
    if constexpr (memory)
        return load_operand<T, AnyAddress>(cpu, i);
    else
        return get<T>(cpu, offset);
}

/// Upper and lower half to RDX and RAX; for bytes that is AH and AL.
template <class T> void set_double(Cpu& cpu, Double<T> value) {
    if constexpr (sizeof(T) == 1) {
        set<u16>(cpu, rax, value);
    } else {
        set<T>(cpu, rax, static_cast<T>(value));
        set<T>(cpu, rdx, static_cast<T>(value >> width<T>));
    }
}

template <class Op, class T, bool memory> Outcome multiply(Cpu& cpu, const Instruction& i) {
    const T b = TRY((source<T, memory>(cpu, i, i.reg)));
    set_double<T>(cpu, Op::apply(get<T>(cpu, rax), b, cpu.status));
    return next(cpu, i);
}

template <class Op> Handler bind_multiply(const Decoded& d) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        return d.is_memory(0) ? multiply<Op, T, true> : multiply<Op, T, false>;
    });
}

Handler bind_mul(const Decoded& d, Instruction&) { return bind_multiply<Mul>(d); }

template <class T, bool memory> Outcome imul_two(Cpu& cpu, const Instruction& i) {
    const T b = TRY((source<T, memory>(cpu, i, i.rm)));
    set<T>(cpu, i.reg, static_cast<T>(Imul::apply(get<T>(cpu, i.reg), b, cpu.status)));
    return next(cpu, i);
}

template <class T, bool memory> Outcome imul_three(Cpu& cpu, const Instruction& i) {
    const T b = TRY((source<T, memory>(cpu, i, i.rm)));
    set<T>(cpu, i.reg, static_cast<T>(Imul::apply(b, static_cast<T>(i.immediate), cpu.status)));
    return next(cpu, i);
}

Handler bind_imul(const Decoded& d, Instruction&) {
    if (d.visible() == 1)
        return bind_multiply<Imul>(d);
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.visible() == 3)
            return d.is_memory(1) ? imul_three<T, true> : imul_three<T, false>;
        return d.is_memory(1) ? imul_two<T, true> : imul_two<T, false>;
    });
}

/// Upper half to the first operand, lower half to the second; where both are one register, the upper half stays.
template <class T, bool memory> Outcome mulx(Cpu& cpu, const Instruction& i) {
    const T b = TRY((source<T, memory>(cpu, i, i.third)));
    u16 unused = 0;
    const Double<T> r = Mul::apply(get<T>(cpu, rdx), b, unused);
    set<T>(cpu, i.rm, static_cast<T>(r));
    set<T>(cpu, i.reg, static_cast<T>(r >> width<T>));
    return next(cpu, i);
}

Handler bind_mulx(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_memory(2) ? mulx<T, true> : mulx<T, false>; });
}

/// Flags stay as they are (undefined_flags.h).
template <class Op, class T, bool memory> Outcome divide(Cpu& cpu, const Instruction& i) {
    const T divisor = TRY((source<T, memory>(cpu, i, i.reg)));
    const T low = get<T>(cpu, rax);
    const T high = sizeof(T) == 1 ? get<T>(cpu, u16{1}) : get<T>(cpu, rdx);
    T quotient, remainder;
    if (!Op::apply(low, high, divisor, quotient, remainder))
        return cpu.raise(Vector::de);
    set<T>(cpu, rax, quotient);
    if constexpr (sizeof(T) == 1)
        set<T>(cpu, u16{1}, remainder);
    else
        set<T>(cpu, rdx, remainder);
    return next(cpu, i);
}

template <class Op> Handler bind_divide(const Decoded& d, Instruction&) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        return d.is_memory(0) ? divide<Op, T, true> : divide<Op, T, false>;
    });
}

} // namespace

std::span<const OpRow> multiply_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_MUL, bind_mul},         {ZYDIS_MNEMONIC_IMUL, bind_imul},         {ZYDIS_MNEMONIC_MULX, bind_mulx},
        {ZYDIS_MNEMONIC_DIV, bind_divide<Div>}, {ZYDIS_MNEMONIC_IDIV, bind_divide<Idiv>},
    };
    return rows;
}

} // namespace vitrine::ops
