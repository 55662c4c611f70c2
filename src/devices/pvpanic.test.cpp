// SPDX-License-Identifier: Apache-2.0
// The panic port's two registers' worth of behaviour.
#include "devices/pvpanic.h"

#include <gtest/gtest.h>

namespace vitrine {

namespace {

TEST(Pvpanic, TellsItsEventsAndReportsThePanicOnly) {
    Glass glass;
    Bus ports("ports", glass);
    int panics = 0;
    Pvpanic device(ports, Pvpanic::standard_port, glass, [&] { ++panics; });
    const auto access = [&](bool write, u64 value) {
        Access a{.size = 1, .write = write, .value = value};
        ports.access(0x505, a);
        return a.value;
    };
    EXPECT_EQ(access(false, 0), 3u);
    access(true, 2);
    EXPECT_EQ(panics, 0);
    access(true, 0x80);
    EXPECT_EQ(panics, 0);
    access(true, 1);
    EXPECT_EQ(panics, 1);
}

} // namespace

} // namespace vitrine
