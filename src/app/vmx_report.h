// SPDX-License-Identifier: Apache-2.0
// VM exits and failing VM entries at the end of a run, as text and as JSON.
#pragma once

#include "machine/machine.h"
#include "vtx/entry_report.h"
#include "vtx/exit_statistics.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace vitrine::app {

/// One VMCS on one processor: a virtual processor of some virtual machine.
struct VirtualProcessor {
    unsigned cpu = 0;
    u64 vmcs = 0, exits = 0;
    std::vector<vtx::ExitStatistics::Row> reasons, places; ///< most exits first; places: the first ones
};

struct VmxReport {
    std::vector<VirtualProcessor> virtual_processors;
    std::vector<vtx::EntryReport> failed_entries;
};

VmxReport vmx_report(machine::Machine& m);

/// Tables for --stats; empty when there was no VM exit.
std::string vmx_text(const VmxReport& report);

/// Adds "virtual_processors" and "failed_vm_entries" where there are any.
void add_vmx(nlohmann::ordered_json& json, const VmxReport& report);

} // namespace vitrine::app
