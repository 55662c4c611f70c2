// SPDX-License-Identifier: Apache-2.0
// `--vmx GENERATION,-NAME,-NAME`: what a generation of processors has, and capabilities taken away, so that a hypervisor's fallback paths
// can be tested.
#pragma once

#include "base/error.h"
#include "vtx/spec/capabilities.h"

#include <string>
#include <string_view>

namespace vitrine::vtx {

/// Everything implemented ("on" or nothing), or that part of it which a generation has (spec/presets.h), without what the list names after
/// a dash. What depends on it goes too.
Expected<Capabilities> capabilities_of(std::string_view list);

/// All names, one a line with what they mean.
std::string capability_names();

/// The generations, likewise.
std::string generation_names();

} // namespace vitrine::vtx
