// SPDX-License-Identifier: Apache-2.0
// How a run ended, for people and for machines: statistics, JSON, TAP, JUnit.
#pragma once

#include "app/run_options.h"
#include "app/vmx_report.h"
#include "machine/ending.h"
#include "jit/statistics.h"
#include "machine/hash128.h"

#include <array>
#include <map>
#include <string>

namespace vitrine::app {

struct RunReport {
    std::string name; ///< of the test: the kernel's file name
    machine::Ending ending;
    int status = 0;
    int signal = 0; ///< that ended the run; the process then ends by it
    u64 instructions = 0, retired = 0, virtual_time = 0, host_time = 0; ///< times in nanoseconds
    std::optional<machine::Hash128> hash;
    std::optional<jit::TranslatorStats> translator;
    std::array<u64, static_cast<unsigned>(jit::Tier::count)> tiers{}; ///< samples of the host's time; for people, never the same twice
    std::map<std::string, u64, std::less<>> counters;
    VmxReport vmx;
    std::string glass; ///< --report as text

    double virtual_seconds() const { return static_cast<double>(virtual_time) / 1e9; }
    double host_seconds() const { return static_cast<double>(host_time) / 1e9; }
    double million_instructions_per_second() const { return host_time == 0 ? 0 : static_cast<double>(instructions) * 1e3 / static_cast<double>(host_time); }

    /// Powered off, or a verdict of 0.
    bool passed() const;
};

std::string outcome_text(const RunReport& report); ///< "power-off (status 0)"
std::string stats_text(const RunReport& report);
std::string json_text(const RunReport& report); ///< one line
std::string tap_text(const RunReport& report);
std::string junit_text(const RunReport& report);

/// One sentence (or, for a triple fault, several lines) for standard error; empty when there is nothing to say.
std::string ending_text(const machine::Ending& ending);

} // namespace vitrine::app
