// SPDX-License-Identifier: Apache-2.0
// The instructions by which guests reach device memory: MOV in all its forms, and no others. What else comes is told, not guessed.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct MemoryMove {
    u8 length = 0;    ///< of the instruction
    u8 size = 0;      ///< of the access, in bytes
    bool write = false;
    bool immediate = false, sign_extend = false;
    u8 reg = 0;       ///< general register, 0 to 15
    bool high_byte = false; ///< AH, CH, DH, BH
    u8 register_size = 0;   ///< where the value goes: larger than `size` for MOVZX and MOVSX
    u64 value = 0;    ///< the immediate
};

/// `bits` is 16, 32 or 64, as the code segment says. False: not such an instruction.
bool decode_move(const u8* code, unsigned available, unsigned bits, MemoryMove& move);

} // namespace vitrine::pane
