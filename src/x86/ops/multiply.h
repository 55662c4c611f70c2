// SPDX-License-Identifier: Apache-2.0
// Multiplication and division for each width. Division says "no" where the processor raises #DE.
#pragma once

#include "x86/ops/status.h"

namespace vitrine::ops {

template <class T>
using Double = std::conditional_t<
    sizeof(T) == 1, u16, std::conditional_t<sizeof(T) == 2, u32, std::conditional_t<sizeof(T) == 4, u64, u128>>>;
template <class T>
using SignedDouble = std::conditional_t<
    sizeof(T) == 1, i16, std::conditional_t<sizeof(T) == 2, i32, std::conditional_t<sizeof(T) == 4, i64, i128>>>;

/// CF and OF say that the upper half matters; SF and PF are those of the lower half, ZF and AF clear (undefined_flags.h).
template <class T> inline u16 product_status(T low, bool overflow) {
    return static_cast<u16>((of_result(low) & ~status::zf) | bit_if(overflow, status::cf | status::of));
}

struct Mul {
    template <class T> static Double<T> apply(T a, T b, u16& s) {
        const Double<T> r = static_cast<Double<T>>(static_cast<Double<T>>(a) * b);
        s = product_status(static_cast<T>(r), static_cast<T>(r >> width<T>) != 0);
        return r;
    }
};

struct Imul {
    template <class T> static Double<T> apply(T a, T b, u16& s) {
        using S = std::make_signed_t<T>;
        const SignedDouble<T> r = static_cast<SignedDouble<T>>(static_cast<SignedDouble<T>>(static_cast<S>(a)) * static_cast<S>(b));
        s = product_status(static_cast<T>(r), r != static_cast<S>(r));
        return static_cast<Double<T>>(r);
    }
};

/// False is #DE.
struct Div {
    template <class T> static bool apply(T low, T high, T divisor, T& quotient, T& remainder) {
        if (high >= divisor) // covers division by zero too
            return false;
        if constexpr (sizeof(T) == 8) {
            asm("div %4" : "=a"(quotient), "=d"(remainder) : "0"(low), "1"(high), "r"(divisor) : "cc");
        } else {
            const u64 dividend = u64{high} << width<T> | low;
            quotient = static_cast<T>(dividend / divisor);
            remainder = static_cast<T>(dividend % divisor);
        }
        return true;
    }
};

struct Idiv {
    template <class T> static bool apply(T low, T high, T divisor, T& quotient, T& remainder) {
        // By magnitudes: then the unsigned division says when the quotient is far too big, and one bit remains to be checked.
        const bool negative = sign(high), divisor_negative = sign(divisor);
        Double<T> dividend = static_cast<Double<T>>(static_cast<Double<T>>(high) << width<T> | low);
        if (negative)
            dividend = static_cast<Double<T>>(0 - dividend);
        const T d = divisor_negative ? static_cast<T>(0 - divisor) : divisor;
        T q, r;
        if (!Div::apply(static_cast<T>(dividend), static_cast<T>(dividend >> width<T>), d, q, r))
            return false;
        const bool quotient_negative = negative != divisor_negative;
        constexpr T top = static_cast<T>(T{1} << (width<T> - 1));
        if (quotient_negative ? q > top : q >= top)
            return false;
        quotient = quotient_negative ? static_cast<T>(0 - q) : q;
        remainder = negative ? static_cast<T>(0 - r) : r;
        return true;
    }
};

} // namespace vitrine::ops
