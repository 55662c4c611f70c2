// SPDX-License-Identifier: Apache-2.0
// Marks along a run.
#include "app/marks.h"

#include <algorithm>
#include <utility>

namespace vitrine::app {

u64 Marks::next() const {
    u64 nearest = never;
    for (const Row& row : rows_)
        nearest = std::min(nearest, row.at);
    return nearest;
}

machine::Ending Marks::reached(u64 instructions) {
    for (Row& row : rows_) {
        if (row.at > instructions)
            continue;
        u64 at = row.at;
        if (row.every == never) {
            row.at = never;
        } else {
            at = instructions - instructions % row.every;
            row.at = next_multiple(row.every, instructions);
        }
        machine::Ending ending = row.action(at);
        if (row.again)
            row.at = row.again();
        if (ending)
            return ending;
    }
    return {};
}

} // namespace vitrine::app
