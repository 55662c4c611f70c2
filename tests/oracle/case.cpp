// SPDX-License-Identifier: Apache-2.0
// A case as text, and where its operands lie.
#include "case.h"

#include <fmt/format.h>

namespace vitrine::oracle {

std::string Case::text() const {
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    char buffer[128];
    ZydisFormatterFormatInstruction(&formatter, &info, operands, info.operand_count_visible, buffer, sizeof buffer, address, nullptr);
    return buffer;
}

std::string Case::hex() const {
    std::string s;
    for (unsigned n = 0; n < length; ++n)
        s += fmt::format("{}{:02x}", n ? " " : "", bytes[n]);
    return s;
}

unsigned register_number(ZydisRegister r) { return static_cast<u8>(ZydisRegisterGetId(r)); }

bool has_base(const ZydisDecodedOperandMem& m) {
    return m.base != ZYDIS_REGISTER_NONE && m.base != ZYDIS_REGISTER_RIP && m.base != ZYDIS_REGISTER_EIP;
}

SegmentName segment_name(ZydisRegister segment) {
    switch (segment) {
    case ZYDIS_REGISTER_ES: return es;
    case ZYDIS_REGISTER_CS: return cs;
    case ZYDIS_REGISTER_SS: return ss;
    case ZYDIS_REGISTER_FS: return fs;
    case ZYDIS_REGISTER_GS: return gs;
    default: return ds;
    }
}

u64 segment_base(const Case& c, ZydisRegister segment) {
    if (c.bits != 64)
        return c.bases[segment_name(segment)];
    return segment == ZYDIS_REGISTER_FS ? c.registers.fs_base : segment == ZYDIS_REGISTER_GS ? c.registers.gs_base : 0;
}

u64 operand_address(const Case& c, const ZydisDecodedOperand& o) {
    const ZydisDecodedOperandMem& m = o.mem;
    const Registers& g = c.registers;
    u64 a = static_cast<u64>(m.disp.value);
    if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP)
        a += c.address + c.length;
    else if (has_base(m))
        a += g.gpr[register_number(m.base)];
    if (m.index != ZYDIS_REGISTER_NONE && m.type != ZYDIS_MEMOP_TYPE_VSIB)
        a += g.gpr[register_number(m.index)] * m.scale;
    if (c.info.mnemonic == ZYDIS_MNEMONIC_XLAT)
        a += static_cast<u8>(g.gpr[rax]);
    a = (a & low_mask(c.info.address_width)) + segment_base(c, m.segment);
    return c.bits == 64 ? a : a & 0xffff'ffff;
}

int memory_index(u64 linear) {
    if (linear >= data_page && linear < data_page + data_size)
        return static_cast<int>(linear - data_page);
    if (linear >= read_only_page && linear < read_only_page + 4096)
        return static_cast<int>(linear - read_only_page + data_size);
    return -1;
}

bool sees_bases(const Case& c) {
    if (c.bits != 64)
        return false;
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && (o.mem.segment == ZYDIS_REGISTER_FS || o.mem.segment == ZYDIS_REGISTER_GS))
            return true;
    }
    return c.info.meta.isa_set == ZYDIS_ISA_SET_RDWRFSGS;
}

} // namespace vitrine::oracle
