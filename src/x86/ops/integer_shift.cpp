// SPDX-License-Identifier: Apache-2.0
// Shifts, rotates and double shifts by one, by an immediate and by CL; the BMI2 shifts that leave the flags alone.
#include "x86/ops/bit_arith.h"
#include "x86/ops/forms.h"
#include "x86/ops/integer.h"
#include "x86/ops/shifts.h"

namespace vitrine::ops {

namespace {

/// Where the count comes from. Immediate counts are masked by the binder.
struct ByImmediate {
    template <class T> static unsigned count(const Cpu&, const Instruction& i) { return i.condition; }
};

struct ByCl {
    template <class T> static unsigned count(const Cpu& cpu, const Instruction&) { return masked_count<T>(cpu.gpr[rcx]); }
};

/// A count of zero changes no flag, but is still a write: the upper half is cleared, memory is written back.
template <class Op, class Count, class T> Outcome shift_r(Cpu& cpu, const Instruction& i) {
    const unsigned n = Count::template count<T>(cpu, i);
    T value = get<T>(cpu, i.reg);
    if (n != 0) [[likely]]
        value = Op::apply(value, n, cpu.status);
    set<T>(cpu, i.reg, value);
    return next(cpu, i);
}

template <class Op, class Count, class T> Outcome shift_m(Cpu& cpu, const Instruction& i) {
    const unsigned n = Count::template count<T>(cpu, i);
    TRY(modify_operand<T, AnyAddress>(cpu, i, [&](T v) { return n == 0 ? v : Op::apply(v, n, cpu.status); }));
    return next(cpu, i);
}

template <class ImmediateOp, class ClOp = ImmediateOp> Handler bind_shift(const Decoded& d, Instruction& out) {
    return by_width(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_immediate(1)) {
            out.condition = static_cast<u8>(masked_count<T>(out.immediate));
            return d.is_register(0) ? shift_r<ImmediateOp, ByImmediate, T> : shift_m<ImmediateOp, ByImmediate, T>;
        }
        return d.is_register(0) ? shift_r<ClOp, ByCl, T> : shift_m<ClOp, ByCl, T>;
    });
}

// ---- SHLD, SHRD -----------------------------------------------------------------------------------------------------

template <class Op, class Count, class T> Outcome double_r(Cpu& cpu, const Instruction& i) {
    const unsigned n = Count::template count<T>(cpu, i);
    T value = get<T>(cpu, i.reg);
    if (n != 0)
        value = Op::apply(value, get<T>(cpu, i.rm), n, cpu.status);
    set<T>(cpu, i.reg, value);
    return next(cpu, i);
}

template <class Op, class Count, class T> Outcome double_m(Cpu& cpu, const Instruction& i) {
    const unsigned n = Count::template count<T>(cpu, i);
    const T source = get<T>(cpu, i.reg);
    TRY(modify_operand<T, AnyAddress>(cpu, i, [&](T v) { return n == 0 ? v : Op::apply(v, source, n, cpu.status); }));
    return next(cpu, i);
}

template <class Op> Handler bind_double(const Decoded& d, Instruction& out) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_immediate(2)) {
            out.condition = static_cast<u8>(masked_count<T>(out.immediate));
            return d.is_register(0) ? double_r<Op, ByImmediate, T> : double_m<Op, ByImmediate, T>;
        }
        return d.is_register(0) ? double_r<Op, ByCl, T> : double_m<Op, ByCl, T>;
    });
}

// ---- RORX, SARX, SHLX, SHRX -----------------------------------------------------------------------------------------

/// Destination, source (register or memory), count (register or immediate).
template <class Op, class T, bool memory, bool immediate> Outcome flagless(Cpu& cpu, const Instruction& i) {
    T value;
    if constexpr (memory)
        value = TRY(load_operand<T, AnyAddress>(cpu, i));
    else
        value = get<T>(cpu, i.rm);
    const T n = immediate ? static_cast<T>(i.immediate) : get<T>(cpu, memory ? i.rm : i.third);
    set<T>(cpu, i.reg, Op::apply(value, n, cpu.status));
    return next(cpu, i);
}

template <class Op> Handler bind_flagless(const Decoded& d, Instruction&) {
    return by_word(bits_of(d, 0), [&]<class T>() -> Handler {
        if (d.is_immediate(2))
            return d.is_memory(1) ? flagless<Op, T, true, true> : flagless<Op, T, false, true>;
        return d.is_memory(1) ? flagless<Op, T, true, false> : flagless<Op, T, false, false>;
    });
}

} // namespace

std::span<const OpRow> shift_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_ROL, bind_shift<Rol<true>, Rol<false>>},
        {ZYDIS_MNEMONIC_ROR, bind_shift<Ror<true>, Ror<false>>},
        {ZYDIS_MNEMONIC_RCL, bind_shift<Rcl>},
        {ZYDIS_MNEMONIC_RCR, bind_shift<Rcr>},
        {ZYDIS_MNEMONIC_SHL, bind_shift<Shl>},
        {ZYDIS_MNEMONIC_SHR, bind_shift<Shr>},
        {ZYDIS_MNEMONIC_SAR, bind_shift<Sar>},
        {ZYDIS_MNEMONIC_SHLD, bind_double<Shld>},
        {ZYDIS_MNEMONIC_SHRD, bind_double<Shrd>},
        {ZYDIS_MNEMONIC_RORX, bind_flagless<Rorx>},
        {ZYDIS_MNEMONIC_SARX, bind_flagless<Sarx>},
        {ZYDIS_MNEMONIC_SHLX, bind_flagless<Shlx>},
        {ZYDIS_MNEMONIC_SHRX, bind_flagless<Shrx>},
    };
    return rows;
}

} // namespace vitrine::ops
