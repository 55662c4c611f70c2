// SPDX-License-Identifier: Apache-2.0
// From bytes to instructions: Zydis decodes, the rows of the families bind handlers, the CPU model says what exists.
#include "x86/code_cache.h"
#include "x86/cpu.h"
#include "x86/decoder.h"
#include "x86/model.h"
#include "x86/ops.h"
#include "x86/ops/bus_lock.h"
#include "x86/thunk.h"

namespace vitrine {

namespace {

Outcome undefined_opcode(Cpu& cpu, const Instruction&) { return cpu.ud(); }

Outcome too_long(Cpu& cpu, const Instruction&) { return cpu.gp(); }

Outcome not_implemented(Cpu& cpu, const Instruction& insn) { return cpu.unimplemented(insn, "instruction"); }

} // namespace

/// Decodes at `bytes`; false only when the bytes end before the instruction does.
bool CodeCache::decode_one(const CodeMode& mode, const u8* bytes, unsigned size, u16 offset, Instruction& out, u16& flags,
                           bool& truncated) const {
    const ZydisDecoder decoder = decoder_for(mode);
    ZydisDecodedInstruction info;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const unsigned limit = size < ZYDIS_MAX_INSTRUCTION_LENGTH ? size : ZYDIS_MAX_INSTRUCTION_LENGTH;
    const ZyanStatus status = decode_instruction(decoder, bytes, limit, info, operands);
    out.offset = offset;
    flags = 0;
    truncated = status == ZYDIS_STATUS_NO_MORE_DATA && limit < ZYDIS_MAX_INSTRUCTION_LENGTH;
    if (truncated)
        return false;
    if (!ZYAN_SUCCESS(status)) {
        // #UD, or #GP for more than 15 bytes; the length is never used, for the instruction always faults.
        const bool long_one = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
        out.handler = long_one ? too_long : undefined_opcode;
        out.length = 1;
        flags = ends_block;
        return true;
    }
    out.length = info.length;
    out.mnemonic = static_cast<u16>(info.mnemonic);
    const Decoded decoded{info, operands, mode, bytes, thunks_.get()};
    fill_common(decoded, out);
    out.handler = model_.allows(info) ? bind(decoded, out, flags) : undefined_opcode;
    if (!out.handler)
        out.handler = not_implemented;
    else if (out.lock && out.handler != undefined_opcode)
        out.handler = ops::bind_lock(decoded, out, out.handler);
    if (out.handler == undefined_opcode || out.handler == not_implemented)
        flags |= ends_block;
    return true;
}

Handler CodeCache::bind(const Decoded& d, Instruction& out, u16& flags) const {
    for (const OpRow* row : rows_[d.info.mnemonic]) {
        if (const Handler handler = row->bind(d, out)) {
            flags = row->flags;
            return handler;
        }
    }
    return nullptr;
}

} // namespace vitrine
