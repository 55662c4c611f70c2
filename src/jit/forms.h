// SPDX-License-Identifier: Apache-2.0
// The rows of what is translated: for each mnemonic who writes its code, which flags it reads and which it always replaces.
#pragma once

#include "jit/emitter.h"

#include <span>

namespace vitrine::jit {

struct Operation {
    ZydisMnemonic mnemonic;
    /// Null, or asked first: false leaves this instruction to its handler. May refine Source::reads and kills.
    bool (*accepts)(Source&);
    void (*emit)(Emitter&, const Source&);
    u16 reads = no_flags, kills = no_flags;
    /// Makes the instruction's flags again from its result and the operands it left alone, and stores them; may use t1, t2 and r13. And
    /// which general registers must still be as it left them for that, a bit each.
    void (*flags_again)(Emitter&, const Source&) = nullptr;
    u32 (*flag_inputs)(const Source&) = nullptr;
};

std::span<const Operation> integer_operations();
std::span<const Operation> multiply_operations();
std::span<const Operation> shift_operations();
std::span<const Operation> bit_operations();
std::span<const Operation> exchange_operations();
std::span<const Operation> branch_operations();
std::span<const Operation> vector_operations();
std::span<const Operation> x87_operations();

std::vector<std::span<const Operation>> all_operations();

/// The row for an instruction; null when there is none.
const Operation* operation(Source& s);

/// Flags that the condition in an opcode's low four bits looks at.
u16 flags_of_condition(unsigned condition);

/// The host's instruction for the condition; the tables of Jcc, SETcc and CMOVcc are one after the other in that order.
asmjit::InstId jump_if(unsigned condition);

/// The size of the memory operand's address is one that translated code computes: 64 or 32 bits.
inline bool reachable(const Source& s) { return s.insn->address_mask == ~0ull || s.insn->address_mask == 0xffff'ffff; }

/// All visible register operands are general ones, and memory operands are those that translated code can reach.
bool general(const Source& s);

} // namespace vitrine::jit
