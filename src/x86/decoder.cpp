// SPDX-License-Identifier: Apache-2.0
// Which decoder a mode has, and corrections of Zydis 4.0, each found by the host oracle.
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

ZydisMachineMode machine_mode(const CodeMode& mode) {
    switch (mode.bits) {
    case 64: return ZYDIS_MACHINE_MODE_LONG_64;
    case 32: return mode.long_mode ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LEGACY_32;
    default:
        if (!mode.protected_)
            return ZYDIS_MACHINE_MODE_REAL_16;
        return mode.long_mode ? ZYDIS_MACHINE_MODE_LONG_COMPAT_16 : ZYDIS_MACHINE_MODE_LEGACY_16;
    }
}

ZydisStackWidth stack_width(const CodeMode& mode) {
    return mode.bits == 64 ? ZYDIS_STACK_WIDTH_64 : mode.stack32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16;
}

} // namespace

ZydisDecoder decoder_for(const CodeMode& mode) {
    ZydisDecoder decoder;
    // A 32-bit code segment in real or virtual-8086 mode ("unreal") decodes as protected 32-bit code does.
    ZydisDecoderInit(&decoder, machine_mode(mode), stack_width(mode));
    return decoder;
}

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
