// SPDX-License-Identifier: Apache-2.0
// The registers of a processor as GDB numbers and names them, and the target description that says so (GDB manual, Target Descriptions).
#pragma once

#include "x86/cpu.h"

#include <string>
#include <vector>

namespace vitrine::debug {

/// One register: how gdb calls it, and how it is read and written as little-endian bytes.
struct GdbRegister {
    std::string name;
    unsigned bytes;
    std::string type;  ///< in the target description
    std::string group; ///< "" for gdb's default
    std::string feature;
    void (*read)(Cpu& cpu, unsigned n, u8* to);
    bool (*write)(Cpu& cpu, unsigned n, const u8* from); ///< false: the value cannot be written
    unsigned n = 0;                                      ///< which of a family
};

/// In gdb's numbering, the order of the description.
std::vector<GdbRegister> gdb_registers();

std::string target_description(const std::vector<GdbRegister>& registers);

} // namespace vitrine::debug
