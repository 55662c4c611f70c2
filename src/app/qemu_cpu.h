// SPDX-License-Identifier: Apache-2.0
// What -cpu of QEMU means here: its models and features in terms of ours, and a warning wherever ours is another.
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrine::app {

/// Translates "MODEL[,+FEATURE|,-FEATURE|,FEATURE=on|,PROPERTY=VALUE]..." into what `--cpu` of `vitrine run` takes.
Expected<std::string> translate_qemu_cpu(std::string_view text, std::vector<std::string>& warnings);

/// The list that `-cpu help` prints.
std::string qemu_cpus_text();

} // namespace vitrine::app
