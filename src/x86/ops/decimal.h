// SPDX-License-Identifier: Apache-2.0
// Decimal adjustment: the manual's pseudocode for AAA to DAS, with Intel's values where it leaves flags open (undefined_flags.h).
#pragma once

#include "x86/ops/arith.h"

namespace vitrine::ops {

/// DAA and DAS correct AL after an addition or a subtraction of packed digits. OF ends clear.
template <bool subtract> inline u8 adjust_packed(u8 al, u16& s) {
    const u8 old = al;
    const bool old_carry = s & status::cf, low = (al & 0xf) > 9 || (s & status::af);
    bool carry = false;
    if (low) {
        carry = old_carry || (subtract ? al < 6 : al > 0xf9);
        al = static_cast<u8>(subtract ? al - 6 : al + 6);
    }
    if (old > 0x99 || old_carry) {
        al = static_cast<u8>(subtract ? al - 0x60 : al + 0x60);
        carry = true;
    }
    s = of_result(al) | bit_if(carry, status::cf) | bit_if(low, status::af);
    return al;
}

/// AAA and AAS correct AX after an addition or a subtraction of unpacked digits.
template <bool subtract> inline u16 adjust_unpacked(u16 ax, u16& s) {
    const bool adjust = (ax & 0xf) > 9 || (s & status::af);
    if (adjust)
        ax = static_cast<u16>(subtract ? ax - 0x106 : ax + 0x106);
    ax &= 0xff0f;
    s = of_result(static_cast<u8>(ax)) | bit_if(adjust, status::cf | status::af);
    return ax;
}

/// AAM: AL to quotient and remainder. The base is not zero (#DE is the caller's).
inline u16 split_digits(u8 al, u8 base, u16& s) {
    const u8 low = al % base;
    s = of_result(low);
    return static_cast<u16>((al / base) << 8 | low);
}

/// AAD: AH * base + AL; the flags are those of the byte addition.
inline u16 join_digits(u16 ax, u8 base, u16& s) {
    return Add::apply(static_cast<u8>(ax), static_cast<u8>((ax >> 8) * base), s);
}

} // namespace vitrine::ops
