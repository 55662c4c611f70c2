// SPDX-License-Identifier: Apache-2.0
// What the files of the vector family share: what a vector instruction is, and the binders of those that need more than a thunk.
#pragma once

#include "x86/ops/fpu_rules.h"

namespace vitrine {

/// What binders ask about a vector instruction.
struct VectorForm {
    FpuUnit unit = FpuUnit::sse;
    bool floating = false;   ///< MXCSR matters
    bool mmx = false;        ///< names an MMX register
    bool aligned = false;    ///< memory operand must be aligned to its size
    bool suppresses = false; ///< masked elements of the memory operand are not accessed
    const ZydisDecodedOperand* memory = nullptr;
    u8 memory_size = 0;      ///< bytes
    bool stores = false;
    u8 mask = 0; ///< writemask register; 0: none

    explicit VectorForm(const Decoded& d);
};

/// The thunk of an instruction of this form; null if there cannot be one.
Thunk thunk_of(const Decoded& d, const VectorForm& form);

/// Handlers of an instruction without a writemask on memory, whose thunk is in Instruction::extra.
Handler plain_handler(const VectorForm& form);

Handler bind_masked_memory(const Decoded& d, const VectorForm& form, Instruction& out); ///< EVEX writemask and memory
Handler bind_gather(const Decoded& d, Instruction& out);
Handler bind_scatter(const Decoded& d, Instruction& out);
Handler bind_masked_move(const Decoded& d, Instruction& out); ///< VMASKMOVPS, VPMASKMOVD ...
Handler bind_maskmov(const Decoded& d, Instruction& out);     ///< MASKMOVQ, MASKMOVDQU
Handler bind_approximation(const Decoded& d, Instruction& out); ///< RCPPS, RSQRTPS and their kin
Handler bind_mxcsr(const Decoded& d, Instruction& out);         ///< LDMXCSR, STMXCSR
Handler bind_vzero(const Decoded& d, Instruction& out);

inline unsigned register_number(const ZydisDecodedOperand& o) { return static_cast<u8>(ZydisRegisterGetId(o.reg.value)); }

/// Clears a VEX or EVEX destination from `from` bytes up.
inline void clear_upper(Cpu& cpu, unsigned n, unsigned from) { std::memset(cpu.fpu.zmm[n].data() + from, 0, 64 - from); }

} // namespace vitrine
