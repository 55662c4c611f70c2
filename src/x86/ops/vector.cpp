// SPDX-License-Identifier: Apache-2.0
// Binds MMX, SSE, AVX and AVX-512 instructions to thunks: which mode rules, alignment, MXCSR and flags each one has.
#include "x86/ops/vector.h"

#include "x86/bits.h"
#include "x86/ops.h"

#include <algorithm>
#include <array>

namespace vitrine {

namespace {

/// Legacy SSE instructions that take a 16-byte memory operand anywhere, although their exception class says otherwise.
constexpr std::array unaligned{
    ZYDIS_MNEMONIC_MOVUPS,    ZYDIS_MNEMONIC_MOVUPD,    ZYDIS_MNEMONIC_MOVDQU,    ZYDIS_MNEMONIC_LDDQU,
    ZYDIS_MNEMONIC_PCMPESTRI, ZYDIS_MNEMONIC_PCMPESTRM, ZYDIS_MNEMONIC_PCMPISTRI, ZYDIS_MNEMONIC_PCMPISTRM,
};

/// MMX instructions whose memory operand has 16 bytes, and must be aligned.
constexpr std::array aligned_mmx{ZYDIS_MNEMONIC_CVTPD2PI, ZYDIS_MNEMONIC_CVTTPD2PI};

/// Instructions that MXCSR governs although their exception class knows no floating-point exceptions: DAZ, or the MMX conversions.
constexpr std::array governed_by_mxcsr{
    ZYDIS_MNEMONIC_CVTPI2PS,    ZYDIS_MNEMONIC_CVTPI2PD,    ZYDIS_MNEMONIC_CVTPS2PI,    ZYDIS_MNEMONIC_CVTPD2PI,
    ZYDIS_MNEMONIC_CVTTPS2PI,   ZYDIS_MNEMONIC_CVTTPD2PI,   ZYDIS_MNEMONIC_VFPCLASSPD,  ZYDIS_MNEMONIC_VFPCLASSPS,
    ZYDIS_MNEMONIC_VFPCLASSPH,  ZYDIS_MNEMONIC_VFPCLASSSD,  ZYDIS_MNEMONIC_VFPCLASSSS,  ZYDIS_MNEMONIC_VFPCLASSSH,
    ZYDIS_MNEMONIC_VRCP14PD,    ZYDIS_MNEMONIC_VRCP14PS,    ZYDIS_MNEMONIC_VRCP14SD,    ZYDIS_MNEMONIC_VRCP14SS,
    ZYDIS_MNEMONIC_VRSQRT14PD,  ZYDIS_MNEMONIC_VRSQRT14PS,  ZYDIS_MNEMONIC_VRSQRT14SD,  ZYDIS_MNEMONIC_VRSQRT14SS,
};

/// Instructions whose faults do not heed the writemask (SDM: Exceptions Type E4NF) although the decoder says otherwise.
constexpr std::array not_suppressed{
    ZYDIS_MNEMONIC_VDBPSADBW,      ZYDIS_MNEMONIC_VGF2P8AFFINEQB, ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB,
    ZYDIS_MNEMONIC_VCVTNE2PS2BF16,
};

template <class List> bool among(const List& list, ZydisMnemonic m) { return std::find(list.begin(), list.end(), m) != list.end(); }

/// What an exception class (SDM volume 2, Instruction Exception Specification) says.
enum ClassSays : u8 { floating_point = 1, aligned_legacy = 2, aligned_vex = 4, no_suppression = 8 };

constexpr u8 class_says(ZydisExceptionClass c) {
    switch (c) {
    case ZYDIS_EXCEPTION_CLASS_SSE1: return aligned_legacy;
    case ZYDIS_EXCEPTION_CLASS_SSE2: return floating_point | aligned_legacy;
    case ZYDIS_EXCEPTION_CLASS_SSE3: return floating_point;
    case ZYDIS_EXCEPTION_CLASS_SSE4: return aligned_legacy;
    case ZYDIS_EXCEPTION_CLASS_AVX1: return aligned_vex;
    case ZYDIS_EXCEPTION_CLASS_AVX2:
    case ZYDIS_EXCEPTION_CLASS_AVX3:
    case ZYDIS_EXCEPTION_CLASS_AVX11: return floating_point;
    case ZYDIS_EXCEPTION_CLASS_E1: return aligned_vex;
    case ZYDIS_EXCEPTION_CLASS_E1NF: return aligned_vex | no_suppression;
    case ZYDIS_EXCEPTION_CLASS_E2:
    case ZYDIS_EXCEPTION_CLASS_E3:
    case ZYDIS_EXCEPTION_CLASS_E11: return floating_point;
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E11NF: return floating_point | no_suppression;
    case ZYDIS_EXCEPTION_CLASS_E4NF:
    case ZYDIS_EXCEPTION_CLASS_E5NF:
    case ZYDIS_EXCEPTION_CLASS_E6NF:
    case ZYDIS_EXCEPTION_CLASS_E9NF:
    case ZYDIS_EXCEPTION_CLASS_E10NF: return no_suppression;
    default: return 0;
    }
}

bool writes_status_flags(const ZydisDecodedInstruction& info) {
    if (!info.cpu_flags)
        return false;
    const auto& f = *info.cpu_flags;
    return (f.modified | f.set_0 | f.set_1 | f.undefined) & static_cast<u32>(rflags::status);
}

// ---- handlers -------------------------------------------------------------------------------------------------------

enum class Memory { none, load, store };

template <Memory memory, bool floating, bool mmx, bool aligned> Outcome run_vector(Cpu& cpu, const Instruction& i) {
    if constexpr (mmx)
        TRY(enter_x87(cpu));
    u32 result = thunk_done;
    if constexpr (memory == Memory::none) {
        result = run_thunk(cpu, i, nullptr);
    } else {
        constexpr Use use = memory == Memory::load ? Use::read : Use::write;
        const unsigned size = i.operand_size;
        const Linear a = TRY(cpu.address(i, size, use));
        if constexpr (aligned)
            if (a.value & (size - 1)) [[unlikely]]
                return cpu.gp();
        u8* const direct = TRY(cpu.direct(a, size, use));
        if (direct) [[likely]] {
            result = run_thunk(cpu, i, direct);
        } else {
            alignas(64) u8 bounce[64];
            if constexpr (memory == Memory::load)
                TRY(cpu.load_bytes(a, bounce, size));
            else if constexpr (floating || mmx) // a fault leaves MXCSR and the x87 tags as they were
                TRY(cpu.probe(a, size, use));
            result = run_thunk(cpu, i, bounce);
            if constexpr (memory == Memory::store)
                if (result == thunk_done)
                    TRY(cpu.store_bytes(a, bounce, size));
        }
    }
    if constexpr (floating)
        if (result != thunk_done) [[unlikely]]
            return simd_exception(cpu);
    return next(cpu, i);
}

template <Memory memory, bool floating, bool mmx> Handler choose(bool aligned) {
    return aligned ? run_vector<memory, floating, mmx, true> : run_vector<memory, floating, mmx, false>;
}

template <Memory memory> Handler choose(const VectorForm& f) {
    if (f.mmx)
        return f.floating ? choose<memory, true, true>(f.aligned) : choose<memory, false, true>(f.aligned);
    return f.floating ? choose<memory, true, false>(f.aligned) : choose<memory, false, false>(f.aligned);
}

// ---- binders --------------------------------------------------------------------------------------------------------

Handler bind_vector(const Decoded& d, Instruction& out) {
    const VectorForm form(d);
    if (d.info.meta.isa_ext == ZYDIS_ISA_EXT_BASE) // MOVSD, CMPSD: strings
        return nullptr;
    if (const Handler h = refused(d.mode, form.unit))
        return h;
    // A masked store must leave what it does not write, whether its faults heed the mask or not.
    if (form.memory && form.mask && (form.suppresses || form.stores))
        return bind_masked_memory(d, form, out);
    const Thunk thunk = thunk_of(d, form);
    if (!thunk)
        return nullptr;
    out.extra = reinterpret_cast<const void*>(thunk);
    out.operand_size = form.memory_size;
    return plain_handler(form);
}

Handler bind_emms(const Decoded& d, Instruction& out) {
    if (const Handler h = refused(d.mode, FpuUnit::mmx))
        return h;
    VectorForm form(d);
    form.mmx = true;
    out.extra = reinterpret_cast<const void*>(thunk_of(d, form));
    return plain_handler(form);
}

constexpr OpRow rows[] = {
#define VECTOR(id) {ZYDIS_MNEMONIC_##id, bind_vector},
#include "x86/ops/vector.def"
#undef VECTOR
    {ZYDIS_MNEMONIC_EMMS, bind_emms},
    {ZYDIS_MNEMONIC_LDMXCSR, bind_mxcsr},
    {ZYDIS_MNEMONIC_STMXCSR, bind_mxcsr},
    {ZYDIS_MNEMONIC_VLDMXCSR, bind_mxcsr},
    {ZYDIS_MNEMONIC_VSTMXCSR, bind_mxcsr},
    {ZYDIS_MNEMONIC_VZEROALL, bind_vzero},
    {ZYDIS_MNEMONIC_VZEROUPPER, bind_vzero},
    {ZYDIS_MNEMONIC_RCPPS, bind_approximation},
    {ZYDIS_MNEMONIC_RCPSS, bind_approximation},
    {ZYDIS_MNEMONIC_RSQRTPS, bind_approximation},
    {ZYDIS_MNEMONIC_RSQRTSS, bind_approximation},
    {ZYDIS_MNEMONIC_VRCPPS, bind_approximation},
    {ZYDIS_MNEMONIC_VRCPSS, bind_approximation},
    {ZYDIS_MNEMONIC_VRSQRTPS, bind_approximation},
    {ZYDIS_MNEMONIC_VRSQRTSS, bind_approximation},
    {ZYDIS_MNEMONIC_MASKMOVQ, bind_maskmov},
    {ZYDIS_MNEMONIC_MASKMOVDQU, bind_maskmov},
    {ZYDIS_MNEMONIC_VMASKMOVDQU, bind_maskmov},
    {ZYDIS_MNEMONIC_VMASKMOVPS, bind_masked_move},
    {ZYDIS_MNEMONIC_VMASKMOVPD, bind_masked_move},
    {ZYDIS_MNEMONIC_VPMASKMOVD, bind_masked_move},
    {ZYDIS_MNEMONIC_VPMASKMOVQ, bind_masked_move},
    {ZYDIS_MNEMONIC_VGATHERDPS, bind_gather},
    {ZYDIS_MNEMONIC_VGATHERDPD, bind_gather},
    {ZYDIS_MNEMONIC_VGATHERQPS, bind_gather},
    {ZYDIS_MNEMONIC_VGATHERQPD, bind_gather},
    {ZYDIS_MNEMONIC_VPGATHERDD, bind_gather},
    {ZYDIS_MNEMONIC_VPGATHERDQ, bind_gather},
    {ZYDIS_MNEMONIC_VPGATHERQD, bind_gather},
    {ZYDIS_MNEMONIC_VPGATHERQQ, bind_gather},
    {ZYDIS_MNEMONIC_VSCATTERDPS, bind_scatter},
    {ZYDIS_MNEMONIC_VSCATTERDPD, bind_scatter},
    {ZYDIS_MNEMONIC_VSCATTERQPS, bind_scatter},
    {ZYDIS_MNEMONIC_VSCATTERQPD, bind_scatter},
    {ZYDIS_MNEMONIC_VPSCATTERDD, bind_scatter},
    {ZYDIS_MNEMONIC_VPSCATTERDQ, bind_scatter},
    {ZYDIS_MNEMONIC_VPSCATTERQD, bind_scatter},
    {ZYDIS_MNEMONIC_VPSCATTERQQ, bind_scatter},
};

} // namespace

VectorForm::VectorForm(const Decoded& d) {
    const bool legacy = d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    bool opmask = false, xmm = false;
    for (unsigned n = 0; n < d.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = d.operands[n];
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && o.mem.type != ZYDIS_MEMOP_TYPE_AGEN) {
            memory = &o;
            memory_size = static_cast<u8>(o.size / 8);
            stores = o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        }
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        switch (ZydisRegisterGetClass(o.reg.value)) {
        case ZYDIS_REGCLASS_MMX: mmx = true; break;
        case ZYDIS_REGCLASS_MASK: opmask = true; [[fallthrough]];
        case ZYDIS_REGCLASS_XMM:
        case ZYDIS_REGCLASS_YMM:
        case ZYDIS_REGCLASS_ZMM: xmm = true; break;
        default: break;
        }
    }
    unit = !legacy ? opmask || d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? FpuUnit::avx512 : FpuUnit::avx
           : mmx && !xmm ? FpuUnit::mmx
                         : FpuUnit::sse;
    const u8 says = class_says(d.info.meta.exception_class);
    floating = (says & floating_point) || among(governed_by_mxcsr, d.info.mnemonic);
    if (d.info.mnemonic == ZYDIS_MNEMONIC_CVTPI2PS) // its memory form switches to MMX too
        mmx = true;
    aligned = legacy ? (((says & aligned_legacy) && !among(unaligned, d.info.mnemonic)) || among(aligned_mmx, d.info.mnemonic)) && memory_size == 16
                     : says & aligned_vex;
    suppresses = !(says & no_suppression) && !among(not_suppressed, d.info.mnemonic);
    if (d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && d.info.avx.mask.reg != ZYDIS_REGISTER_NONE)
        mask = static_cast<u8>(ZydisRegisterGetId(d.info.avx.mask.reg));
}

Thunk thunk_of(const Decoded& d, const VectorForm& form) {
    const ThunkKind kind{.floating = form.floating,
                         .flags_out = writes_status_flags(d.info),
                         .x87 = form.mmx,
                         .wide = (d.mode.xcr0 & 2) != 0};
    return d.thunks->get(d, kind);
}

Handler plain_handler(const VectorForm& f) {
    if (!f.memory)
        return choose<Memory::none>(f);
    return f.stores ? choose<Memory::store>(f) : choose<Memory::load>(f);
}

std::span<const OpRow> vector_rows() { return rows; }

} // namespace vitrine
