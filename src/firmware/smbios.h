// SPDX-License-Identifier: Apache-2.0
// SMBIOS 3.0 tables (DMTF DSP0134): what the machine calls itself, its processors and its memory.
#pragma once

#include "firmware/board.h"
#include "firmware/bytes.h"
#include "firmware/memory_map.h"
#include "words/bits.h"

namespace vitrine::firmware {

struct Smbios {
    Bytes anchor; ///< 64-bit entry point, for the 16-byte grid of F0000h; without address and checksum
    Bytes tables;

    /// Fills in where the tables lie.
    void link(u64 tables_address);
};

Smbios smbios(const Board& board, RamSize ram);

} // namespace vitrine::firmware
