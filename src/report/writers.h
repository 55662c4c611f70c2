// SPDX-License-Identifier: Apache-2.0
// A report as text for a terminal, and as one HTML page that needs nothing but itself.
#pragma once

#include "report/model.h"

#include <string>
#include <string_view>

namespace vitrine::report {

std::string text(const Report& report);
std::string html(const Report& report);

/// Text as HTML, inside elements and quoted attributes.
std::string escaped(std::string_view text);

// ---- parts of the page

std::string_view style();                        ///< style.cpp
std::string plots(const Report& report);         ///< plots.cpp
std::string journeys_html(const Report& report); ///< journeys_html.cpp

} // namespace vitrine::report
