// SPDX-License-Identifier: Apache-2.0
// A command line under QEMU's options while it is being read: what the functions of the single options share.
#pragma once

#include "app/qemu_options.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrine::app {

using Properties = std::vector<std::pair<std::string, std::string>>;

/// "key=value,flag,..." in order; a flag's value is empty. QEMU writes a comma within a value twice.
Properties properties(std::string_view text);

/// What has been understood so far.
struct Parsing {
    QemuCommand command;
    std::string kernel, initrd, print;
    Properties globals; ///< "driver.property", value
    std::map<std::string, std::string> chardevs;              ///< id to what --serial takes
    std::optional<std::string> serial_kind;
    bool nodefaults = false, nographic = false, stopped = false, mux = false;

    machine::MachineConfig& config() { return command.run.config; }
    void warn(std::string text) { command.warnings.push_back(std::move(text)); }
};

} // namespace vitrine::app
