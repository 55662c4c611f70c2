// SPDX-License-Identifier: Apache-2.0
// Events with their meanings: the table behind `vitrine explain` and its reference page.
#pragma once

#include "glass/glass.h"

#include <span>
#include <string_view>

namespace vitrine {

/// One row of spec/events.def.
struct EventRow {
    Topic topic;
    std::string_view name; ///< "*.read" stands for all names that end so
    bool odd;
    std::string_view meaning;

    bool covers(std::string_view event) const {
        return name.starts_with('*') ? event.ends_with(name.substr(1)) : event == name;
    }
};

std::span<const EventRow> event_rows();

/// Null when the table does not have it.
const EventRow* find_event(std::string_view name);

} // namespace vitrine
