// SPDX-License-Identifier: Apache-2.0
// The stack as PUSH, POP, CALL and RET use it: straight to host memory in 64-bit mode where the TLB allows, else through the processor.
#pragma once

#include "x86/ops/forms.h"

namespace vitrine::ops {

/// 64-bit mode, eight bytes: SS has neither base nor limit. Anything but a hit on writable memory takes the general way.
inline Faultable<> push64(Cpu& cpu, u64 value) {
    const u64 top = cpu.gpr[rsp] - 8;
    u8* at = reinterpret_cast<u8*>(cpu.modify<u64>(Linear{top}));
    if (!at) [[unlikely]]
        return cpu.push(8, value);
    std::memcpy(at, &value, 8);
    cpu.gpr[rsp] = top;
    return {};
}

/// The quadword at the top of the stack; RSP stays.
inline Faultable<u64> peek64(Cpu& cpu) {
    const u8* at = reinterpret_cast<const u8*>(cpu.modify<u64>(Linear{cpu.gpr[rsp]}));
    if (!at) [[unlikely]]
        return cpu.peek(8);
    u64 value;
    std::memcpy(&value, at, 8);
    return value;
}

/// `size` 8 is known at bind time to mean 64-bit mode.
template <class T> inline Faultable<> push(Cpu& cpu, T value) {
    if constexpr (sizeof(T) == 8)
        return push64(cpu, value);
    else
        return cpu.push(sizeof(T), value);
}

template <class T> inline Faultable<T> peek(Cpu& cpu) {
    if constexpr (sizeof(T) == 8) {
        return peek64(cpu);
    } else {
        const u64 value = TRY(cpu.peek(sizeof(T)));
        return static_cast<T>(value);
    }
}

template <class T> inline void drop(Cpu& cpu, u64 extra = 0) {
    if constexpr (sizeof(T) == 8)
        cpu.gpr[rsp] += 8 + extra;
    else
        cpu.add_rsp(sizeof(T) + extra);
}

/// The stack pointer's width as a mask.
inline u64 stack_mask(const Cpu& cpu) { return low_mask(8 * cpu.stack_size()); }

} // namespace vitrine::ops
