// SPDX-License-Identifier: Apache-2.0
// Operands: edge cases and random ones for registers and memory, with addresses that reach the case's pages.
#pragma once

#include "case.h"

namespace vitrine::oracle {

/// Fills registers and memory for the instruction that `c` holds. May rewrite its displacement.
void fill_values(Random& random, Case& c, const ZydisDecoder& decoder);

/// Fills general registers at random, and all others but RIP and the bases of FS and GS.
void fill_unaddressed(Random& random, Registers& g);

} // namespace vitrine::oracle
