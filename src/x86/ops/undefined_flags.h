// SPDX-License-Identifier: Apache-2.0
// What the manual leaves undefined in general-purpose instructions, and the one rule by which Vitrine decides it: what Intel's
// processors do, measured on a fifth-generation Xeon. The table is documentation and the mask of comparisons with other hosts.
#pragma once

#include "x86/bits.h"

#include <Zydis/Zydis.h>

#include <span>

namespace vitrine {

/// When a row applies, by the masked count of shifts and rotates. Other instructions have no count: pass 1.
enum class UndefinedWhen : u8 {
    always,
    counted,          ///< count is not zero
    above_one,        ///< count is above one
    width_or_more,    ///< count reaches the operand's width
    above_width,      ///< count exceeds the operand's width: the result is undefined too
};

struct UndefinedFlags {
    ZydisMnemonic mnemonic;
    UndefinedWhen when;
    u16 flags;        ///< RFLAGS bits
    const char* rule; ///< what Vitrine leaves there
};

std::span<const UndefinedFlags> undefined_flag_rows();

/// RFLAGS bits that the manual leaves open after `mnemonic` on operands of `bits`; `count` is the masked count of a shift or rotate.
u16 undefined_flags(ZydisMnemonic mnemonic, unsigned bits, unsigned count = 1);

/// True where the destination itself is undefined: BSF and BSR of zero, double shifts of words beyond their width, BSWAP of a word.
bool undefined_result(ZydisMnemonic mnemonic, unsigned bits, unsigned count, u64 source);

} // namespace vitrine
