// SPDX-License-Identifier: Apache-2.0
// Tests of the reset ports: which write asks for which reset, and who opens the A20 gate.
#include "chipset/reset_ports.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct ResetBoard {
    Glass glass;
    Bus ports{"port", glass};
    std::string told;
    bool a20 = true;
    ResetPorts reset{
        ports,
        glass,
        {.reset = [this](Reset kind) { told += kind == Reset::cold   ? 'c'
                                               : kind == Reset::warm ? 'w'
                                                                     : 'i'; },
         .a20 = [this](bool open) { a20 = open; }}};
};

struct ResetPortsTest : ::testing::Test, ResetBoard {};

} // namespace

TEST_F(ResetPortsTest, ResetControl) {
    out(ports, 0xcf9, 0x02);
    EXPECT_EQ(told, "");
    out(ports, 0xcf9, 0x06);
    EXPECT_EQ(told, "w");
    EXPECT_EQ(in(ports, 0xcf9), 0x06u);
    out(ports, 0xcf9, 0x06);
    EXPECT_EQ(told, "w") << "only the rising bit";
    out(ports, 0xcf9, 0x0a);
    out(ports, 0xcf9, 0x0e);
    EXPECT_EQ(told, "wc");
    out(ports, 0xcf9, 0x00);
    out(ports, 0xcf9, 0x04);
    EXPECT_EQ(told, "wci");
}

TEST_F(ResetPortsTest, Port92) {
    EXPECT_EQ(in(ports, 0x92), 0x02u);
    out(ports, 0x92, 0x03);
    EXPECT_EQ(told, "i");
    EXPECT_TRUE(a20);
    out(ports, 0x92, 0x00);
    EXPECT_TRUE(a20) << "the keyboard controller holds it open";
    reset.keyboard_a20(false);
    EXPECT_FALSE(a20);
    out(ports, 0x92, 0x02);
    EXPECT_TRUE(a20);
    out(ports, 0x92, 0x00);
    reset.reset(Reset::warm);
    EXPECT_TRUE(a20);
}

TEST_F(ResetPortsTest, PostCode) {
    out(ports, 0x80, 0x5a);
    EXPECT_EQ(reset.post_code(), 0x5a);
    EXPECT_EQ(in(ports, 0x80), 0x5au);
}

TEST_F(ResetPortsTest, StateRoundTripAndFuzz) {
    Clock clock;
    for (unsigned i = 0; i < 100; ++i) {
        fuzz(ports, clock, i, 20);
        reset.keyboard_a20(i & 1);
        const auto before = saved(reset);
        ResetBoard other;
        ASSERT_TRUE(load(other.reset, before));
        ASSERT_EQ(saved(other.reset), before);
        ASSERT_EQ(other.a20, a20);
    }
}
