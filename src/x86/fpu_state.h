// SPDX-License-Identifier: Apache-2.0
// x87, MMX, SSE, AVX and AVX-512 registers of one processor.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"

#include <array>

namespace vitrine {

struct FpuState {
    alignas(64) std::array<std::array<u8, 64>, 32> zmm{}; ///< XMM and YMM are their low parts
    std::array<u64, 8> k{};
    u32 mxcsr = 0x1f80;
    /// The x87 in FXSAVE's layout (bytes 0 to 159; MXCSR's slot unused). While an engine keeps it in the host's x87
    /// (`x87_in_host`) this image is stale: Cpu::save_x87() brings it home.
    alignas(16) std::array<u8, 512> x87{};
    u64 fip = 0, fdp = 0; ///< last x87 instruction and operand; kept in software, the same on every host
    u16 fop = 0;

    void state(Visitor& v);
};

} // namespace vitrine
