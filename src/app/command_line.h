// SPDX-License-Identifier: Apache-2.0
// The command line of `vitrine`: subcommands and options, parsed by CLI11, every error as one sentence.
#pragma once

#include "app/run_options.h"
#include "base/error.h"

#include <string>
#include <variant>

namespace vitrine::app {

struct PrintText {
    std::string text; ///< goes to standard output, status 0
};

struct ListDevices {};

struct ListCpus {};

struct Explain {
    std::string what;
};

/// A page of docs/reference; without a name, the list of them.
struct ShowDocs {
    std::string page;
};

using Command = std::variant<PrintText, RunOptions, ListDevices, ListCpus, Explain, ShowDocs>;

Expected<Command> parse_command_line(int argc, const char* const* argv);

} // namespace vitrine::app
