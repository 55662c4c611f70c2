// SPDX-License-Identifier: Apache-2.0
// BT to BTC, BSF and BSR, counts, BMI1, PDEP, PEXT, BZHI and CRC32.
#include "x86/ops/bit_arith.h"
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"

namespace vitrine::ops {

namespace {

// ---- bit tests ------------------------------------------------------------------------------------------------------

template <class Op, class T, bool immediate> Outcome test_r(Cpu& cpu, const Instruction& i) {
    const u64 n = immediate ? i.immediate : get<T>(cpu, i.rm);
    const T r = bit_test<Op>(get<T>(cpu, i.reg), n & (width<T> - 1), cpu.status);
    if constexpr (Op::writes)
        set<T>(cpu, i.reg, r);
    return next(cpu, i);
}

template <class Op, class T> Outcome test_at(Cpu& cpu, const Instruction& i, const Instruction& operand, unsigned n) {
    if constexpr (Op::writes) {
        TRY(modify_operand<T, AnyAddress>(cpu, operand, [&](T v) { return bit_test<Op>(v, n, cpu.status); }));
    } else {
        const T v = TRY(load_operand<T, AnyAddress>(cpu, operand));
        bit_test<Op>(v, n, cpu.status);
    }
    return next(cpu, i);
}

template <class Op, class T> Outcome test_mi(Cpu& cpu, const Instruction& i) {
    return test_at<Op, T>(cpu, i, i, i.immediate & (width<T> - 1));
}

/// A register counts bits from the operand's address, in both directions: whole words of T are added to the address.
template <class Op, class T> Outcome test_mr(Cpu& cpu, const Instruction& i) {
    const i64 n = static_cast<std::make_signed_t<T>>(get<T>(cpu, i.reg));
    Instruction operand = i;
    operand.displacement += (n >> std::countr_zero(width<T>)) * static_cast<i64>(sizeof(T));
    return test_at<Op, T>(cpu, i, operand, static_cast<unsigned>(n) & (width<T> - 1));
}

template <class Op> Handler bind_test(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_register(0))
            return d.is_immediate(1) ? test_r<Op, T, true> : test_r<Op, T, false>;
        return d.is_immediate(1) ? test_mi<Op, T> : test_mr<Op, T>;
    });
}

// ---- register := f(source) ------------------------------------------------------------------------------------------

template <class T, bool memory> Faultable<T> source(Cpu& cpu, const Instruction& i, u16 offset) {
    if constexpr (memory)
        return load_operand<T, AnyAddress>(cpu, i);
    else
        return get<T>(cpu, offset);
}

/// A source of zero leaves the whole destination register as it was.
template <class Op, class T, bool memory> Outcome scan(Cpu& cpu, const Instruction& i) {
    const T v = TRY((source<T, memory>(cpu, i, i.rm)));
    const unsigned index = v == 0 ? 0 : Op::index(v);
    if (v != 0)
        set<T>(cpu, i.reg, static_cast<T>(index));
    cpu.status = scan_status(index, v == 0);
    return next(cpu, i);
}

template <class Op> Handler bind_scan(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_memory(1) ? scan<Op, T, true> : scan<Op, T, false>; });
}

template <class Op, class T, bool memory> Outcome unary(Cpu& cpu, const Instruction& i) {
    const T v = TRY((source<T, memory>(cpu, i, i.rm)));
    set<T>(cpu, i.reg, Op::apply(v, cpu.status));
    return next(cpu, i);
}

template <class Op> Handler bind_unary(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler { return d.is_memory(1) ? unary<Op, T, true> : unary<Op, T, false>; });
}

// ---- register := f(first, second), one of which may be memory ---------------------------------------------------------

/// ANDN, PDEP and PEXT have memory last.
template <class Op, class T, bool memory> Outcome memory_last(Cpu& cpu, const Instruction& i) {
    const T b = TRY((source<T, memory>(cpu, i, i.third)));
    set<T>(cpu, i.reg, Op::apply(get<T>(cpu, i.rm), b, cpu.status));
    return next(cpu, i);
}

/// BEXTR and BZHI have memory in the middle.
template <class Op, class T, bool memory> Outcome memory_middle(Cpu& cpu, const Instruction& i) {
    const T a = TRY((source<T, memory>(cpu, i, i.rm)));
    set<T>(cpu, i.reg, Op::apply(a, get<T>(cpu, memory ? i.rm : i.third), cpu.status));
    return next(cpu, i);
}

template <class Op> Handler bind_memory_last(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if constexpr (sizeof(T) >= 4)
            return d.is_memory(2) ? memory_last<Op, T, true> : memory_last<Op, T, false>;
        else
            return nullptr;
    });
}

template <class Op> Handler bind_memory_middle(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if constexpr (sizeof(T) >= 4)
            return d.is_memory(1) ? memory_middle<Op, T, true> : memory_middle<Op, T, false>;
        else
            return nullptr;
    });
}

// ---- CRC32 ----------------------------------------------------------------------------------------------------------

/// The destination holds 32 bits whatever its name; its upper half is cleared.
template <class T, bool memory> Outcome crc32(Cpu& cpu, const Instruction& i) {
    const T data = TRY((source<T, memory>(cpu, i, i.rm)));
    set<u32>(cpu, i.reg, crc32c<T>(get<u32>(cpu, i.reg), data));
    return next(cpu, i);
}

Handler bind_crc32(const Decoded& d, Instruction&) {
    return by_width(bits_of(d, 1), [&]<class T>() -> Handler { return d.is_memory(1) ? crc32<T, true> : crc32<T, false>; });
}

} // namespace

std::span<const OpRow> bit_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_BT, bind_test<Bt>},
        {ZYDIS_MNEMONIC_BTS, bind_test<Bts>},
        {ZYDIS_MNEMONIC_BTR, bind_test<Btr>},
        {ZYDIS_MNEMONIC_BTC, bind_test<Btc>},
        {ZYDIS_MNEMONIC_BSF, bind_scan<Bsf>},
        {ZYDIS_MNEMONIC_BSR, bind_scan<Bsr>},
        {ZYDIS_MNEMONIC_LZCNT, bind_unary<Lzcnt>},
        {ZYDIS_MNEMONIC_TZCNT, bind_unary<Tzcnt>},
        {ZYDIS_MNEMONIC_POPCNT, bind_unary<Popcnt>},
        {ZYDIS_MNEMONIC_BLSI, bind_unary<Blsi>},
        {ZYDIS_MNEMONIC_BLSMSK, bind_unary<Blsmsk>},
        {ZYDIS_MNEMONIC_BLSR, bind_unary<Blsr>},
        {ZYDIS_MNEMONIC_ANDN, bind_memory_last<Andn>},
        {ZYDIS_MNEMONIC_PDEP, bind_memory_last<Pdep>},
        {ZYDIS_MNEMONIC_PEXT, bind_memory_last<Pext>},
        {ZYDIS_MNEMONIC_BEXTR, bind_memory_middle<Bextr>},
        {ZYDIS_MNEMONIC_BZHI, bind_memory_middle<Bzhi>},
        {ZYDIS_MNEMONIC_CRC32, bind_crc32},
    };
    return rows;
}

} // namespace vitrine::ops
