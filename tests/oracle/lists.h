// SPDX-License-Identifier: Apache-2.0
// What the host oracle leaves out, and where processors other than Intel's differ: lists with reasons. The test fails when a row of
// them was of no use in a run that is long enough to show it.
#pragma once

#include "case.h"

#include <span>
#include <string_view>

namespace vitrine::oracle {

/// A mnemonic that is never tried.
struct Skip {
    ZydisMnemonic mnemonic;
    const char* reason;
};

std::span<const Skip> skips();
const char* skip_reason(ZydisMnemonic mnemonic); ///< null when it is tried

/// A case that must not run, or whose outcome nobody defines.
struct CaseSkip {
    const char* name;
    const char* reason;
    bool other_makers; ///< only on hosts whose processor is not Intel's
    bool (*applies)(const Case& c);
};

std::span<const CaseSkip> case_skips();

/// Something that processors may do in more ways than one.
struct Difference {
    const char* name;
    const char* reason;
    bool other_makers; ///< only on hosts whose processor is not Intel's; else on all: Intel's differ among themselves
    bool (*applies)(const Case& c);
    /// Takes out of the comparison what may differ. Null: the whole case.
    void (*accept)(const Case& c, Side& host, Side& guest);
};

std::span<const Difference> differences();

} // namespace vitrine::oracle
