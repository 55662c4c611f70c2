// SPDX-License-Identifier: Apache-2.0
// Model-specific registers: one table of rows; what a read gives, what a write accepts and does.
#pragma once

#include "x86/cpu.h"

#include <span>

namespace vitrine {

struct CpuModel;

/// One row of spec/msrs.def. A handler is null where the access gives #GP(0).
struct MsrRow {
    const char* id;
    u32 index, count;
    const char* name;
    bool (*exists)(const CpuModel&); ///< null: in every model
    Faultable<u64> (*read)(Cpu&, u32 msr);
    Faultable<> (*write)(Cpu&, u32 msr, u64 value);

    bool covers(u32 msr) const { return msr - index < count; }
};

std::span<const MsrRow> msr_rows();

/// The row of an index; null when the model has no such MSR.
const MsrRow* find_msr(const CpuModel& model, u32 msr);

/// RDMSR and WRMSR after their privilege check and exits; also what VMX's MSR lists use. Unknown: #GP(0) and the event `msr.unknown`.
Faultable<u64> read_msr(Cpu& cpu, u32 msr);
Faultable<> write_msr(Cpu& cpu, u32 msr, u64 value);

} // namespace vitrine
