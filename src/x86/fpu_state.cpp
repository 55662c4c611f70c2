// SPDX-License-Identifier: Apache-2.0
// The x87 image's initial values and the visit of all registers.
#include "x86/fpu_state.h"

#include <algorithm>

namespace vitrine {

FpuState::FpuState() {
    // SDM volume 3, IA-32 and Intel 64 Processor States Following Power-up: FCW 0040h, FTW 5555h (abridged: nothing empty).
    set_word(fxsave::fcw, 0x0040);
    x87[fxsave::ftw] = 0xff;
}

void FpuState::initialize_x87() {
    set_word(fxsave::fcw, 0x037f);
    set_word(fxsave::fsw, 0);
    x87[fxsave::ftw] = 0;
    fip = fdp = 0;
    fop = 0;
    last_valid = false;
}

bool FpuState::x87_initial() const {
    const auto zero = [](u8 b) { return b == 0; };
    return fcw() == 0x037f && fsw() == 0 && x87[fxsave::ftw] == 0 && fip == 0 && fdp == 0 && fop == 0 &&
           std::all_of(x87.begin() + fxsave::st, x87.end(), zero);
}

void FpuState::summarize_exceptions() {
    const u16 status = fsw();
    const bool pending = status & ~fcw() & 0x3f;
    set_word(fxsave::fsw, static_cast<u16>((status & ~0x8080) | (pending ? 0x8080 : 0)));
}

void FpuState::state(Visitor& v) {
    for (auto& z : zmm)
        v.field("zmm", z);
    v.field("k", k);
    v.field("mxcsr", mxcsr);
    v.field("x87", x87);
    v.field("fip", fip);
    v.field("fdp", fdp);
    v.field("fop", fop);
    v.field("last operand", last_operand);
    v.field("last opcode", last_opcode);
    v.field("last valid", last_valid);
    if (v.loading()) {
        mxcsr &= mxcsr_mask; // a file may not make the host's LDMXCSR fault
        summarize_exceptions();
    }
}

} // namespace vitrine
