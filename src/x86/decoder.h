// SPDX-License-Identifier: Apache-2.0
// The decoder library, with what it gets wrong put right.
#pragma once

#include "words/integers.h"
#include "x86/instruction.h"

#include <Zydis/Zydis.h>

namespace vitrine {

/// What decodes code of that mode.
ZydisDecoder decoder_for(const CodeMode& mode);

/// As ZydisDecoderDecodeFull. `operands` has room for ZYDIS_MAX_OPERAND_COUNT.
ZyanStatus decode_instruction(const ZydisDecoder& decoder, const u8* bytes, unsigned size, ZydisDecodedInstruction& info,
                              ZydisDecodedOperand* operands);

} // namespace vitrine
