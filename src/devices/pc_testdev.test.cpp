// SPDX-License-Identifier: Apache-2.0
// Tests of the devices for test programs: pc-testdev, the exit port and the console port.
#include "devices/pc_testdev.h"
#include "devices/debug_exit.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct TestdevBoard {
    Glass glass;
    Bus ports{"port", glass}, mmio{"mmio", glass};
    std::array<FakeLine, PcTestdev::lines> lines;
    PcTestdev device{ports, mmio, glass, [this](unsigned n) { return lines[n].line(); }};
};

struct PcTestdevTest : ::testing::Test, TestdevBoard {};

} // namespace

TEST_F(PcTestdevTest, TheRegisterInAllWidths) {
    out(ports, 0xe0, 0x1234'5678, 4);
    EXPECT_EQ(in(ports, 0xe0, 4), 0x1234'5678u);
    EXPECT_EQ(in(ports, 0xe2, 2), 0x1234u);
    out(ports, 0xe1, 0xaa);
    EXPECT_EQ(in(ports, 0xe0, 4), 0x1234'aa78u);
    EXPECT_EQ(in(ports, 0xe9, 2), 0x34aau);
    out(ports, 0xe8, 0xbbcc, 2);
    EXPECT_EQ(in(ports, 0xe0, 4), 0x1234'bbccu);
    out(ports, 0xe4, 0x1000, 4);
}

TEST_F(PcTestdevTest, LinesAndMemory) {
    out(ports, 0x200e, 1);
    EXPECT_TRUE(lines[14].level);
    out(ports, 0x200e, 0);
    EXPECT_FALSE(lines[14].level);
    out(mmio, 0xff00'0ffd, 0x1122'3344'5566'7788, 8);
    EXPECT_EQ(in(mmio, 0xff00'0fff, 2), 0x5566u);
    EXPECT_EQ(in(mmio, 0xff00'ffff), 0u);
    out(ports, 0x2017, 5);
    EXPECT_TRUE(lines[23].level);
    device.reset(Reset::warm);
    EXPECT_FALSE(lines[23].level);
    EXPECT_EQ(in(mmio, 0xff00'0fff, 2), 0u);
}

TEST_F(PcTestdevTest, StateRoundTripAndFuzz) {
    Clock clock;
    for (unsigned i = 0; i < 50; ++i) {
        fuzz(ports, clock, i, 60);
        fuzz(mmio, clock, i, 60);
        const auto before = saved(device);
        TestdevBoard other;
        ASSERT_TRUE(load(other.device, before));
        ASSERT_EQ(saved(other.device), before);
    }
}

TEST(DebugExit, GivesTheValueThatWasWritten) {
    Glass glass;
    Bus ports("port", glass);
    std::vector<u32> values;
    DebugExit device(ports, 0xf4, 4, [&](u32 value) { values.push_back(value); });
    EXPECT_EQ(in(ports, 0xf4), 0u);
    out(ports, 0xf4, 0x10);
    out(ports, 0xf4, 0x1234'5678, 4);
    EXPECT_EQ(values, (std::vector<u32>{0x10, 0x1234'5678}));
}

TEST(DebugConsole, PrintsAndTellsThatItIsThere) {
    struct : ByteOutput {
        std::string text;

        void put(std::span<const u8> data) override { text.append(data.begin(), data.end()); }
    } sink;

    Glass glass;
    Bus ports("port", glass);
    DebugConsole device(ports, sink);
    EXPECT_EQ(in(ports, 0x402), 0xe9u);
    out(ports, 0x402, 'o');
    out(ports, 0x402, 'k');
    EXPECT_EQ(sink.text, "ok");
}
