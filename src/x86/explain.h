// SPDX-License-Identifier: Apache-2.0
// A processor explained to people: registers with names for their bits, and page walks level by level.
#pragma once

#include "x86/cpu.h"

#include <string>

namespace vitrine {

/// General registers, RIP, RFLAGS, segments with decoded rights, control and debug registers, one block of lines.
std::string explain_registers(Cpu& cpu);

/// XMM/YMM (and ZMM where something stands in them), MXCSR and the x87.
std::string explain_vectors(Cpu& cpu);

/// Each level of the walk for `a`: where the entry lies, its value and bits, and where and why the walk stops. Changes nothing.
std::string explain_walk(Cpu& cpu, Linear a);

/// `count` instructions at `a`, one a line; stops where nothing is mapped.
std::string explain_code(Cpu& cpu, Linear a, unsigned count);

/// Names of the bits that are set: "PE MP PG".
std::string explain_bits(u64 value, std::initializer_list<Field> fields);

} // namespace vitrine
