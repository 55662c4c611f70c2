// SPDX-License-Identifier: Apache-2.0
// The groups of general-purpose instructions; integer_rows() is all of them together.
#pragma once

#include "x86/ops.h"

namespace vitrine::ops {

std::span<const OpRow> move_rows();       ///< MOV, MOVZX, MOVSX, MOVBE, LEA, CMOVcc, SETcc, XLAT, CBW ... (integer_move.cpp)
std::span<const OpRow> arithmetic_rows(); ///< ADD to TEST, INC, DEC, NEG, NOT, ADCX, ADOX (integer_arithmetic.cpp)
std::span<const OpRow> exchange_rows();   ///< XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B, BSWAP (integer_exchange.cpp)
std::span<const OpRow> shift_rows();      ///< shifts, rotates, SHLD, SHRD and the flagless ones of BMI2 (integer_shift.cpp)
std::span<const OpRow> multiply_rows();   ///< MUL, IMUL, MULX, DIV, IDIV (integer_multiply.cpp)
std::span<const OpRow> bit_rows();        ///< BT to BTC, scans, counts, BMI, CRC32 (integer_bits.cpp)
std::span<const OpRow> decimal_rows();    ///< AAA to DAS, SALC, BOUND (integer_decimal.cpp)
std::span<const OpRow> stack_rows();      ///< PUSH, POP, PUSHA, POPA, ENTER, LEAVE (integer_stack.cpp)
std::span<const OpRow> flag_rows();       ///< PUSHF, POPF, LAHF, SAHF, CLC ... STD (integer_flags.cpp)
std::span<const OpRow> hint_rows();       ///< NOP, prefetches, fences, CLFLUSH, UD0 to UD2 (integer_hints.cpp)

} // namespace vitrine::ops
