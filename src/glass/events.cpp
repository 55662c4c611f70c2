// SPDX-License-Identifier: Apache-2.0
// The table of events.
#include "glass/events.h"

namespace vitrine {

namespace {

constexpr bool odd = true, told = false;

constexpr EventRow rows[] = {
#define EVENT(topic, name, kind, meaning) {Topic::topic, name, kind, meaning},
#include "glass/spec/events.def"
#undef EVENT
};

} // namespace

std::span<const EventRow> event_rows() {
    return rows;
}

const EventRow* find_event(std::string_view name) {
    // A name of its own goes before a suffix.
    for (const bool whole : {true, false})
        for (const EventRow& row : rows)
            if (whole ? row.name == name : row.covers(name))
                return &row;
    return nullptr;
}

} // namespace vitrine
