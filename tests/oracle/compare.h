// SPDX-License-Identifier: Apache-2.0
// Where two executions of a case differ, in words.
#pragma once

#include "case.h"

#include <string>
#include <vector>

namespace vitrine::oracle {

/// One line per difference; empty when the sides agree.
std::vector<std::string> compare(const Case& c, const Side& host, const Side& guest);

} // namespace vitrine::oracle
