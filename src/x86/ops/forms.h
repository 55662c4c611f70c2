// SPDX-License-Identifier: Apache-2.0
// Operand forms of general-purpose instructions: how handlers read and write registers and memory, and how binders choose among them.
#pragma once

#include "x86/cpu.h"
#include "x86/instruction.h"
#include "x86/ops/status.h"

#include <cstring>

namespace vitrine::ops {

// ---- registers, by the byte offset that Instruction holds; through memcpy, so that no type rule stands in the way -------

template <class T> inline T get(const Cpu& cpu, u16 offset) {
    T value;
    std::memcpy(&value, reinterpret_cast<const u8*>(cpu.gpr.data()) + offset, sizeof(T));
    return value;
}

/// 32-bit writes clear the upper half; 8- and 16-bit ones leave the rest.
template <class T> inline void set(Cpu& cpu, u16 offset, T value) {
    u8* at = reinterpret_cast<u8*>(cpu.gpr.data()) + offset;
    if constexpr (sizeof(T) == 4) {
        const u64 wide = value;
        std::memcpy(at, &wide, sizeof wide);
    } else {
        std::memcpy(at, &value, sizeof(T));
    }
}

/// RAX, RCX, RDX ... as an operand of width T.
template <class T> inline T get(const Cpu& cpu, Gpr r) { return static_cast<T>(cpu.gpr[r]); }

template <class T> inline void set(Cpu& cpu, Gpr r, T value) { set<T>(cpu, static_cast<u16>(8 * r), value); }

// ---- memory operands ------------------------------------------------------------------------------------------------
// Three ways to the address, chosen at bind time, so that the common ones cost nothing else.

struct BaseOnly { ///< 64-bit, no index, no FS or GS: base + displacement (RIP-relative included)
    static u64 offset(const Cpu& cpu, const Instruction& i) { return cpu.gpr[i.base] + static_cast<u64>(i.displacement); }
    static Faultable<Linear> address(Cpu& cpu, const Instruction& i, unsigned, Use) { return Linear{offset(cpu, i)}; }
};

struct BaseIndex { ///< the same with an index
    static u64 offset(const Cpu& cpu, const Instruction& i) {
        return cpu.gpr[i.base] + (cpu.gpr[i.index] << i.scale) + static_cast<u64>(i.displacement);
    }
    static Faultable<Linear> address(Cpu& cpu, const Instruction& i, unsigned, Use) { return Linear{offset(cpu, i)}; }
};

struct AnyAddress {
    static u64 offset(const Cpu& cpu, const Instruction& i) { return cpu.offset_of(i); }
    static Faultable<Linear> address(Cpu& cpu, const Instruction& i, unsigned size, Use use) { return cpu.address(i, size, use); }
};

template <class T, class A> inline Faultable<T> load_operand(Cpu& cpu, const Instruction& i) {
    const Linear a = TRY(A::address(cpu, i, sizeof(T), Use::read));
    return cpu.load<T>(a);
}

template <class T, class A> inline Faultable<> store_operand(Cpu& cpu, const Instruction& i, T value) {
    const Linear a = TRY(A::address(cpu, i, sizeof(T), Use::write));
    return cpu.store<T>(a, value);
}

/// Read, change, write at one address. `change` must not touch the machine before it can no longer fault: it is called once, after
/// the last point where the access may.
template <class T, class F> inline Faultable<> modify_at(Cpu& cpu, Linear a, F change) {
    if (u8* at = reinterpret_cast<u8*>(cpu.modify<T>(a))) [[likely]] {
        T value;
        std::memcpy(&value, at, sizeof(T));
        value = change(value);
        std::memcpy(at, &value, sizeof(T));
        return {};
    }
    const T value = TRY(cpu.load_for_write<T>(a));
    return cpu.store<T>(a, change(value));
}

template <class T, class A, class F> inline Faultable<> modify_operand(Cpu& cpu, const Instruction& i, F change) {
    const Linear a = TRY(A::address(cpu, i, sizeof(T), Use::write));
    return modify_at<T>(cpu, a, change);
}

// ---- binding --------------------------------------------------------------------------------------------------------

/// Calls `f<T>()` for the width in bits; null for widths that general registers do not have.
template <class F> Handler by_width(unsigned bits, F f) {
    switch (bits) {
    case 8: return f.template operator()<u8>();
    case 16: return f.template operator()<u16>();
    case 32: return f.template operator()<u32>();
    case 64: return f.template operator()<u64>();
    default: return nullptr;
    }
}

/// The same for instructions without byte forms.
template <class F> Handler by_word(unsigned bits, F f) {
    return bits == 8 ? nullptr : by_width(bits, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) > 1)
            return f.template operator()<T>();
        else
            return nullptr;
    });
}

/// Calls `f<A>()` with the cheapest way to the memory operand's address.
template <class F> Handler by_address(const Instruction& i, F f) {
    if (i.checked || i.address_mask != ~0ull || i.segment == fs || i.segment == gs)
        return f.template operator()<AnyAddress>();
    return i.index == zero_register ? f.template operator()<BaseOnly>() : f.template operator()<BaseIndex>();
}

/// Only general registers, memory and immediates: not a segment, control, debug or vector register.
bool general_operands(const Decoded& d);

/// Width in bits of operand n.
inline unsigned bits_of(const Decoded& d, unsigned n) { return d.operand(n).size; }

} // namespace vitrine::ops
