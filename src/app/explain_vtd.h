// SPDX-License-Identifier: Apache-2.0
// What `vitrine explain` and the reference say of VT-d: its registers, fault reasons and the keys of --iommu.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vitrine::app {

/// "vt-d/fault/5", or "vt-d/GSTS" for a register. Nothing for anything else.
std::optional<std::string> explain_vtd(std::string_view what);

/// The keys of --iommu, a line each.
std::string iommu_keys_text();

/// The page `vt-d` of the reference.
std::string vtd_reference();

} // namespace vitrine::app
