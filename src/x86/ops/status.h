// SPDX-License-Identifier: Apache-2.0
// The status word (State::status: AH as LAHF leaves it, AL as SETO does), its bits, and the sixteen conditions of Jcc.
#pragma once

#include "words/integers.h"

#include <bit>
#include <type_traits>

namespace vitrine::ops {

namespace status {
inline constexpr u16 of = 0x0001, cf = 0x0100, one = 0x0200, pf = 0x0400, af = 0x1000, zf = 0x4000, sf = 0x8000;
inline constexpr u16 all = of | cf | pf | af | zf | sf;
} // namespace status

template <class T> inline constexpr unsigned width = 8 * sizeof(T);

template <class T> constexpr bool sign(T v) { return v >> (width<T> - 1) & 1; }

/// SF, ZF and PF of a result; CF, AF and OF clear.
template <class T> inline u16 of_result(T r) {
    u16 s;
    asm("test %1, %1\n\tlahf" : "=a"(s) : "r"(r) : "cc");
    return s & (status::sf | status::zf | status::pf | status::one);
}

/// The same, computed: for constant evaluation and as the opinion that tests compare with.
template <class T> constexpr u16 computed_of_result(T r) {
    return static_cast<u16>(status::one | (sign(r) ? status::sf : 0) | (r == 0 ? status::zf : 0) |
                            (std::popcount(static_cast<u8>(r)) % 2 == 0 ? status::pf : 0));
}

constexpr u16 bit_if(bool on, u16 bit) { return on ? bit : u16{0}; }

/// Conditions as the low four bits of the opcode number them: O B Z BE S P L LE and their opposites.
template <unsigned condition> constexpr bool holds(u16 s) {
    constexpr unsigned kind = condition >> 1;
    bool yes;
    if constexpr (kind == 0)
        yes = s & status::of;
    else if constexpr (kind == 1)
        yes = s & status::cf;
    else if constexpr (kind == 2)
        yes = s & status::zf;
    else if constexpr (kind == 3)
        yes = s & (status::cf | status::zf);
    else if constexpr (kind == 4)
        yes = s & status::sf;
    else if constexpr (kind == 5)
        yes = s & status::pf;
    else if constexpr (kind == 6)
        yes = ((s >> 15) ^ s) & 1;
    else
        yes = (((s >> 15) ^ s) | (s >> 14)) & 1;
    return yes != ((condition & 1) != 0);
}

} // namespace vitrine::ops
