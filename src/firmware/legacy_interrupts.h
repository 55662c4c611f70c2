// SPDX-License-Identifier: Apache-2.0
// The interrupt vectors that a BIOS leaves for code in real mode: the timer's tick, an end of interrupt for the other
// lines, and nothing behind the rest. There are no BIOS services.
#pragma once

#include "memory/space.h"

namespace vitrine::firmware {

/// Vectors of the 8259s as a BIOS programs them.
inline constexpr u8 first_vector = 0x08, second_vector = 0x70;

/// Writes the vector table at 0 and its handlers at the end of the first megabyte.
void write_legacy_interrupts(Space& space);

} // namespace vitrine::firmware
