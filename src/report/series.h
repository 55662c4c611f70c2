// SPDX-License-Identifier: Apache-2.0
// Events counted over virtual time in at most 200 intervals, which double when the run outlasts them. Nothing is lost
// by that but resolution.
#pragma once

#include "words/integers.h"

#include <string>
#include <vector>

namespace vitrine::report {

/// One plot: rows of counts over the same intervals.
class Series {
public:
    static constexpr std::size_t most_intervals = 200;
    static constexpr u64 shortest = 1000; ///< virtual nanoseconds

    struct Row {
        std::string key, name;
        std::vector<u64> counts; ///< as many as intervals()
        u64 total = 0;
    };

    Series(std::string key, std::string title) : key_(std::move(key)), title_(std::move(title)) {}

    /// Instants count from here. Before the first event.
    void begin(u64 origin) { origin_ = origin; }

    /// Counts at an instant; the row is made when it is first named.
    void count(std::string_view key, std::string_view name, u64 time, u64 n = 1);

    /// The run ends here: so much is plotted.
    void finish(u64 time);

    const std::string& key() const { return key_; }

    const std::string& title() const { return title_; }

    u64 origin() const { return origin_; }

    u64 width() const { return width_; }

    std::size_t intervals() const { return intervals_; }

    /// Highest total first.
    std::vector<const Row*> rows() const;

private:
    std::size_t interval(u64 time);

    std::string key_, title_;
    u64 origin_ = 0, width_ = shortest;
    std::size_t intervals_ = 0;
    std::vector<Row> rows_;
};

} // namespace vitrine::report
