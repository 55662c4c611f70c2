// SPDX-License-Identifier: Apache-2.0
// #UD and #NM as the mode asks for them, decided once, when an instruction is bound.
#include "x86/ops/fpu_rules.h"

namespace vitrine {

Outcome raise_ud(Cpu& cpu, const Instruction&) { return cpu.ud(); }

Outcome raise_nm(Cpu& cpu, const Instruction&) { return cpu.raise(Vector::nm); }

Handler refused(const CodeMode& m, FpuUnit unit) {
    bool undefined = false;
    switch (unit) {
    case FpuUnit::x87:
        return m.fpu_em || m.fpu_ts ? raise_nm : nullptr;
    case FpuUnit::mmx:
        undefined = m.fpu_em;
        break;
    case FpuUnit::sse:
        undefined = m.fpu_em || !m.osfxsr;
        break;
    case FpuUnit::avx:
        undefined = !m.protected_ || !m.osxsave || !(m.xcr0 & 1);
        break;
    case FpuUnit::avx512:
        undefined = !m.protected_ || !m.osxsave || !(m.xcr0 & 2);
        break;
    }
    return undefined ? raise_ud : m.fpu_ts ? raise_nm : nullptr;
}

} // namespace vitrine
