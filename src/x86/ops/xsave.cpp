// SPDX-License-Identifier: Apache-2.0
// XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, XGETBV and XSETBV (SDM volume 1, Managing State Using the XSAVE Feature Set).
// Offsets come from spec/xsave.h. The init optimisation is a function of the registers; the modified optimisation is never made.
#include "x86/ops/xsave.h"

#include "x86/model.h"
#include "x86/ops/x87.h"
#include "x86/spec/xsave.h"

namespace vitrine {

namespace {

constexpr unsigned area_limit = 4096;
constexpr u64 compacted = bit(63);

/// The header at offset 512.
struct Header {
    u64 xstate_bv, xcomp_bv, reserved[6];
};

static_assert(sizeof(Header) == xsave_header_size);

enum class Save { plain, optimized, compacted, supervisor };

/// Offset of each component beyond the legacy region, by bit; 0 where it has none.
struct Offsets {
    u16 at[64]{};
    unsigned size = xsave_legacy_size + xsave_header_size;

    /// Standard format for ~0, compacted for a mask.
    explicit Offsets(u64 xcomp_bv) {
        for (const XsaveComponent& c : xsave_components) {
            if (!(xcomp_bv & compacted)) {
                at[c.bit] = c.offset;
                size = c.offset + c.size;
            } else if (xcomp_bv >> c.bit & 1) {
                const unsigned here = c.aligned ? static_cast<unsigned>(align_up(size, 64)) : size;
                at[c.bit] = static_cast<u16>(here);
                size = here + c.size;
            }
        }
    }
};

/// Pieces of guest memory, all checked before the first is written.
class Pieces {
public:
    Pieces(Cpu& cpu, Linear area) : cpu_(cpu), area_(area) {}

    u8* add(unsigned at, unsigned size) {
        pieces_[count_++] = {at, size};
        return data_ + at;
    }

    Faultable<> write() {
        for (unsigned n = 0; n < count_; ++n)
            TRY(cpu_.probe(area_ + pieces_[n].at, pieces_[n].size, Use::write));
        for (unsigned n = 0; n < count_; ++n)
            TRY(cpu_.store_bytes(area_ + pieces_[n].at, data_ + pieces_[n].at, pieces_[n].size));
        return {};
    }

private:
    struct Piece {
        unsigned at, size;
    };

    Cpu& cpu_;
    Linear area_;
    Piece pieces_[16];
    unsigned count_ = 0;
    alignas(16) u8 data_[area_limit];
};

u64 requested(const Cpu& cpu) { return (cpu.gpr[rdx] & 0xffff'ffff) << 32 | (cpu.gpr[rax] & 0xffff'ffff); }

/// The area's address: #GP unless aligned to 64 bytes.
Faultable<Linear> area_address(Cpu& cpu, const Instruction& i, Use use) {
    const Linear a = TRY(cpu.address(i, xsave_legacy_size + xsave_header_size, use));
    if (a.value & 63)
        return cpu.gp();
    return a;
}

template <Save kind, bool wide> Outcome run_xsave(Cpu& cpu, const Instruction& i) {
    constexpr bool compacts = kind == Save::compacted || kind == Save::supervisor;
    if constexpr (kind == Save::supervisor) {
        if (cpu.cpl != 0)
            return cpu.gp();
        if (cpu.intercepted(Intercept::xsaves))
            if (const Outcome o = cpu.interceptor->instruction(cpu, Intercept::xsaves, i, 0); o != Outcome::next)
                return o;
    }
    const Linear a = TRY(area_address(cpu, i, Use::write));
    if (cpu.x87_in_host)
        cpu.save_x87();
    const u64 mask = requested(cpu) & (kind == Save::supervisor ? cpu.xcr0 | cpu.msr.xss : cpu.xcr0);
    const u64 in_use = xinuse(cpu);
    u64 save = kind == Save::plain ? mask : mask & in_use;
    u64 xstate_bv = mask & in_use;
    if (compacts && (mask & xstate_sse) && cpu.fpu.mxcsr != mxcsr_initial) {
        save |= xstate_sse;
        xstate_bv |= xstate_sse;
    }
    const bool legacy = save & (xstate_x87 | xstate_sse) || (!compacts && mask & xstate_avx);
    TRY(cpu.probe(legacy ? a : a + xsave_legacy_size, 8, Use::write)); // a fault is one of a write, from the area's beginning on
    Pieces pieces(cpu, a);
    if (save & xstate_x87) {
        u8 image[fxsave::xmm];
        x87_to(cpu, image, wide);
        std::memcpy(pieces.add(0, fxsave::mxcsr), image, fxsave::mxcsr);
        std::memcpy(pieces.add(fxsave::st, 128), image + fxsave::st, 128);
    }
    if (save & xstate_sse) {
        u8* const xmm = pieces.add(fxsave::xmm, 16 * (cpu.mode64() ? 16 : 8));
        sse_to(cpu, xmm - fxsave::xmm);
    }
    const u64 with_mxcsr = compacts ? save & xstate_sse : kind == Save::plain ? mask & (xstate_sse | xstate_avx) : save & (xstate_sse | xstate_avx);
    if (with_mxcsr) {
        u8* const to = pieces.add(fxsave::mxcsr, 8);
        std::memcpy(to, &cpu.fpu.mxcsr, 4);
        std::memcpy(to + 4, &mxcsr_mask, 4);
    }
    const Offsets offsets(compacts ? mask | compacted : 0);
    for (const XsaveComponent& c : xsave_components)
        if (save >> c.bit & 1)
            if (const unsigned size = component_size(cpu, c.bit))
                component_to(cpu, c.bit, pieces.add(offsets.at[c.bit], size));
    if constexpr (compacts) {
        u8* const header = pieces.add(xsave_legacy_size, 16);
        const u64 xcomp_bv = mask | compacted;
        std::memcpy(header, &xstate_bv, 8);
        std::memcpy(header + 8, &xcomp_bv, 8);
    } else {
        const u64 old = TRY(cpu.load<u64>(a + xsave_legacy_size));
        const u64 value = (old & ~mask) | xstate_bv;
        std::memcpy(pieces.add(xsave_legacy_size, 8), &value, 8);
    }
    TRY(pieces.write());
    return next(cpu, i);
}

/// #GP unless the header is one that XRSTOR accepts.
bool header_valid(const Cpu& cpu, const Header& h, bool supervisor) {
    u64 reserved = 0;
    for (const u64 word : h.reserved)
        reserved |= word;
    if (!(h.xcomp_bv & compacted))
        return !supervisor && h.xcomp_bv == 0 && h.reserved[0] == 0 && !(h.xstate_bv & ~cpu.xcr0);
    if (!supervisor && !cpu.model().has(Feature::xsavec))
        return false;
    const u64 allowed = supervisor ? cpu.xcr0 | cpu.msr.xss : cpu.xcr0;
    return reserved == 0 && !(h.xcomp_bv & ~(allowed | compacted)) && !(h.xstate_bv & ~h.xcomp_bv) && !(h.xstate_bv & compacted);
}

template <bool supervisor, bool wide> Outcome run_xrstor(Cpu& cpu, const Instruction& i) {
    if constexpr (supervisor) {
        if (cpu.cpl != 0)
            return cpu.gp();
        if (cpu.intercepted(Intercept::xrstors))
            if (const Outcome o = cpu.interceptor->instruction(cpu, Intercept::xrstors, i, 0); o != Outcome::next)
                return o;
    }
    const Linear a = TRY(area_address(cpu, i, Use::read));
    const u64 mask = requested(cpu) & (supervisor ? cpu.xcr0 | cpu.msr.xss : cpu.xcr0);
    alignas(16) u8 area[area_limit];
    Header header;
    TRY(cpu.probe(a + (xsave_legacy_size + 8), 8, Use::read)); // XCOMP_BV is looked at first
    TRY(cpu.load_bytes(a + xsave_legacy_size, &header, sizeof header));
    if (!header_valid(cpu, header, supervisor))
        return cpu.gp();
    const bool is_compacted = header.xcomp_bv & compacted;
    const u64 load = mask & header.xstate_bv, initialize = mask & ~header.xstate_bv;
    const bool mxcsr_loaded = is_compacted ? (load & xstate_sse) != 0 : (mask & (xstate_sse | xstate_avx)) != 0;
    // Everything is read before anything changes.
    const Offsets offsets(is_compacted ? header.xcomp_bv : 0);
    if ((load & (xstate_x87 | xstate_sse)) || mxcsr_loaded)
        TRY(cpu.load_bytes(a, area, fxsave::xmm + 256));
    for (const XsaveComponent& c : xsave_components)
        if (load >> c.bit & 1)
            if (const unsigned size = component_size(cpu, c.bit))
                TRY(cpu.load_bytes(a + offsets.at[c.bit], area + offsets.at[c.bit], size));
    u32 mxcsr = mxcsr_initial;
    if (mxcsr_loaded)
        std::memcpy(&mxcsr, area + fxsave::mxcsr, 4);
    if (mxcsr & ~mxcsr_mask)
        return cpu.gp();
    if (load & xstate_x87)
        x87_from(cpu, area, wide);
    else if (initialize & xstate_x87)
        x87_initialize(cpu);
    if (mask & xstate_sse)
        sse_from(cpu, load & xstate_sse ? area : nullptr);
    if (mxcsr_loaded || (is_compacted && (mask & xstate_sse)))
        cpu.fpu.mxcsr = mxcsr;
    for (const XsaveComponent& c : xsave_components)
        if (mask >> c.bit & 1)
            component_from(cpu, c.bit, load >> c.bit & 1 ? area + offsets.at[c.bit] : nullptr);
    return next(cpu, i);
}

Outcome run_xgetbv(Cpu& cpu, const Instruction& i) {
    const u32 index = static_cast<u32>(cpu.gpr[rcx]);
    u64 value = cpu.xcr0;
    if (index == 1 && cpu.model().has(Feature::xgetbv_ecx_1)) {
        if (cpu.x87_in_host)
            cpu.save_x87();
        u64 in_use = xinuse(cpu);
        if (cpu.fpu.mxcsr != mxcsr_initial)
            in_use |= xstate_sse;
        value &= in_use;
    } else if (index != 0) {
        return cpu.gp();
    }
    cpu.gpr[rax] = value & 0xffff'ffff;
    cpu.gpr[rdx] = value >> 32;
    return next(cpu, i);
}

/// Combinations that XSETBV accepts (SDM volume 1, Enabling the XSAVE Feature Set).
bool xcr0_valid(const Cpu& cpu, u64 value) {
    if ((value & ~xcr0_supported(cpu.model())) || !(value & xstate_x87))
        return false;
    if ((value & xstate_avx) && !(value & xstate_sse))
        return false;
    const u64 avx512 = value & xstate_avx512;
    return !avx512 || (avx512 == xstate_avx512 && (value & xstate_avx));
}

Outcome run_xsetbv(Cpu& cpu, const Instruction& i) {
    if (cpu.cpl != 0)
        return cpu.gp();
    if (cpu.intercepted(Intercept::xsetbv))
        if (const Outcome o = cpu.interceptor->instruction(cpu, Intercept::xsetbv, i, 0); o != Outcome::next)
            return o;
    const u64 value = requested(cpu);
    if (static_cast<u32>(cpu.gpr[rcx]) != 0 || !xcr0_valid(cpu, value))
        return cpu.gp();
    cpu.xcr0 = value;
    cpu.mode_changed();
    return Outcome::end;
}

/// Needs CR4.OSXSAVE; #NM with CR0.TS. XGETBV and XSETBV do not look at CR0.TS.
template <Outcome (*handler)(Cpu&, const Instruction&), bool state = true> Handler bind(const Decoded& d, Instruction&) {
    if (!d.mode.osxsave)
        return raise_ud;
    return state && d.mode.fpu_ts ? raise_nm : handler;
}

constexpr OpRow rows[] = {
    {ZYDIS_MNEMONIC_XSAVE, bind<run_xsave<Save::plain, false>>},
    {ZYDIS_MNEMONIC_XSAVE64, bind<run_xsave<Save::plain, true>>},
    {ZYDIS_MNEMONIC_XSAVEOPT, bind<run_xsave<Save::optimized, false>>},
    {ZYDIS_MNEMONIC_XSAVEOPT64, bind<run_xsave<Save::optimized, true>>},
    {ZYDIS_MNEMONIC_XSAVEC, bind<run_xsave<Save::compacted, false>>},
    {ZYDIS_MNEMONIC_XSAVEC64, bind<run_xsave<Save::compacted, true>>},
    {ZYDIS_MNEMONIC_XSAVES, bind<run_xsave<Save::supervisor, false>>},
    {ZYDIS_MNEMONIC_XSAVES64, bind<run_xsave<Save::supervisor, true>>},
    {ZYDIS_MNEMONIC_XRSTOR, bind<run_xrstor<false, false>>},
    {ZYDIS_MNEMONIC_XRSTOR64, bind<run_xrstor<false, true>>},
    {ZYDIS_MNEMONIC_XRSTORS, bind<run_xrstor<true, false>>},
    {ZYDIS_MNEMONIC_XRSTORS64, bind<run_xrstor<true, true>>},
    {ZYDIS_MNEMONIC_XGETBV, bind<run_xgetbv, false>},
    {ZYDIS_MNEMONIC_XSETBV, bind<run_xsetbv, false>, ends_block},
};

} // namespace

std::span<const OpRow> xsave_rows() { return rows; }

} // namespace vitrine
