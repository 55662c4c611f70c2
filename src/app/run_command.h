// SPDX-License-Identifier: Apache-2.0
// The options of `vitrine run` as a table: names, help, and what each does to the RunOptions.
#pragma once

#include "app/run_options.h"
#include "base/error.h"

#include <span>
#include <string_view>

namespace vitrine::app {

enum class OptionKind : u8 { flag, single, list };

struct OptionRow {
    std::string_view name;  ///< "--kernel"
    OptionKind kind;
    std::string_view value; ///< "FILE"; empty for a flag
    std::string_view help;
    Expected<> (*apply)(RunOptions& options, const std::string& value);
};

std::span<const OptionRow> run_options();

/// What only the whole command line shows: a kernel is there, consoles do not collide.
Expected<> check(const RunOptions& options);

/// --disk FILE[,readonly|,overlay=FILE|,discard]
Expected<machine::DiskConfig> parse_disk(const std::string& text);

} // namespace vitrine::app
