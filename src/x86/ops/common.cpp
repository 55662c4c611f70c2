// SPDX-License-Identifier: Apache-2.0
// What every family needs from the decoder: registers as byte offsets, the memory operand, the immediate, the prefixes.
#include "x86/ops.h"

#include "x86/ops/forms.h"

namespace vitrine {

u8 gpr_offset(ZydisRegister r) {
    const auto within = [r](ZydisRegister first, ZydisRegister last) { return r >= first && r <= last; };
    const auto at = [r](ZydisRegister first, unsigned number, unsigned byte) {
        return static_cast<u8>(8 * (static_cast<unsigned>(r - first) + number) + byte);
    };
    if (within(ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15))
        return at(ZYDIS_REGISTER_RAX, 0, 0);
    if (within(ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D))
        return at(ZYDIS_REGISTER_EAX, 0, 0);
    if (within(ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W))
        return at(ZYDIS_REGISTER_AX, 0, 0);
    if (within(ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL))
        return at(ZYDIS_REGISTER_AL, 0, 0);
    if (within(ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH))
        return at(ZYDIS_REGISTER_AH, 0, 1);
    if (within(ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B))
        return at(ZYDIS_REGISTER_SPL, 4, 0);
    return 0xff;
}

namespace {

u8 address_register(ZydisRegister r) {
    const u8 offset = gpr_offset(r);
    return offset == 0xff ? zero_register : static_cast<u8>(offset / 8);
}

SegmentName segment_name(ZydisRegister r) {
    switch (r) {
    case ZYDIS_REGISTER_ES: return es;
    case ZYDIS_REGISTER_CS: return cs;
    case ZYDIS_REGISTER_SS: return ss;
    case ZYDIS_REGISTER_FS: return fs;
    case ZYDIS_REGISTER_GS: return gs;
    default: return ds;
    }
}

void fill_memory(const ZydisDecodedOperandMem& mem, Instruction& out) {
    out.displacement = mem.disp.value;
    if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
        out.base = block_register;
        out.displacement += out.offset + out.length;
    } else {
        out.base = address_register(mem.base);
    }
    out.index = address_register(mem.index);
    out.scale = mem.scale == 8 ? 3 : mem.scale / 2;
    out.segment = segment_name(mem.segment);
}

/// The memory operand that the text shows; else the hidden one, where a string instruction's source goes before its destination.
const ZydisDecodedOperand* memory_operand(const Decoded& d) {
    const ZydisDecodedOperand* hidden = nullptr;
    for (unsigned n = 0; n < d.info.operand_count; ++n) {
        if (!d.is_memory(n))
            continue;
        const ZydisDecodedOperand& o = d.operand(n);
        if (o.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
            return &o;
        if (!hidden || address_register(o.mem.base) == rsi)
            hidden = &o;
    }
    return hidden;
}

} // namespace

void fill_common(const Decoded& d, Instruction& out) {
    const ZydisDecodedInstruction& info = d.info;
    out.length = info.length;
    out.mnemonic = static_cast<u16>(info.mnemonic);
    out.operand_size = info.operand_width / 8;
    out.address_size = info.address_width / 8;
    out.address_mask = low_mask(info.address_width);
    out.checked = d.mode.bits != 64;
    out.condition = info.opcode & 0xf;
    out.rep = info.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE) ? 0xf3
              : info.attributes & ZYDIS_ATTRIB_HAS_REPNE                      ? 0xf2
                                                                              : 0;
    const ZydisDecodedOperand* memory = memory_operand(d);
    out.lock = (info.attributes & ZYDIS_ATTRIB_HAS_LOCK) || (info.mnemonic == ZYDIS_MNEMONIC_XCHG && memory);
    if (memory)
        fill_memory(memory->mem, out);
    unsigned registers = 0, immediates = 0;
    for (unsigned n = 0; n < d.visible(); ++n) {
        const ZydisDecodedOperand& o = d.operand(n);
        if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && immediates++ == 0)
            out.immediate = o.imm.value.u;
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        const u8 offset = gpr_offset(o.reg.value);
        if (registers == 0)
            out.reg = offset;
        else if (registers == 1)
            out.rm = offset;
        else if (registers == 2)
            out.third = offset;
        ++registers;
        if (offset == 0xff && memory && memory->size / 8 <= 0xff)
            out.operand_size = static_cast<u8>(memory->size / 8);
    }
}

bool ops::general_operands(const Decoded& d) {
    for (unsigned n = 0; n < d.visible(); ++n)
        if (d.is_register(n) && gpr_offset(d.operand(n).reg.value) == 0xff)
            return false;
    return true;
}

} // namespace vitrine
