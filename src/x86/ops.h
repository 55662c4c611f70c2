// SPDX-License-Identifier: Apache-2.0
// The rows of every family of instructions; the decoder collects them into one table by mnemonic.
#pragma once

#include "x86/instruction.h"

#include <span>

namespace vitrine {

std::span<const OpRow> integer_rows();   ///< moves, arithmetic, logic, shifts, multiplication, bits (ops/integer*.cpp)
std::span<const OpRow> string_rows();    ///< MOVS to SCAS with REP, INS, OUTS (ops/string.cpp)
std::span<const OpRow> branch_rows();    ///< near jumps, calls, returns, loops, stack frames (ops/branch.cpp)
std::span<const OpRow> system_rows();    ///< privileged, segment, far, descriptor-table, MSR, CPUID, I/O (ops/system*.cpp)
std::span<const OpRow> vector_rows();    ///< MMX to AVX-512, AES, SHA, BMI ... by thunks (ops/vector*.cpp)
std::span<const OpRow> x87_rows();       ///< x87 and the FXSAVE/XSAVE family (ops/x87.cpp, ops/xsave.cpp)

/// MOV, PUSH, POP, JMP, CALL and RET share a mnemonic between plain and system forms. This gives the handler for those that
/// concern segment, control or debug registers or another code segment, and null for all others: the plain rows' binders
/// ask it first. Such handlers end the block themselves (Outcome::end or branch) when anything changed. (ops/system.cpp)
Handler bind_system_form(const Decoded& decoded, Instruction& out);

/// Common fields: fills `out` from Zydis (registers as byte offsets, memory operand, immediate, prefixes).
void fill_common(const Decoded& decoded, Instruction& out);

/// Byte offset into State::gpr of a general register; 0xff for anything else.
u8 gpr_offset(ZydisRegister r);

} // namespace vitrine
