// SPDX-License-Identifier: Apache-2.0
// A processor explained to people: registers with names for their bits, and page walks level by level.
#pragma once

#include "x86/cpu.h"

#include <span>
#include <string>

namespace vitrine {

/// General registers, RIP, RFLAGS, segments with decoded rights, control and debug registers, one block of lines.
std::string explain_registers(Cpu& cpu);

/// XMM/YMM (and ZMM where something stands in them), MXCSR and the x87.
std::string explain_vectors(Cpu& cpu);

/// Each level of the walk for `a`: where the entry lies, its value and bits, and where and why the walk stops. Changes
/// nothing.
std::string explain_walk(Cpu& cpu, Linear a);

/// `count` instructions at `a`, one a line; stops where nothing is mapped.
std::string explain_code(Cpu& cpu, Linear a, unsigned count);

/// Some instructions before the present one, it (with an arrow) and some behind it. What stands before is told by
/// trying where an instruction could begin, and may be wrong where data lie among the code.
std::string explain_code_around(Cpu& cpu);

/// The way of an event through the IDT or IVT: the entry, its gate, the code segment, the stack; and at each what
/// stands in the way.
std::string explain_delivery(Cpu& cpu, u8 vector);

/// Memory by linear address through the page tables alone; nothing changes, devices are not touched. How many bytes
/// could be read.
unsigned peek(Cpu& cpu, Linear a, void* to, unsigned size);

/// Names of the bits that are set: "PE MP PG".
std::string explain_bits(u64 value, std::span<const Field> fields);

std::span<const Field> rflags_fields();
std::span<const Field> cr0_fields();
std::span<const Field> cr4_fields();
std::span<const Field> efer_fields();

} // namespace vitrine
