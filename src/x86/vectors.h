// SPDX-License-Identifier: Apache-2.0
// The exceptions by name: one table for messages, explanations and the reference page.
#pragma once

#include "words/integers.h"

#include <span>
#include <string_view>

namespace vitrine {

/// One row of spec/vectors.def.
struct VectorRow {
    u8 vector;
    std::string_view mnemonic; ///< "#GP"
    std::string_view name;
    std::string_view kind;
    bool error_code;
    std::string_view causes;
};

std::span<const VectorRow> exception_rows();

/// Null for vectors that are no exception's.
const VectorRow* find_vector(u8 vector);

} // namespace vitrine
