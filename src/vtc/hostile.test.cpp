// SPDX-License-Identifier: Apache-2.0
// Tests that no driver, guest or network, however wrong or malicious, gets further than what an adapter may do, and that all of it is counted.
#include "vtc/hostile_driver.h"

#include <gtest/gtest.h>

namespace vitrine::vtc {
namespace {

template <class Chip> class VtcHostile : public ::testing::Test {};
using Chips = ::testing::Types<I82576, I82599>;
TYPED_TEST_SUITE(VtcHostile, Chips);

TYPED_TEST(VtcHostile, NothingBreaks) {
    u64 sent = 0, stored = 0, told = 0;
    for (u64 seed = 0; seed < 60; ++seed) {
        RandomChoices choices(seed);
        HostileDriver<TypeParam> d(choices);
        for (unsigned n = 0; n < 400; ++n) {
            d.act();
            ASSERT_EQ(d.check(), "") << "seed " << seed << ", act " << n;
        }
        sent += d.wire.frames;
        for (unsigned pool = 0; pool < d.nic.chip().pools; ++pool)
            stored += d.nic.counters(pool).rx_frames;
        told += d.told;
    }
    EXPECT_GT(sent, 150u) << "hardly anything was sent, and so little is shown";
    EXPECT_GT(stored, 500u) << "hardly anything was received";
    EXPECT_GT(told, 10'000u);
}

} // namespace
} // namespace vitrine::vtc
