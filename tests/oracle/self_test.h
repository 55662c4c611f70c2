// SPDX-License-Identifier: Apache-2.0
// Does the oracle notice what it is there for?
#pragma once

#include "trial.h"

namespace vitrine::oracle {

/// Flips bits in results, and lets the guest execute other instructions than the host. Returns false, and says what went by unnoticed.
bool self_test(const Repertoire& repertoire);

} // namespace vitrine::oracle
