// SPDX-License-Identifier: Apache-2.0
// Vector instructions that compute nothing: LDMXCSR, STMXCSR, VZEROALL, VZEROUPPER; and which results depend on the host's maker.
#include "x86/ops/vector.h"

#include <cstring>

namespace vitrine {

namespace {

Outcome load_mxcsr(Cpu& cpu, const Instruction& i) {
    const u32 value = TRY(cpu.load<u32>(TRY(cpu.address(i, 4, Use::read))));
    if (value & ~mxcsr_mask)
        return cpu.gp();
    cpu.fpu.mxcsr = value;
    return next(cpu, i);
}

Outcome store_mxcsr(Cpu& cpu, const Instruction& i) {
    TRY(cpu.store<u32>(TRY(cpu.address(i, 4, Use::write)), cpu.fpu.mxcsr));
    return next(cpu, i);
}

template <unsigned from, unsigned to> Outcome zero_registers(Cpu& cpu, const Instruction& i) {
    const unsigned count = cpu.mode64() ? 16 : 8;
    for (unsigned n = 0; n < count; ++n)
        std::memset(cpu.fpu.zmm[n].data() + from, 0, to - from);
    return next(cpu, i);
}

} // namespace

Handler bind_mxcsr(const Decoded& d, Instruction&) {
    const FpuUnit unit = d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ? FpuUnit::sse : FpuUnit::avx;
    if (const Handler h = refused(d.mode, unit))
        return h;
    const ZydisMnemonic m = d.info.mnemonic;
    return m == ZYDIS_MNEMONIC_LDMXCSR || m == ZYDIS_MNEMONIC_VLDMXCSR ? load_mxcsr : store_mxcsr;
}

Handler bind_vzero(const Decoded& d, Instruction&) {
    if (const Handler h = refused(d.mode, FpuUnit::avx))
        return h;
    const bool wide = d.mode.xcr0 & 2; // as with any VEX instruction
    if (d.info.mnemonic == ZYDIS_MNEMONIC_VZEROALL)
        return wide ? zero_registers<0, 64> : zero_registers<0, 32>;
    return wide ? zero_registers<16, 64> : zero_registers<16, 32>;
}

} // namespace vitrine
