// SPDX-License-Identifier: Apache-2.0
// What the host oracle leaves out, and where silicon of another maker differs: lists with reasons.
#pragma once

#include "case.h"

#include <span>
#include <string_view>

namespace vitrine::oracle {

struct Skip {
    ZydisMnemonic mnemonic;
    const char* reason;
};

/// Mnemonics that are never tried.
std::span<const Skip> skips();

/// Why this case must not run on the host, or nothing.
std::string_view skip_reason(const Case& c);

/// A difference between Intel's processors, which the interpreter follows, and others.
struct MakerDifference {
    const char* what;
    const char* reason;
};

std::span<const MakerDifference> maker_differences();

/// On a host of another maker: cases whose result may differ as a whole.
std::string_view maker_skip_reason(const Case& c);

} // namespace vitrine::oracle
