// SPDX-License-Identifier: Apache-2.0
// What is told of a VM entry that fails: each broken rule, the fields that it read with their values, and who wrote each last.
#pragma once

#include "vtx/spec/rule.h"

#include <string>
#include <vector>

namespace vitrine::vtx {

/// A field that a broken rule read.
struct FieldReport {
    F field{};
    u64 value = 0;
    bool written = false; ///< by a VMWRITE that is remembered
    u64 writer_rip = 0;   ///< of that VMWRITE
    u64 entries_ago = 0;  ///< VM entries of the processor since
};

struct RuleReport {
    const Rule* rule = nullptr;
    std::vector<FieldReport> fields;
};

struct EntryReport {
    const char* outcome = ""; ///< the event's name: entry.invalid-controls ...
    unsigned cpu = 0;
    u64 vmcs = 0; ///< physical address of its region
    u64 rip = 0;  ///< of the VMLAUNCH or VMRESUME
    u64 time = 0; ///< virtual nanoseconds
    std::vector<RuleReport> rules;
};

/// A paragraph for each rule; empty when none is broken.
std::string text_of(const std::vector<RuleReport>& rules);

} // namespace vitrine::vtx
