// SPDX-License-Identifier: Apache-2.0
// `--vmx -NAME,-NAME`: takes capabilities away, so that a hypervisor's fallback paths can be tested.
#pragma once

#include "base/error.h"
#include "vtx/spec/capabilities.h"

#include <string>
#include <string_view>

namespace vitrine::vtx {

/// Everything implemented without what the list names; "on" and the empty list name nothing. What depends on it goes too.
Expected<Capabilities> capabilities_without(std::string_view list);

/// All names, one a line with what they mean.
std::string capability_names();

} // namespace vitrine::vtx
