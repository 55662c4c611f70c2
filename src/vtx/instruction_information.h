// SPDX-License-Identifier: Apache-2.0
// The VM-exit instruction-information field and displacement qualifications (SDM volume 3, Information for VM Exits Due to Instruction Execution).
#pragma once

#include "x86/cpu.h"
#include "x86/instruction.h"

namespace vitrine::vtx {

/// The displacement of a memory operand; RIP-relative ones come with the address of the next instruction added.
inline u64 displacement(const Cpu& cpu, const Instruction& i) {
    const u64 value = static_cast<u64>(i.displacement);
    return i.base == block_register ? cpu.gpr[block_register] + value : value;
}

/// Address size in the field's terms: 0 = 16, 1 = 32, 2 = 64 bits.
inline u32 address_size_code(const Instruction& i) { return i.address_size == 8 ? 2 : i.address_size == 4 ? 1 : 0; }

/// Bits 1:0 scaling, 9:7 address size, 17:15 segment, 21:18 index, 22 no index, 26:23 base, 27 no base.
inline u32 memory_information(const Instruction& i) {
    constexpr u32 no_index = 1u << 22, no_base = 1u << 27;
    u32 info = address_size_code(i) << 7 | u32{i.segment} << 15;
    info |= i.index < 16 ? u32{i.index} << 18 | i.scale : no_index;
    info |= i.base < 16 ? u32{i.base} << 23 : no_base;
    return info;
}

} // namespace vitrine::vtx
