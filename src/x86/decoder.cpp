// SPDX-License-Identifier: Apache-2.0
// Corrections of Zydis 4.0, each found by the host oracle.
#include "x86/decoder.h"

namespace vitrine {

namespace {

/// mod = 0 and a SIB base of 5 mean a displacement without a base whatever REX.B says; with 32-bit addresses the decoder says R13D.
void correct_base(const ZydisDecodedInstruction& info, ZydisDecodedOperand& o) {
    if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.base != ZYDIS_REGISTER_R13D || info.raw.modrm.mod != 0 || info.raw.sib.base != 5)
        return;
    o.mem.base = ZYDIS_REGISTER_NONE;
    o.mem.disp.has_displacement = ZYAN_TRUE;
    o.mem.disp.value = info.raw.disp.value;
}

} // namespace

ZyanStatus decode_instruction(const ZydisDecoder& decoder, const u8* bytes, unsigned size, ZydisDecodedInstruction& info,
                              ZydisDecodedOperand* operands) {
    const ZyanStatus status = ZydisDecoderDecodeFull(&decoder, bytes, size, &info, operands);
    if (!ZYAN_SUCCESS(status))
        return status;
    if (info.raw.sib.offset)
        for (unsigned n = 0; n < info.operand_count; ++n)
            correct_base(info, operands[n]);
    return status;
}

} // namespace vitrine
