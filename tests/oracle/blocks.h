// SPDX-License-Identifier: Apache-2.0
// Runs of random instructions in the interpreter and in the translator: registers, flags, memory, exceptions and time compared.
#pragma once

#include "trial.h"

#include <span>

namespace vitrine::oracle {

/// A worker's part: every `jobs`-th block from p.next on, below `end`.
int compare_blocks(const Repertoire& repertoire, const CpuModel& model, u64 seed, u64 end, unsigned jobs, Progress& p);

/// What came of all workers; false when something differed.
bool blocks_summary(std::span<const Progress> progress, u64 lost, double seconds);

} // namespace vitrine::oracle
