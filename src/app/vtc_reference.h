// SPDX-License-Identifier: Apache-2.0
// The reference pages of the network adapters' registers.
#pragma once

#include <string>

namespace vitrine::app {

std::string i82576_reference();
std::string i82599_reference();

} // namespace vitrine::app
