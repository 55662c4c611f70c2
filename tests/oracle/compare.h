// SPDX-License-Identifier: Apache-2.0
// Where two executions of a case differ, in words.
#pragma once

#include "case.h"

#include <string>
#include <vector>

namespace vitrine::oracle {

/// One line per difference; empty when the sides agree. `exact`: compare what the manual leaves undefined too.
std::vector<std::string> differences(const Case& c, const Side& host, const Side& guest, bool exact);

} // namespace vitrine::oracle
