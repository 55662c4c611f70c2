// SPDX-License-Identifier: Apache-2.0
// The reference pages of docs/reference, printed from the tables: what `vitrine docs` gives.
#pragma once

#include "base/error.h"

#include <string>
#include <string_view>

namespace vitrine::app {

/// The names of all pages, one a line.
std::string reference_pages();

/// One page in Markdown. Nothing in it depends on the host.
Expected<std::string> reference_page(std::string_view name);

} // namespace vitrine::app
