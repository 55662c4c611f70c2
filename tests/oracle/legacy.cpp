// SPDX-License-Identifier: Apache-2.0
// Decode, exchange the operands, encode for 64-bit mode, and decode again to see that it is the same instruction.
#include "legacy.h"

#include "x86/state.h"

#include <algorithm>
#include <cstring>

namespace vitrine::oracle {

namespace {

constexpr u64 reachable = 1ull << 31; ///< by a displacement without a base

bool stays_untranslated(const Case& c) {
    switch (c.info.mnemonic) {
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INTO:
    // Eight registers in other modes, sixteen in 64-bit mode.
    case ZYDIS_MNEMONIC_VZEROALL:
    case ZYDIS_MNEMONIC_VZEROUPPER:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXRSTOR: return true;
    // Of the encodings of a NOP with registers, the one that the encoder takes is not everybody's NOP.
    case ZYDIS_MNEMONIC_NOP: return c.info.operand_count_visible != 0;
    default: break;
    }
    return c.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || c.info.meta.category == ZYDIS_CATEGORY_XSAVE ||
           c.info.meta.category == ZYDIS_CATEGORY_XSAVEOPT;
}

bool is_stack_pointer(ZydisRegister r) { return r == ZYDIS_REGISTER_SP || r == ZYDIS_REGISTER_ESP || r == ZYDIS_REGISTER_RSP; }

/// Memory and registers that the instruction's text does not show must mean the same in 64-bit mode with a prefix 67h.
bool hidden_operands_agree(const Case& c) {
    for (unsigned n = c.info.operand_count_visible; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && is_stack_pointer(o.reg.value))
            return false;
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (is_stack_pointer(o.mem.base) || c.info.address_width != 32 || segment_base(c, o.mem.segment) != 0))
            return false;
    }
    return true;
}

/// Instructions that look at no segment limit: hints, and those that fault for another reason.
bool heeds_no_limit(const Case& c) {
    if (c.info.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED)
        return true;
    switch (c.info.mnemonic) {
    case ZYDIS_MNEMONIC_CLDEMOTE:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCHWT1:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_LGDT: // privileged, whatever the decoder says
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1: return true;
    default: return false;
    }
}

/// Bytes of an operand that must lie within the limit.
u64 bytes_checked(const Case& c, const ZydisDecodedOperand& o) {
    switch (c.info.mnemonic) {
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_CLFLUSHOPT:
    case ZYDIS_MNEMONIC_CLWB: return 1; // of the line, the one that is named
    default: return std::max<u64>(o.size / 8u, 1);
    }
}

bool in_code(u64 a) { return a >= code_page - 64 && a < code_page + 4096; }

bool is_flags(ZydisRegister r) { return r == ZYDIS_REGISTER_FLAGS || r == ZYDIS_REGISTER_EFLAGS || r == ZYDIS_REGISTER_RFLAGS; }

bool reads_or_writes(const ZydisDecodedOperand& o) {
    return o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.type != ZYDIS_MEMOP_TYPE_AGEN && o.mem.type != ZYDIS_MEMOP_TYPE_MIB &&
           (o.actions & (ZYDIS_OPERAND_ACTION_MASK_READ | ZYDIS_OPERAND_ACTION_MASK_WRITE));
}

u64 operand_offset(const Case& c, const ZydisDecodedOperand& o) {
    return (operand_address(c, o) - segment_base(c, o.mem.segment)) & low_mask(c.info.address_width);
}

/// Some element of a gather or scatter may lie across the end of the address space, which is the segment's limit in other modes.
bool reaches_the_end(const Case& c, const ZydisDecodedOperandMem& m) {
    const u64 base = c.registers.gpr[register_number(m.base)] + static_cast<u64>(m.disp.value);
    for (unsigned at = 0; at < 64; at += 4) {
        i32 index;
        std::memcpy(&index, c.registers.zmm[register_number(m.index)].data() + at, 4);
        if (static_cast<u32>(base + static_cast<u64>(i64{index}) * m.scale) > ~0u - 8)
            return true;
    }
    return false;
}

bool same_instruction(const Case& c, const Case& out, const ZydisEncoderRequest& request) {
    if (out.info.mnemonic != c.info.mnemonic || out.info.operand_count_visible != c.info.operand_count_visible)
        return false;
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand &a = c.operands[n], &b = out.operands[n];
        if (n >= out.info.operand_count || a.type != b.type)
            return false;
        const bool sized = a.type != ZYDIS_OPERAND_TYPE_IMMEDIATE && !(a.type == ZYDIS_OPERAND_TYPE_REGISTER && is_flags(a.reg.value));
        if (sized && a.size != b.size)
            return false;
        if (n < c.info.operand_count_visible && b.type == ZYDIS_OPERAND_TYPE_MEMORY && b.mem.type != ZYDIS_MEMOP_TYPE_VSIB &&
            operand_address(out, b) != static_cast<u64>(request.operands[n].mem.displacement))
            return false;
        if (n >= c.info.operand_count_visible && b.type == ZYDIS_OPERAND_TYPE_MEMORY && out.info.address_width != 32)
            return false;
    }
    return true;
}

} // namespace

bool translate(const Case& c, Case& out) {
    if (stays_untranslated(c) || !hidden_operands_agree(c))
        return false;
    ZydisEncoderRequest request;
    if (!ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(&c.info, c.operands, c.info.operand_count_visible, &request)))
        return false;
    request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    request.prefixes &= ~static_cast<ZydisInstructionAttributes>(ZYDIS_ATTRIB_HAS_SEGMENT);
    request.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_NONE;
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        if (n >= c.info.operand_count_visible) {
            request.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_32;
            continue;
        }
        if (o.mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
            if (segment_base(c, o.mem.segment) != 0 || !has_base(o.mem) || reaches_the_end(c, o.mem)) // the encoder's 32-bit addresses need a base
                return false;
            request.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_32;
            continue;
        }
        const u64 to = o.mem.type == ZYDIS_MEMOP_TYPE_AGEN ? operand_offset(c, o) : operand_address(c, o);
        if (to >= reachable || in_code(to)) // the two sides' code differs
            return false;
        auto& mem = request.operands[n].mem;
        mem.base = mem.index = ZYDIS_REGISTER_NONE;
        mem.scale = 0;
        mem.displacement = static_cast<i64>(to);
    }
    out = c;
    out.bits = 64;
    ZyanUSize length = out.bytes.size();
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, out.bytes.data(), &length)))
        return false;
    out.length = static_cast<u8>(length);
    out.registers.rip = c.address;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(decode_instruction(decoder, out.bytes.data(), out.length, out.info, out.operands)) && same_instruction(c, out, request);
}

std::optional<Ending> segment_fault(const Case& c) {
    constexpr ZydisInstructionAttributes repeats = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
    const bool nothing_to_do = (c.info.attributes & repeats) && !(c.registers.gpr[rcx] & low_mask(c.info.address_width));
    if (heeds_no_limit(c) || nothing_to_do)
        return std::nullopt;
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (!reads_or_writes(o) || o.mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            continue;
        const SegmentName segment = segment_name(o.mem.segment);
        const u64 last = operand_offset(c, o) + bytes_checked(c, o) - 1;
        const bool forbidden = segment == cs && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE);
        if (last > c.limits[segment] || forbidden)
            return Ending{.fault = true, .vector = static_cast<u8>(segment == ss ? 12 : 13)};
    }
    return std::nullopt;
}

} // namespace vitrine::oracle
