// SPDX-License-Identifier: Apache-2.0
// VMX explained to people: a VMCS field by field, exit qualifications, walks through EPT.
#pragma once

#include "vtx/spec/exits.h"
#include "words/addresses.h"

#include <string>
#include <string_view>

namespace vitrine {
class Cpu;
}

namespace vitrine::vtx {

class Unit;

/// What an exit qualification says, by the shape that it has for the reason: "port 20, 1 byte, out"; empty when it says nothing.
std::string qualification_text(ExitReason reason, u64 qualification);

/// The current VMCS: its pointer, then each field whose name contains `part`, with its bits by name and who wrote it last.
std::string explain_vmcs(Unit& unit, std::string_view part);

/// The walk of a guest-physical address through the current VMCS's EPT, level by level, and where and why it stops.
std::string explain_ept_walk(Unit& unit, Cpu& cpu, GuestPhysical a);

/// In VMX non-root operation with EPT: the guest's own walk of a linear address, and of each table's guest-physical address through EPT.
std::string explain_nested_walk(Unit& unit, Cpu& cpu, Linear a);

} // namespace vitrine::vtx
