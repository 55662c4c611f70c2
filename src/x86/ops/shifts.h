// SPDX-License-Identifier: Apache-2.0
// Shifts, rotates and double shifts for each width, computed portably: the manual leaves OF open for counts above one, and hosts differ.
// The rule here is Intel's: OF is what the first step of one bit would leave (undefined_flags.h). Counts come masked and are not zero.
#pragma once

#include "x86/ops/status.h"

namespace vitrine::ops {

/// Shift counts are taken modulo 32, or modulo 64 for quadwords.
template <class T> constexpr unsigned masked_count(u64 count) { return count & (sizeof(T) == 8 ? 63 : 31); }

/// OF after one step to the left: the two top bits differ.
template <class T> constexpr bool left_overflow(T a) { return sign(a) != static_cast<bool>(a >> (width<T> - 2) & 1); }

struct Shl {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        T r;
        bool carry;
        if constexpr (sizeof(T) == 8) {
            r = a << n;
            carry = a >> (64 - n) & 1;
        } else {
            const u64 wide = u64{a} << n;
            r = static_cast<T>(wide);
            carry = wide >> width<T> & 1;
        }
        s = of_result(r) | bit_if(carry, status::cf) | bit_if(left_overflow(a), status::of);
        return r;
    }
};

struct Shr {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        const T r = static_cast<T>(u64{a} >> n);
        s = of_result(r) | bit_if(u64{a} >> (n - 1) & 1, status::cf) | bit_if(sign(a), status::of);
        return r;
    }
};

struct Sar {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        const i64 wide = static_cast<std::make_signed_t<T>>(a);
        const T r = static_cast<T>(wide >> n);
        s = of_result(r) | bit_if(wide >> (n - 1) & 1, status::cf);
        return r;
    }
};

/// ROL and ROR by an immediate above one leave OF alone; by CL they set it as the first step would.
constexpr u16 rotated(u16 s, bool carry, bool overflow, bool sets_overflow) {
    const u16 touched = sets_overflow ? status::cf | status::of : status::cf;
    return static_cast<u16>((s & ~touched) | ((bit_if(carry, status::cf) | bit_if(overflow, status::of)) & touched));
}

template <bool by_immediate> struct Rol {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        const T r = std::rotl(a, static_cast<int>(n));
        s = rotated(s, r & 1, left_overflow(a), !by_immediate || n == 1);
        return r;
    }
};

template <bool by_immediate> struct Ror {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        const T r = std::rotr(a, static_cast<int>(n));
        s = rotated(s, sign(r), sign(a) != static_cast<bool>(a & 1), !by_immediate || n == 1);
        return r;
    }
};

/// Rotates through the carry turn a word of width + 1 bits. A count that is a multiple of that leaves everything as it is.
struct Rcl {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        n %= width<T> + 1;
        if (n == 0)
            return a;
        const u128 word = u128{a} | u128{(s & status::cf) != 0} << width<T>;
        const u128 turned = word << n | word >> (width<T> + 1 - n);
        s = rotated(s, turned >> width<T> & 1, left_overflow(a), true);
        return static_cast<T>(turned);
    }
};

struct Rcr {
    template <class T> static T apply(T a, unsigned n, u16& s) {
        n %= width<T> + 1;
        if (n == 0)
            return a;
        const bool carry = s & status::cf;
        const u128 word = u128{a} | u128{carry} << width<T>;
        const u128 turned = word >> n | word << (width<T> + 1 - n);
        s = rotated(s, turned >> width<T> & 1, sign(a) != carry, true);
        return static_cast<T>(turned);
    }
};

/// SHLD and SHRD. For words, counts above 16 are undefined; Intel turns destination:source:destination.
struct Shld {
    template <class T> static T apply(T a, T b, unsigned n, u16& s) {
        T r;
        bool carry;
        if constexpr (sizeof(T) == 2) {
            const u128 turned = u128{u64{a} << 32 | u64{b} << 16 | a} << n;
            r = static_cast<T>(turned >> 32);
            carry = turned >> 48 & 1;
        } else {
            r = static_cast<T>(a << n | b >> (width<T> - n));
            carry = a >> (width<T> - n) & 1;
        }
        s = of_result(r) | bit_if(carry, status::cf) | bit_if(left_overflow(a), status::of);
        return r;
    }
};

struct Shrd {
    template <class T> static T apply(T a, T b, unsigned n, u16& s) {
        u128 word = u128{a} | u128{b} << width<T>;
        if constexpr (sizeof(T) == 2)
            word |= u128{a} << 32;
        const T r = static_cast<T>(word >> n);
        s = of_result(r) | bit_if(word >> (n - 1) & 1, status::cf) | bit_if(sign(a) != static_cast<bool>(b & 1), status::of);
        return r;
    }
};

} // namespace vitrine::ops
