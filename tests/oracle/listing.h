// SPDX-License-Identifier: Apache-2.0
// A case as a program for NASM that runs it on real hardware under a debugger.
#pragma once

#include "case.h"

#include <string>
#include <vector>

namespace vitrine::oracle {

std::string listing(const Case& c, const std::vector<std::string>& remarks);

} // namespace vitrine::oracle
