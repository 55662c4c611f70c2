// SPDX-License-Identifier: Apache-2.0
// What `vitrine devices`, `vitrine cpus` and `vitrine explain` print: the tables themselves.
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

namespace vitrine::app {

std::string devices_text();
std::string cpus_text();

/// Device, CPU model, CPU feature, topic, outcome or exit status.
Expected<std::string> explain_text(std::string_view what);

} // namespace vitrine::app
