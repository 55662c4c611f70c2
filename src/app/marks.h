// SPDX-License-Identifier: Apache-2.0
// What is to be done when so many instructions have been executed: hash lines, a snapshot, comparisons with a recording.
#pragma once

#include "base/clock.h"
#include "machine/ending.h"
#include "words/integers.h"

#include <functional>
#include <vector>

namespace vitrine::app {

class Marks {
public:
    /// Told the count that was asked for; the machine may be a little behind it. An ending ends the run.
    using Action = std::function<machine::Ending(u64 at)>;

    /// Once, at `at`.
    void once(u64 at, Action action) { rows_.push_back({at, never, {}, std::move(action)}); }

    /// Whenever the count that `at` gives has been reached; it must then give another.
    void when(std::function<u64()> at, Action action) { rows_.push_back({at(), never, at, std::move(action)}); }

    /// At each multiple of `every` behind `from`. When one step of the machine passes several, the last of them is told.
    void every(u64 every, u64 from, Action action) { rows_.push_back({next_multiple(every, from), every, {}, std::move(action)}); }

    /// The nearest count at which something is to be done; `never` when there is none.
    u64 next() const;

    /// The machine has come to `instructions`: does what is due, in the order in which it was added.
    machine::Ending reached(u64 instructions);

private:
    struct Row {
        u64 at, every;
        std::function<u64()> again; ///< gives the next count, if anything does
        Action action;
    };

    static u64 next_multiple(u64 every, u64 from) { return from > never - every ? never : from - from % every + every; }

    std::vector<Row> rows_;
};

} // namespace vitrine::app
