// SPDX-License-Identifier: Apache-2.0
// Tests of the keyboard controller and the keyboard: what an operating system's probe does, translation, A20, reset.
#include "chipset/i8042.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct KeyboardBoard {
    Glass glass;
    Bus ports{"port", glass};
    FakeLine irq;
    int resets = 0;
    std::string a20;
    I8042 controller{ports,
                     glass,
                     irq.line(),
                     {.reset = [this] { ++resets; }, .a20 = [this](bool open) { a20 += open ? '1' : '0'; }}};

    void command(u8 value) { out(ports, 0x64, value); }

    void data(u8 value) { out(ports, 0x60, value); }

    bool full() { return in(ports, 0x64) & 1; }

    std::vector<u64> answers() {
        std::vector<u64> all;
        while (full())
            all.push_back(in(ports, 0x60));
        return all;
    }

    void keys(std::vector<u8> codes) { controller.receive(codes); }
};

struct I8042Test : ::testing::Test, KeyboardBoard {};

using Values = std::vector<u64>;

} // namespace

TEST_F(I8042Test, AProbeFindsAControllerAKeyboardAndNoSecondPort) {
    EXPECT_FALSE(full());
    command(0xaa);
    EXPECT_EQ(answers(), Values{0x55});
    command(0x20);
    EXPECT_EQ(answers(), Values{0x75});
    command(0x60);
    data(0x74);
    command(0xab);
    EXPECT_EQ(answers(), Values{0x00});
    command(0xd3); // loop through the second port: comes back as the keyboard's
    data(0x5a);
    EXPECT_EQ(in(ports, 0x64) & 0x21, 0x01u);
    EXPECT_EQ(answers(), Values{0x5a});
    command(0xa9);
    EXPECT_EQ(answers(), Values{0x01});
    command(0xa8);
    command(0x20);
    EXPECT_EQ(answers(), Values{0x74}) << "the second port cannot be enabled";
    command(0xd4);
    data(0xff);
    EXPECT_EQ(answers(), Values{0xfe});
}

TEST_F(I8042Test, TheKeyboardAnswers) {
    command(0x60);
    data(0x04); // no translation
    data(0xff);
    EXPECT_EQ(answers(), (Values{0xfa, 0xaa}));
    data(0xf2);
    EXPECT_EQ(answers(), (Values{0xfa, 0xab, 0x83}));
    data(0xed);
    EXPECT_EQ(answers(), Values{0xfa});
    data(0x02);
    EXPECT_EQ(answers(), Values{0xfa});
    data(0xf3);
    data(0x00);
    EXPECT_EQ(answers(), (Values{0xfa, 0xfa}));
    data(0xf0);
    data(0x00);
    EXPECT_EQ(answers(), (Values{0xfa, 0xfa, 0x02}));
    data(0xee);
    EXPECT_EQ(answers(), Values{0xee});
    data(0xfe);
    EXPECT_EQ(answers(), Values{0xee});
    data(0x00);
    EXPECT_EQ(answers(), Values{0xfe}) << "no command";
}

TEST_F(I8042Test, KeysAreTranslatedAndInterrupt) {
    const int before = irq.rises;
    keys({0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75}); // A down, up; cursor up down, up
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(answers(), (Values{0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8}));
    EXPECT_EQ(irq.rises - before, 6) << "each byte is an edge of its own";
    EXPECT_FALSE(irq.level);
    command(0x60);
    data(0x05);
    keys({0xf0, 0x1c});
    EXPECT_EQ(answers(), (Values{0xf0, 0x1c}));
}

TEST_F(I8042Test, ADisabledKeyboardWaits) {
    command(0xad);
    keys({0x1c});
    EXPECT_FALSE(full());
    command(0xae);
    EXPECT_EQ(answers(), Values{0x1e});
    data(0xf5); // scanning off
    answers();
    keys({0x1c});
    EXPECT_FALSE(full());
}

TEST_F(I8042Test, TheRoomIsBounded) {
    command(0xad);
    EXPECT_EQ(controller.room(), 16u);
    keys(std::vector<u8>(40, 0x1c));
    EXPECT_EQ(controller.room(), 0u);
    for (int i = 0; i < 100; ++i)
        data(0xf2);
    command(0xad);
    EXPECT_EQ(controller.room(), 0u);
}

TEST_F(I8042Test, ResetAndA20) {
    command(0xfe);
    EXPECT_EQ(resets, 1);
    command(0xff); // pulses nothing
    EXPECT_EQ(resets, 1);
    command(0xd0);
    EXPECT_EQ(answers(), Values{0x03});
    command(0xd1);
    data(0x01);
    EXPECT_EQ(a20, "0");
    command(0xdf);
    EXPECT_EQ(a20, "01");
    command(0xd1);
    data(0x02);
    EXPECT_EQ(resets, 2);
}

TEST_F(I8042Test, StateRoundTripAndFuzz) {
    Clock clock;
    for (unsigned i = 0; i < 500; ++i) {
        fuzz(ports, clock, i, 60);
        keys({static_cast<u8>(i), 0xf0, static_cast<u8>(i * 7)});
        const auto before = saved(controller);
        KeyboardBoard other;
        ASSERT_TRUE(load(other.controller, before));
        ASSERT_EQ(saved(other.controller), before);
        if (i % 5 == 0) {
            ASSERT_EQ(other.answers(), answers());
        }
    }
}
