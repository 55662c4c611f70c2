// SPDX-License-Identifier: Apache-2.0
// SSE and AVX instructions: the host's own, on its registers of the same numbers, with the memory operand rewritten to [r13]. EVEX,
// mask registers, MMX and what needs more than one access are their handlers'.
#include "jit/forms.h"

#include "x86/ops/vector.h"

namespace vitrine::jit {

namespace {

constexpr HostPlaces places{.reg = 0, .rm = 2, .vvvv = 2, .memory = 13}; // t1, t2, none, address

Decoded decoded(const Source& s) { return Decoded{s.info, s.operands, *s.mode, s.bytes}; }

bool legacy(const Source& s) { return s.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY; }

bool writes_flags(const Source& s) {
    if (!s.info.cpu_flags)
        return false;
    const auto& f = *s.info.cpu_flags;
    return (f.modified | f.set_0 | f.set_1 | f.undefined) & static_cast<u32>(rflags::status);
}

bool writes(const ZydisDecodedOperand& o) { return o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE; }

unsigned number(const ZydisDecodedOperand& o) { return static_cast<u8>(ZydisRegisterGetId(o.reg.value)); }

/// Bytes of a vector register operand; 0: it is none.
unsigned vector_bytes(const ZydisDecodedOperand& o) {
    if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
        return 0;
    switch (ZydisRegisterGetClass(o.reg.value)) {
    case ZYDIS_REGCLASS_XMM: return 16;
    case ZYDIS_REGCLASS_YMM: return 32;
    default: return 0;
    }
}

bool is_general(const ZydisDecodedOperand& o) {
    if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
        return false;
    const auto c = ZydisRegisterGetClass(o.reg.value);
    return c == ZYDIS_REGCLASS_GPR16 || c == ZYDIS_REGCLASS_GPR32 || c == ZYDIS_REGCLASS_GPR64;
}

/// The host register in which a general register operand is: scratch, or what the instruction insists on.
host::Gp place(const ZydisDecodedOperand& o) {
    switch (o.encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG: return t1;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM: return t2;
    default: return host::gpq(number(o));
    }
}

bool accepts(Source& s) {
    if (s.info.meta.isa_ext == ZYDIS_ISA_EXT_BASE || !(legacy(s) || s.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX))
        return false;
    const Decoded d = decoded(s);
    const VectorForm form(d);
    if (form.unit == FpuUnit::avx512 || refused(*s.mode, form.unit) || !s.insn->extra)
        return false;
    if (form.memory && (!reachable(s) || s.insn->operand_size != form.memory_size || form.memory_size == 0 || form.memory_size > 32))
        return false;
    for (unsigned n = 0; n < s.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = s.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        const auto c = ZydisRegisterGetClass(o.reg.value);
        if (vector_bytes(o) || c == ZYDIS_REGCLASS_FLAGS || c == ZYDIS_REGCLASS_MMX)
            continue;
        if (o.reg.value == ZYDIS_REGISTER_MXCSR)
            continue;
        if (!is_general(o) || o.encoding == ZYDIS_OPERAND_ENCODING_NDSNDD)
            return false;
        if (o.encoding != ZYDIS_OPERAND_ENCODING_MODRM_REG && o.encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM && number(o) > rdx)
            return false;
    }
    if (!host_form(d, places))
        return false;
    s.x87 = form.mmx;
    s.kills = writes_flags(s) ? all_flags : no_flags;
    s.reads = form.floating ? all_flags : no_flags; // the slow way after an exception
    return true;
}

void vector(Emitter& e, const Source& s) {
    const Decoded d = decoded(s);
    const VectorForm form(d);
    const HostForm bytes = *host_form(d, places);
    const bool wide = (s.mode->xcr0 & 2) != 0;
    if (form.unit != FpuUnit::mmx || form.floating) // conversions from memory to MMX registers go by MXCSR too
        e.need_vectors(wide);
    if (form.floating)
        e.save_flags();
    e.look_at_x87(s);
    if (form.memory) {
        e.clobber_flags();
        e.effective_address(s, form.memory_size);
        if (form.aligned) {
            e.a.test(host::gpb_lo(address.id()), form.memory_size - 1);
            e.a.jnz(e.slow());
        }
        e.probe(form.memory_size, form.stores);
    }
    for (unsigned n = 0; n < s.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = s.operands[n];
        if (is_general(o)) {
            const host::Gp to = place(o), from = e.read(static_cast<u16>(8 * number(o)), 8, to);
            if (from.id() != to.id())
                e.a.mov(to, from);
        }
    }
    if (form.floating)
        e.may_fault();
    e.a.embed(bytes.bytes, bytes.size);
    for (unsigned n = 0; n < s.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = s.operands[n];
        if (writes(o) && is_general(o))
            e.write(static_cast<u16>(8 * number(o)), 8, place(o));
    }
    if (writes_flags(s))
        e.flags_made();
}

/// In 32-bit code they are about eight registers only.
bool accepts_zero(Source& s) { return s.mode->bits == 64 && s.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && !refused(*s.mode, FpuUnit::avx); }

/// VZEROUPPER and VZEROALL reach up to the last bit that there is.
void zero(Emitter& e, const Source& s) {
    e.need_vectors((s.mode->xcr0 & 2) != 0);
    if (s.info.mnemonic == ZYDIS_MNEMONIC_VZEROALL)
        e.a.vzeroall();
    else
        e.a.vzeroupper();
}

} // namespace

std::span<const Operation> vector_operations() {
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_VZEROUPPER, accepts_zero, zero},
        {ZYDIS_MNEMONIC_VZEROALL, accepts_zero, zero},
#define VECTOR(id) {ZYDIS_MNEMONIC_##id, accepts, vector},
#include "x86/ops/vector.def"
#undef VECTOR
    };
    return rows;
}

} // namespace vitrine::jit
