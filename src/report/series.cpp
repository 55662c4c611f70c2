// SPDX-License-Identifier: Apache-2.0
// Counting over intervals that double.
#include "report/series.h"

#include <algorithm>

namespace vitrine::report {

std::size_t Series::interval(u64 time) {
    const u64 since = time > origin_ ? time - origin_ : 0;
    while (since / width_ >= most_intervals) {
        width_ *= 2;
        intervals_ = (intervals_ + 1) / 2;
        for (Row& row : rows_) {
            std::vector<u64>& c = row.counts;
            for (std::size_t n = 0; n < c.size(); n += 2)
                c[n / 2] = c[n] + (n + 1 < c.size() ? c[n + 1] : 0);
            c.resize(intervals_);
        }
    }
    const std::size_t n = static_cast<std::size_t>(since / width_);
    if (n >= intervals_) {
        intervals_ = n + 1;
        for (Row& row : rows_)
            row.counts.resize(intervals_);
    }
    return n;
}

void Series::count(std::string_view key, std::string_view name, u64 time, u64 n) {
    auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.key == key; });
    if (row == rows_.end()) {
        rows_.push_back({std::string(key), std::string(name), std::vector<u64>(intervals_), 0});
        row = rows_.end() - 1;
    }
    row->counts[interval(time)] += n;
    row->total += n;
}

void Series::finish(u64 time) {
    static_cast<void>(interval(time));
}

std::vector<const Series::Row*> Series::rows() const {
    std::vector<const Row*> sorted;
    for (const Row& row : rows_)
        sorted.push_back(&row);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Row* a, const Row* b) { return a->total > b->total; });
    return sorted;
}

} // namespace vitrine::report
