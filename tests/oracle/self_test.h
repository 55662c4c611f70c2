// SPDX-License-Identifier: Apache-2.0
// Does the oracle notice what it is there for?
#pragma once

#include "forms.h"

namespace vitrine::oracle {

/// Flips bits in results, and lets the guest execute other instructions than the host. Returns false, and says what went by unnoticed.
bool self_test(const Forms& forms);

} // namespace vitrine::oracle
