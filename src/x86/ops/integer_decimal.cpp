// SPDX-License-Identifier: Apache-2.0
// What 64-bit mode no longer has: AAA, AAD, AAM, AAS, DAA, DAS, SALC and BOUND.
#include "x86/ops/decimal.h"
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

namespace vitrine::ops {

namespace {

template <bool subtract> Outcome packed(Cpu& cpu, const Instruction& i) {
    set<u8>(cpu, rax, adjust_packed<subtract>(get<u8>(cpu, rax), cpu.status));
    return next(cpu, i);
}

template <bool subtract> Outcome unpacked(Cpu& cpu, const Instruction& i) {
    set<u16>(cpu, rax, adjust_unpacked<subtract>(get<u16>(cpu, rax), cpu.status));
    return next(cpu, i);
}

Outcome aam(Cpu& cpu, const Instruction& i) {
    const u8 base = static_cast<u8>(i.immediate);
    if (base == 0)
        return cpu.raise(Vector::de);
    set<u16>(cpu, rax, split_digits(get<u8>(cpu, rax), base, cpu.status));
    return next(cpu, i);
}

Outcome aad(Cpu& cpu, const Instruction& i) {
    set<u16>(cpu, rax, join_digits(get<u16>(cpu, rax), static_cast<u8>(i.immediate), cpu.status));
    return next(cpu, i);
}

/// Not in the manual, but in every Intel processor: AL from CF.
Outcome salc(Cpu& cpu, const Instruction& i) {
    set<u8>(cpu, rax, cpu.status & status::cf ? u8{0xff} : u8{0});
    return next(cpu, i);
}

/// Two signed words in memory, lower bound first; #BR outside of them.
template <class T> Outcome bound(Cpu& cpu, const Instruction& i) {
    using S = std::make_signed_t<T>;
    const Linear a = TRY(cpu.address(i, 2 * sizeof(T), Use::read));
    S limits[2];
    TRY(cpu.load_bytes(a, limits, sizeof limits));
    const S value = get<S>(cpu, i.reg);
    if (value < limits[0] || value > limits[1])
        return cpu.raise(Vector::br);
    return next(cpu, i);
}

Handler bind_bound(const Decoded& d, Instruction&) { return bits_of(d, 0) == 16 ? bound<u16> : bound<u32>; }

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded&, Instruction&) { return handler; }

} // namespace

std::span<const OpRow> decimal_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_DAA, bind<packed<false>>},   {ZYDIS_MNEMONIC_DAS, bind<packed<true>>},
        {ZYDIS_MNEMONIC_AAA, bind<unpacked<false>>}, {ZYDIS_MNEMONIC_AAS, bind<unpacked<true>>},
        {ZYDIS_MNEMONIC_AAM, bind<aam>},             {ZYDIS_MNEMONIC_AAD, bind<aad>},
        {ZYDIS_MNEMONIC_SALC, bind<salc>},           {ZYDIS_MNEMONIC_BOUND, bind_bound},
    };
    return rows;
}

} // namespace vitrine::ops
