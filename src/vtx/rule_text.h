// SPDX-License-Identifier: Apache-2.0
// Rules of VM entry, VM-instruction errors and exit reasons as text for people, by name.
#pragma once

#include <string>
#include <string_view>

namespace vitrine::vtx {

/// What `vitrine explain NAME` prints for entry.NAME, invept.NAME, invvpid.NAME and exit.NAME; empty when nothing has that name.
std::string rule_text(std::string_view name);

} // namespace vitrine::vtx
