// SPDX-License-Identifier: Apache-2.0
// RCPPS, RCPSS, RSQRTPS, RSQRTSS and their VEX forms in software: host makers answer differently, and a run's hash must not depend on
// the host. The rule is a table look-up that meets the architected bound (relative error at most 1.5 * 2^-12) and gives the very bits
// that Intel's processors give, found by comparing every mantissa interval with one:
//     reciprocal:  1 / m at the middle of one of 2048 intervals of the mantissa m, rounded to 12 bits behind the leading one;
//     square root: 1 / sqrt(m) the same way, with 1024 intervals for m in [1, 2) and 1024 for m in [2, 4).
// MXCSR has no say: denormals are zero, results too small are zero, no exception is raised.
#include "x86/ops/vector.h"

#include <array>

namespace vitrine {

namespace {

constexpr u32 sign_bit = 0x8000'0000, infinity = 0x7f80'0000, quiet = 0x0040'0000, indefinite = 0xffc0'0000;

/// round(2^25 / (4097 + 2i)): the 13-bit significand of twice the reciprocal.
constexpr u32 reciprocal_significand(u32 i) {
    const u32 d = 4097 + 2 * i;
    return ((1u << 26) / d + 1) / 2;
}

/// round(8192 / sqrt(m)), m = (2049 + 2i) / 2048 << odd, by an integer square root of 2^39 / m.
constexpr u32 root_significand(u32 i, bool odd) {
    const u64 square = (1ull << 39) / (u64{2049 + 2 * i} << odd);
    u64 root = 0;
    for (u64 b = 1ull << 16; b; b >>= 1)
        if ((root | b) * (root | b) <= square)
            root |= b;
    return static_cast<u32>((root + 1) / 2);
}

constexpr auto root_table = [] {
    std::array<std::array<u16, 1024>, 2> t{};
    for (u32 i = 0; i < 1024; ++i)
        for (const bool odd : {false, true})
            t[odd][i] = static_cast<u16>(root_significand(i, odd));
    return t;
}();

/// A float from a sign, the exponent of twice the significand, and a significand of 12 bits behind the leading one.
u32 compose(u32 sign, int exponent, u32 significand) {
    if (significand == 8192) {
        significand = 4096;
        ++exponent;
    }
    return exponent <= 0 ? sign : sign | static_cast<u32>(exponent) << 23 | (significand - 4096) << 11;
}

u32 reciprocal(u32 x) {
    const u32 sign = x & sign_bit, mantissa = x & 0x7f'ffff;
    const int exponent = static_cast<int>(x >> 23 & 0xff);
    if (exponent == 255)
        return mantissa ? x | quiet : sign;
    if (exponent == 0)
        return sign | infinity;
    return compose(sign, 253 - exponent, reciprocal_significand(mantissa >> 12));
}

u32 reciprocal_root(u32 x) {
    const u32 sign = x & sign_bit, mantissa = x & 0x7f'ffff;
    const int exponent = static_cast<int>(x >> 23 & 0xff);
    if (exponent == 255 && mantissa)
        return x | quiet;
    if (exponent == 0)
        return sign | infinity;
    if (sign)
        return indefinite;
    if (exponent == 255)
        return 0;
    const bool odd = !(exponent & 1); // the unbiased exponent is odd
    const int half = (exponent - 127 - odd) / 2;
    return compose(0, 126 - half, root_table[odd][mantissa >> 13]);
}

// Instruction: reg = destination, rm = source register, third = first source of a VEX scalar, condition = MXCSR-free kind below.
enum : u8 { root = 1, scalar = 2, vex = 4 };

template <bool memory> Outcome run_approximation(Cpu& cpu, const Instruction& i) {
    const u8 kind = i.condition;
    alignas(32) u32 source[8];
    if constexpr (memory) {
        const Linear a = TRY(cpu.address(i, i.operand_size, Use::read));
        if (!(kind & (vex | scalar)) && (a.value & 15))
            return cpu.gp();
        TRY(cpu.load_bytes(a, source, i.operand_size));
    } else {
        std::memcpy(source, cpu.fpu.zmm[i.rm].data(), i.operand_size);
    }
    const unsigned count = kind & scalar ? 1 : i.operand_size / 4u;
    for (unsigned n = 0; n < count; ++n)
        source[n] = kind & root ? reciprocal_root(source[n]) : reciprocal(source[n]);
    u8* const to = cpu.fpu.zmm[i.reg].data();
    if ((kind & (vex | scalar)) == (vex | scalar))
        std::memmove(to, cpu.fpu.zmm[i.third].data(), 16);
    std::memcpy(to, source, 4 * count);
    if (kind & vex)
        clear_upper(cpu, i.reg, kind & scalar ? 16 : 4 * count);
    return next(cpu, i);
}

u8 kind_of(ZydisMnemonic m) {
    switch (m) {
    case ZYDIS_MNEMONIC_RCPSS: return scalar;
    case ZYDIS_MNEMONIC_RSQRTPS: return root;
    case ZYDIS_MNEMONIC_RSQRTSS: return root | scalar;
    case ZYDIS_MNEMONIC_VRCPPS: return vex;
    case ZYDIS_MNEMONIC_VRCPSS: return vex | scalar;
    case ZYDIS_MNEMONIC_VRSQRTPS: return vex | root;
    case ZYDIS_MNEMONIC_VRSQRTSS: return vex | root | scalar;
    default: return 0;
    }
}

} // namespace

Handler bind_approximation(const Decoded& d, Instruction& out) {
    const VectorForm form(d);
    if (const Handler h = refused(d.mode, form.unit))
        return h;
    out.condition = kind_of(d.info.mnemonic);
    const unsigned source = (out.condition & (vex | scalar)) == (vex | scalar) ? 2 : 1;
    out.reg = static_cast<u8>(register_number(d.operand(0)));
    out.third = source == 2 ? static_cast<u16>(register_number(d.operand(1))) : u16{0};
    if (form.memory) {
        out.operand_size = form.memory_size;
        return run_approximation<true>;
    }
    out.rm = static_cast<u8>(register_number(d.operand(source)));
    out.operand_size = out.condition & scalar ? 4 : static_cast<u8>(d.operand(source).size / 8);
    return run_approximation<false>;
}

} // namespace vitrine
