// SPDX-License-Identifier: Apache-2.0
// The unit's registers as rows: one table for the unit itself, for explanations and for the reference.
#pragma once

#include "base/registers.h"

#include <span>
#include <vector>

namespace vitrine::vtd {

struct RegisterRow {
    Register reg;
    std::vector<Field> fields;
    bool of_interrupts = false; ///< only with interrupt remapping
};

/// Ascending; the capability registers have no value here.
std::span<const RegisterRow> register_rows();

} // namespace vitrine::vtd
