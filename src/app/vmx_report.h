// SPDX-License-Identifier: Apache-2.0
// VM exits, instructions by mode of operation and failing VM entries at the end of a run, as plain data and as text.
#pragma once

#include "vtx/entry_report.h"
#include "vtx/exit_statistics.h"

#include <string>
#include <vector>

namespace vitrine::machine {
class Machine;
}

namespace vitrine::app {

/// One VMCS on one processor: a virtual processor of some virtual machine.
struct VirtualProcessor {
    unsigned cpu = 0;
    u64 vmcs = 0, exits = 0;
    u64 instructions = 0; ///< retired in VMX non-root operation
    std::vector<vtx::ExitStatistics::Row> reasons, places; ///< most exits first; places: the first ones
};

/// What a processor's retired instructions were.
struct ProcessorReport {
    unsigned cpu = 0;
    vtx::ExitStatistics::Retired retired;
};

struct VmxReport {
    std::vector<ProcessorReport> processors; ///< those that can VMX
    std::vector<VirtualProcessor> virtual_processors;
    std::vector<vtx::EntryReport> failed_entries;
};

VmxReport vmx_report(machine::Machine& m);

/// Tables for --stats; empty when there was no VMX operation.
std::string vmx_text(const VmxReport& report);

} // namespace vitrine::app
