// SPDX-License-Identifier: Apache-2.0
// x87, MMX, SSE, AVX and AVX-512 registers of one processor.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"

#include <array>

namespace vitrine {

inline constexpr u32 mxcsr_initial = 0x1f80;
inline constexpr u32 mxcsr_mask = 0xffff; ///< bits that exist (MXCSR_MASK of FXSAVE)

/// Offsets into FXSAVE's image.
namespace fxsave {
inline constexpr unsigned fcw = 0, fsw = 2, ftw = 4, fop = 6, fip = 8, fdp = 16, mxcsr = 24, mxcsr_mask = 28, st = 32,
                          xmm = 160, size = 512;
}

struct FpuState {
    FpuState(); ///< as after power-on

    alignas(64) std::array<std::array<u8, 64>, 32> zmm{}; ///< XMM and YMM are their low parts
    std::array<u64, 8> k{};
    u32 mxcsr = mxcsr_initial;
    /// The x87 in FXSAVE's layout: control, status and abridged tag word (bytes 0 to 4) and the registers (32 to 159); the rest
    /// is zero. While an engine keeps it in the host's x87 (`x87_in_host`) this image is stale: Cpu::save_x87() brings it home.
    alignas(16) std::array<u8, fxsave::st + 128> x87{};
    u64 fip = 0, fdp = 0; ///< last x87 instruction and operand; kept in software, the same on every host
    u16 fop = 0;
    /// Operand and opcode of the last instruction, which become `fdp` (if it has an operand in memory) and `fop` if an unmasked exception
    /// is found pending. Zero once Cpu::save_x87() has been called. Not kept while no exception can become pending (Cpu::x87_quiet).
    u64 last_operand = 0;
    u16 last_opcode = 0;
    bool last_valid = false;

    u16 fcw() const { return word(fxsave::fcw); }

    u16 fsw() const { return word(fxsave::fsw); }

    /// No instruction is the last one any more.
    void forget_last() {
        last_operand = 0;
        last_opcode = 0;
        last_valid = false;
    }

    /// FNINIT.
    void initialize_x87();
    /// Every bit of the x87 component is as FNINIT leaves it, registers zero (XINUSE[0] = 0).
    bool x87_initial() const;
    /// Makes ES and B agree with the exception flags and masks, as loads of an image do.
    void summarize_exceptions();

    u16 word(unsigned at) const { return static_cast<u16>(x87[at] | x87[at + 1] << 8); }

    void set_word(unsigned at, u16 value) {
        x87[at] = static_cast<u8>(value);
        x87[at + 1] = static_cast<u8>(value >> 8);
    }

    void state(Visitor& v);
};

} // namespace vitrine
