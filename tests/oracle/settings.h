// SPDX-License-Identifier: Apache-2.0
// The modes in which blocks are compared, as a table: how wide the code is, and how the processor is brought there.
#pragma once

#include "case.h"

#include "x86/bare_machine.h"

#include <span>

namespace vitrine::oracle {

struct Setting {
    const char* name;
    u8 bits;          ///< of the code segment
    unsigned percent; ///< of all blocks
    bool program;     ///< CPL 3 of a protected mode: nothing that code does can leave the mode or change tables
    bool paged;       ///< linear addresses are those of case.h; else data and code lie at their physical addresses
    void (*enter)(BareMachine& m);
};

std::span<const Setting> settings();

/// Physical addresses of what case.h gives linear ones.
inline constexpr u64 tables_at = 0x400000, data_at = 0x500000, code_at = 0x600000;

} // namespace vitrine::oracle
