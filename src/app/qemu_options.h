// SPDX-License-Identifier: Apache-2.0
// The command line of `vitrine-qemu`: QEMU's option names, translated to the options of `vitrine run`.
#pragma once

#include "app/run_options.h"
#include "base/error.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::app {

/// What one command line asks for.
struct QemuCommand {
    std::string print; ///< help, version or a list; nothing runs then
    RunOptions run;
    std::vector<std::string> warnings;
    bool stop_at_triple_fault = false; ///< -no-reboot: the run ends there, and says why
};

enum class QemuArgument : u8 { none, value };

struct QemuOptionRow {
    std::string_view name;  ///< without dashes
    QemuArgument argument;
    std::string_view value; ///< how the help calls it
    std::string_view help;
};

/// Every option, for the help and for the table in docs/vitrine-qemu.md.
std::vector<QemuOptionRow> qemu_options();

/// Understands the whole command line before it reads a file.
Expected<QemuCommand> parse_qemu_command_line(std::span<const std::string> arguments);

/// QEMU's exit status: 0 where the machine ended by itself, 1 where the command line is wrong.
int qemu_status(int status);

} // namespace vitrine::app
