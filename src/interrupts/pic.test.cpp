// SPDX-License-Identifier: Apache-2.0
// Tests of the 8259 pair: priorities, cascade, edges and levels, EOI forms, rotation, special modes, poll, spurious
// vectors.
#include "interrupts/pic.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct PicTest : ::testing::Test {
    Glass glass;
    Bus ports{"port", glass};
    FakeLine intr;
    Pic pic{ports, glass, intr.line()};

    void initialise(u8 icw4_master = 0x01, u8 icw4_slave = 0x01) {
        out(ports, 0x20, 0x11);
        out(ports, 0x21, 0x20);
        out(ports, 0x21, 0x04);
        out(ports, 0x21, icw4_master);
        out(ports, 0xa0, 0x11);
        out(ports, 0xa1, 0x28);
        out(ports, 0xa1, 0x02);
        out(ports, 0xa1, icw4_slave);
    }

    u64 isr(u16 port = 0x20) {
        out(ports, port, 0x0b);
        return in(ports, port);
    }

    u64 irr(u16 port = 0x20) {
        out(ports, port, 0x0a);
        return in(ports, port);
    }
};

} // namespace

TEST_F(PicTest, AnEdgeInterruptsOnceAndIsServedUntilEoi) {
    initialise();
    pic.set_input(3, true);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(irr(), 0x08u);
    EXPECT_EQ(pic.acknowledge(), 0x23);
    EXPECT_FALSE(intr.level);
    EXPECT_EQ(isr(), 0x08u);
    EXPECT_EQ(irr(), 0u);
    out(ports, 0x20, 0x20);
    EXPECT_EQ(isr(), 0u);
    EXPECT_FALSE(intr.level) << "still high, but no new edge";
    pic.set_input(3, false);
    pic.set_input(3, true);
    EXPECT_TRUE(intr.level);
}

TEST_F(PicTest, HigherPriorityPreemptsLowerWaits) {
    initialise();
    pic.set_input(4, true);
    EXPECT_EQ(pic.acknowledge(), 0x24);
    pic.set_input(6, true);
    EXPECT_FALSE(intr.level);
    pic.set_input(1, true);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x21);
    EXPECT_EQ(isr(), 0x12u);
    out(ports, 0x20, 0x20); // ends 1
    EXPECT_FALSE(intr.level);
    out(ports, 0x20, 0x20); // ends 4
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x26);
}

TEST_F(PicTest, TheSlaveComesThroughTheCascade) {
    initialise();
    pic.set_input(12, true);
    EXPECT_EQ(pic.acknowledge(), 0x2c);
    EXPECT_EQ(isr(0x20), 0x04u);
    EXPECT_EQ(isr(0xa0), 0x10u);
    pic.set_input(9, true); // higher on the slave, but input 2 of the master is in service
    EXPECT_FALSE(intr.level);
    out(ports, 0xa0, 0x20);
    out(ports, 0x20, 0x20);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x29);
}

TEST_F(PicTest, SpecialFullyNestedModeLetsTheSlaveIn) {
    initialise(0x11);
    pic.set_input(12, true);
    EXPECT_EQ(pic.acknowledge(), 0x2c);
    pic.set_input(9, true);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x29);
}

TEST_F(PicTest, MaskHoldsAnEdgeBack) {
    initialise();
    out(ports, 0x21, 0x20);
    EXPECT_EQ(in(ports, 0x21), 0x20u);
    pic.set_input(5, true);
    EXPECT_FALSE(intr.level);
    out(ports, 0x21, 0);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x25);
}

TEST_F(PicTest, LevelInputsInterruptAgainUntilTheyDrop) {
    initialise();
    out(ports, 0x4d1, 0x0e); // 8 is not writable
    out(ports, 0x4d0, 0xff);
    EXPECT_EQ(in(ports, 0x4d0, 2), 0x0ef8u);
    pic.set_input(11, true);
    EXPECT_EQ(pic.acknowledge(), 0x2b);
    out(ports, 0xa0, 0x20);
    out(ports, 0x20, 0x20);
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x2b);
    pic.set_input(11, false);
    out(ports, 0xa0, 0x20);
    out(ports, 0x20, 0x20);
    EXPECT_FALSE(intr.level);
}

TEST_F(PicTest, ARequestThatGoesAwayIsSpurious) {
    initialise();
    pic.set_input(4, true);
    pic.set_input(4, false);
    EXPECT_FALSE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x27);
    EXPECT_EQ(isr(), 0u);
}

TEST_F(PicTest, AutomaticEoiWithRotation) {
    initialise(0x03);
    pic.set_input(1, true);
    EXPECT_EQ(pic.acknowledge(), 0x21);
    EXPECT_EQ(isr(), 0u);
    out(ports, 0x20, 0x80); // rotate in automatic EOI mode
    pic.set_input(0, true);
    EXPECT_EQ(pic.acknowledge(), 0x20);
    pic.set_input(0, false);
    pic.set_input(0, true);
    pic.set_input(4, true);
    EXPECT_EQ(pic.acknowledge(), 0x24) << "0 has become the lowest";
    EXPECT_EQ(pic.acknowledge(), 0x20);
}

TEST_F(PicTest, RotationAndSpecificCommands) {
    initialise();
    pic.set_input(2 + 1, true);
    EXPECT_EQ(pic.acknowledge(), 0x23);
    out(ports, 0x20, 0xa0); // rotate on non-specific EOI: 3 is the lowest now
    pic.set_input(0, true);
    pic.set_input(5, true);
    EXPECT_EQ(pic.acknowledge(), 0x25);
    out(ports, 0x20, 0x65); // specific EOI of 5
    EXPECT_EQ(isr(), 0u);
    out(ports, 0x20, 0xc7); // set priority: 7 lowest again
    EXPECT_EQ(pic.acknowledge(), 0x20);
    out(ports, 0x20, 0xe0); // rotate on specific EOI of 0
    pic.set_input(0, false);
    pic.set_input(0, true);
    pic.set_input(7, true);
    EXPECT_EQ(pic.acknowledge(), 0x27);
}

TEST_F(PicTest, SpecialMaskModeLetsLowerOnesThrough) {
    initialise();
    pic.set_input(3, true);
    EXPECT_EQ(pic.acknowledge(), 0x23);
    pic.set_input(6, true);
    EXPECT_FALSE(intr.level);
    out(ports, 0x21, 0x08);
    EXPECT_FALSE(intr.level);
    out(ports, 0x20, 0x68); // set special mask
    EXPECT_TRUE(intr.level);
    EXPECT_EQ(pic.acknowledge(), 0x26);
    out(ports, 0x20, 0x20); // ends 6: 3 is masked
    EXPECT_EQ(isr(), 0x08u);
}

TEST_F(PicTest, PollIsAnAcknowledgement) {
    initialise();
    out(ports, 0x20, 0x0c);
    EXPECT_EQ(in(ports, 0x20), 0u);
    pic.set_input(5, true);
    out(ports, 0x20, 0x0c);
    EXPECT_EQ(in(ports, 0x20), 0x85u);
    EXPECT_EQ(isr(), 0x20u);
    EXPECT_FALSE(intr.level);
}

TEST_F(PicTest, NothingComesDuringInitialisation) {
    pic.set_input(1, true);
    out(ports, 0x20, 0x11);
    EXPECT_FALSE(intr.level);
    initialise();
    EXPECT_FALSE(intr.level) << "ICW1 forgets edges";
}

TEST_F(PicTest, StateRoundTripAndFuzz) {
    Clock clock;
    std::mt19937 random(1);
    for (unsigned i = 0; i < 200; ++i) {
        fuzz(ports, clock, i, 50);
        pic.set_input(random() % 16 | 1, random() & 1);
        if (random() & 1)
            pic.acknowledge();
        Bus other_ports("port", glass);
        FakeLine other_line;
        Pic other(other_ports, glass, other_line.line());
        const auto before = saved(pic);
        ASSERT_TRUE(load(other, before));
        ASSERT_EQ(saved(other), before);
        ASSERT_EQ(other.output(), pic.output());
        ASSERT_EQ(pic.output(), intr.level);
    }
}
