// SPDX-License-Identifier: Apache-2.0
// Intervals double and lose no count.
#include "report/series.h"

#include <gtest/gtest.h>

#include <numeric>

namespace vitrine::report {
namespace {

TEST(Series, NothingIsLostWhenIntervalsDouble) {
    Series s("exits", "VM exits");
    s.begin(5000);
    for (u64 n = 0; n < 10'000; ++n)
        s.count(n % 3 ? "often" : "seldom", "", 5000 + n * 777);
    s.count("late", "", 90'000'000'000);
    s.finish(100'000'000'000);
    EXPECT_LE(s.intervals(), Series::most_intervals);
    EXPECT_GT(s.intervals(), Series::most_intervals / 2 - 1);
    EXPECT_GE(s.intervals() * s.width(), 100'000'000'000 - 5000);
    ASSERT_EQ(s.rows().size(), 3u);
    EXPECT_EQ(s.rows()[0]->key, "often");
    for (const Series::Row* row : s.rows()) {
        EXPECT_EQ(row->counts.size(), s.intervals());
        EXPECT_EQ(std::accumulate(row->counts.begin(), row->counts.end(), u64{0}), row->total);
    }
    EXPECT_EQ(s.rows()[2]->counts[(90'000'000'000 - 5000) / s.width()], 1u);
}

TEST(Series, CountsLieInTheirIntervals) {
    Series s("x", "x");
    s.count("a", "", 999);
    s.count("a", "", 1000);
    s.count("b", "", 3500, 7);
    s.finish(3999);
    ASSERT_EQ(s.intervals(), 4u);
    EXPECT_EQ(s.rows()[1]->counts, (std::vector<u64>{1, 1, 0, 0}));
    EXPECT_EQ(s.rows()[0]->counts, (std::vector<u64>{0, 0, 0, 7}));
}

} // namespace
} // namespace vitrine::report
