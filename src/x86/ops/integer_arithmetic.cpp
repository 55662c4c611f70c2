// SPDX-License-Identifier: Apache-2.0
// ADD to TEST in all operand forms, and the one-operand group.
#include "x86/ops/arith.h"
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

namespace vitrine::ops {

namespace {

// Destination and source: r = register, m = memory, i = immediate. LOCK needs nothing: one processor runs at a time.

template <class Op, class T> Outcome rr(Cpu& cpu, const Instruction& i) {
    const T r = Op::apply(get<T>(cpu, i.reg), get<T>(cpu, i.rm), cpu.status);
    if constexpr (Op::writes)
        set<T>(cpu, i.reg, r);
    return next(cpu, i);
}

template <class Op, class T> Outcome ri(Cpu& cpu, const Instruction& i) {
    const T r = Op::apply(get<T>(cpu, i.reg), static_cast<T>(i.immediate), cpu.status);
    if constexpr (Op::writes)
        set<T>(cpu, i.reg, r);
    return next(cpu, i);
}

template <class Op, class T, class A> Outcome rm(Cpu& cpu, const Instruction& i) {
    const T source = TRY(load_operand<T, A>(cpu, i));
    const T r = Op::apply(get<T>(cpu, i.reg), source, cpu.status);
    if constexpr (Op::writes)
        set<T>(cpu, i.reg, r);
    return next(cpu, i);
}

template <class Op, class T, class A> Outcome into_memory(Cpu& cpu, const Instruction& i, T source) {
    if constexpr (Op::writes) {
        TRY(modify_operand<T, A>(cpu, i, [&](T value) { return Op::apply(value, source, cpu.status); }));
    } else {
        const T value = TRY(load_operand<T, A>(cpu, i));
        Op::apply(value, source, cpu.status);
    }
    return next(cpu, i);
}

template <class Op, class T, class A> Outcome mr(Cpu& cpu, const Instruction& i) {
    return into_memory<Op, T, A>(cpu, i, get<T>(cpu, i.reg));
}

template <class Op, class T, class A> Outcome mi(Cpu& cpu, const Instruction& i) {
    return into_memory<Op, T, A>(cpu, i, static_cast<T>(i.immediate));
}

template <class Op> Handler bind_two(const Decoded& d, Instruction& out) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_register(0) && d.is_register(1))
            return rr<Op, T>;
        if (d.is_register(0) && d.is_immediate(1))
            return ri<Op, T>;
        return by_address(out, [&]<class A>() -> Handler {
            if (d.is_register(0))
                return rm<Op, T, A>;
            return d.is_register(1) ? mr<Op, T, A> : mi<Op, T, A>;
        });
    });
}

template <class Op, class T> Outcome r(Cpu& cpu, const Instruction& i) {
    set<T>(cpu, i.reg, Op::apply(get<T>(cpu, i.reg), cpu.status));
    return next(cpu, i);
}

template <class Op, class T, class A> Outcome m(Cpu& cpu, const Instruction& i) {
    TRY(modify_operand<T, A>(cpu, i, [&](T value) { return Op::apply(value, cpu.status); }));
    return next(cpu, i);
}

template <class Op> Handler bind_one(const Decoded& d, Instruction& out) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_register(0))
            return r<Op, T>;
        return by_address(out, []<class A>() -> Handler { return m<Op, T, A>; });
    });
}

} // namespace

std::span<const OpRow> arithmetic_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_ADD, bind_two<Add>},   {ZYDIS_MNEMONIC_OR, bind_two<Or>},     {ZYDIS_MNEMONIC_ADC, bind_two<Adc>},
        {ZYDIS_MNEMONIC_SBB, bind_two<Sbb>},   {ZYDIS_MNEMONIC_AND, bind_two<And>},   {ZYDIS_MNEMONIC_SUB, bind_two<Sub>},
        {ZYDIS_MNEMONIC_XOR, bind_two<Xor>},   {ZYDIS_MNEMONIC_CMP, bind_two<Cmp>},   {ZYDIS_MNEMONIC_TEST, bind_two<Test>},
        {ZYDIS_MNEMONIC_ADCX, bind_two<Adcx>}, {ZYDIS_MNEMONIC_ADOX, bind_two<Adox>}, {ZYDIS_MNEMONIC_INC, bind_one<Inc>},
        {ZYDIS_MNEMONIC_DEC, bind_one<Dec>},   {ZYDIS_MNEMONIC_NEG, bind_one<Neg>},   {ZYDIS_MNEMONIC_NOT, bind_one<Not>},
    };
    return rows;
}

} // namespace vitrine::ops
