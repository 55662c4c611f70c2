// SPDX-License-Identifier: Apache-2.0
// Tests that hostile drivers of an adapter behind VT-d reach nothing but the memory that their hypervisor gives them.
#include "machine/remapped_board.h"
#include "vtc/hostile_driver.h"

#include <gtest/gtest.h>

namespace vitrine::machine {
namespace {

template <class Chip> class HostileAdapter : public ::testing::Test {};
using Chips = ::testing::Types<vtc::I82576, vtc::I82599>;
TYPED_TEST_SUITE(HostileAdapter, Chips);

TYPED_TEST(HostileAdapter, StaysInItsWindow) {
    u64 sent = 0, stored = 0, blocked = 0;
    for (u64 seed = 0; seed < 20; ++seed) {
        RandomChoices choices(seed);
        vtc::HostileDriver<TypeParam, RemappedBoard> d(choices);
        for (unsigned n = 0; n < 400; ++n) {
            d.act();
            ASSERT_EQ(d.check(), "") << "seed " << seed << ", act " << n;
        }
        for (u64 n = 0; n < (RemappedBoard::ram - RemappedBoard::window_end) / 64_KiB; ++n)
            ASSERT_EQ(d.board.check(), "") << "seed " << seed;
        sent += d.wire.frames;
        for (unsigned pool = 0; pool < d.nic.chip().pools; ++pool)
            stored += d.nic.counters(pool).rx_frames;
        for (const auto& [id, t] : d.board.vtd.unit.by_device())
            blocked += t.blocked;
    }
    EXPECT_GT(sent, 200u) << "hardly anything was sent, and so little is shown";
    EXPECT_GT(stored, 200u) << "hardly anything was received";
    EXPECT_GT(blocked, 200u) << "hardly anything was tried";
}

} // namespace
} // namespace vitrine::machine
