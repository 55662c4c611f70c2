// SPDX-License-Identifier: Apache-2.0
// The registers of a processor as GDB numbers and names them (GDB manual, Target Descriptions).
#pragma once

#include "x86/cpu.h"

#include <string>
#include <vector>

namespace vitrine::debug {

inline constexpr unsigned widest_gdb_register = 32; ///< bytes

/// One register: how gdb calls it, and how it is read and written as little-endian bytes.
struct GdbRegister {
    std::string name;
    unsigned bytes;
    std::string type;    ///< in the target description
    std::string group;   ///< "" for gdb's default
    std::string feature; ///< registers of one feature stand together
    void (*read)(Cpu& cpu, unsigned n, u8* to);
    bool (*write)(Cpu& cpu, unsigned n, const u8* from); ///< false: the value cannot be written
    unsigned n = 0;                                      ///< which of a family
    bool in_vmcs = false;                                ///< a VMCS has it of a level that does not run
};

/// Which of its architectures gdb is told: it takes one and keeps it, whatever mode the processor goes to.
enum class GdbArchitecture : u8 { x86_64, i386 };

/// In gdb's numbering, the order of the description. AVX-512's registers are there if the processors have it.
std::vector<GdbRegister> gdb_registers(GdbArchitecture architecture, const CpuModel& model);

std::string target_description(GdbArchitecture architecture, const std::vector<GdbRegister>& registers);

} // namespace vitrine::debug
