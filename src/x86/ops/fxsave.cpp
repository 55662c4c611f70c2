// SPDX-License-Identifier: Apache-2.0
// FXSAVE and FXRSTOR, with and without REX.W.
#include "x86/ops/x87.h"
#include "x86/ops/xsave.h"

namespace vitrine {

namespace {

template <bool wide> Outcome run_fxsave(Cpu& cpu, const Instruction& i) {
    const Linear a = TRY(cpu.address(i, fxsave::size, Use::write));
    if (a.value & 15)
        return cpu.gp();
    if (cpu.x87_in_host)
        cpu.save_x87();
    u8 image[fxsave::size];
    x87_to(cpu, image, wide);
    std::memcpy(image + fxsave::mxcsr, &cpu.fpu.mxcsr, 4);
    std::memcpy(image + fxsave::mxcsr_mask, &mxcsr_mask, 4);
    sse_to(cpu, image);
    const unsigned size = fxsave::xmm + 16 * (cpu.mode64() ? 16 : 8);
    TRY(cpu.probe(a, fxsave::size, Use::write));
    TRY(cpu.store_bytes(a, image, size));
    return next(cpu, i);
}

template <bool wide> Outcome run_fxrstor(Cpu& cpu, const Instruction& i) {
    const Linear a = TRY(cpu.address(i, fxsave::size, Use::read));
    if (a.value & 15)
        return cpu.gp();
    u8 image[fxsave::size];
    TRY(cpu.load_bytes(a, image, fxsave::size));
    u32 mxcsr;
    std::memcpy(&mxcsr, image + fxsave::mxcsr, 4);
    if (mxcsr & ~mxcsr_mask)
        return cpu.gp();
    x87_from(cpu, image, wide);
    sse_from(cpu, image);
    cpu.fpu.mxcsr = mxcsr;
    return next(cpu, i);
}

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded& d, Instruction&) {
    const Handler h = refused(d.mode, FpuUnit::x87); // CR0.EM or CR0.TS: #NM
    return h ? h : handler;
}

constexpr OpRow rows[] = {
    {ZYDIS_MNEMONIC_FXSAVE, bind<run_fxsave<false>>},
    {ZYDIS_MNEMONIC_FXSAVE64, bind<run_fxsave<true>>},
    {ZYDIS_MNEMONIC_FXRSTOR, bind<run_fxrstor<false>>},
    {ZYDIS_MNEMONIC_FXRSTOR64, bind<run_fxrstor<true>>},
};

} // namespace

std::span<const OpRow> fxsave_rows() { return rows; }

} // namespace vitrine
