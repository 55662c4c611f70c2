// SPDX-License-Identifier: Apache-2.0
// Tests of the event timers: counter, one-shot and periodic, edge, level, messages, legacy replacement, widths.
#include "chipset/hpet.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

constexpr u64 base = hpet::default_base;

struct HpetBoard {
    Clock clock;
    Glass glass;
    Bus mmio{"mmio", glass};
    FakeMsi msi;
    std::array<FakeLine, 24>
        gsi; // the last line asked for is the last timer's: each call is a line of its own on a board
    std::vector<std::unique_ptr<FakeLine>> lines;
    std::vector<unsigned> numbers;
    Hpet hpet;

    HpetBoard()
        : hpet(clock, mmio, glass,
               [this](unsigned n) {
                   lines.push_back(std::make_unique<FakeLine>());
                   numbers.push_back(n);
                   return lines.back()->line();
               },
               msi, {.requester = 0x77}) {}

    bool level(unsigned n) const {
        bool any = false;
        for (std::size_t i = 0; i < lines.size(); ++i)
            any |= numbers[i] == n && lines[i]->level;
        return any;
    }

    int rises(unsigned n) const {
        int sum = 0;
        for (std::size_t i = 0; i < lines.size(); ++i)
            sum += numbers[i] == n ? lines[i]->rises : 0;
        return sum;
    }

    u64 get(u64 offset, unsigned size = 8) { return in(mmio, base + offset, size); }

    void set(u64 offset, u64 value, unsigned size = 8) { out(mmio, base + offset, value, size); }

    void enable(bool legacy = false) { set(0x10, legacy ? 3 : 1); }
};

struct HpetTest : ::testing::Test, HpetBoard {};

} // namespace

TEST_F(HpetTest, IdentifiesItself) {
    EXPECT_EQ(get(0), 0x0098'9680'8086'a201u);
    EXPECT_EQ(get(4, 4), 10'000'000u);
    EXPECT_EQ(get(0x100), 0x00f0'0000'0000'8030u);
    EXPECT_EQ(get(0x108), ~0ull);
    set(0x100, ~0ull);
    EXPECT_EQ(get(0x100), 0x00f0'0000'0000'ff3eu);
    EXPECT_EQ(get(0x160), 0u) << "there is no fourth timer";
}

TEST_F(HpetTest, TheCounterRunsAtAHundredMegahertz) {
    run_to(clock, 1000);
    EXPECT_EQ(get(0xf0), 0u);
    enable();
    run_to(clock, 2009);
    EXPECT_EQ(get(0xf0), 100u);
    run_to(clock, 2010);
    EXPECT_EQ(get(0xf0, 4), 101u);
    set(0x10, 0);
    run_to(clock, 5000);
    EXPECT_EQ(get(0xf0), 101u);
    set(0xf0, 0xffff'ffff'ffff'fff0);
    enable();
    run_to(clock, 5200);
    EXPECT_EQ(get(0xf0), 4u) << "it wraps";
    EXPECT_EQ(get(0xf4, 4), 0u);
}

TEST_F(HpetTest, OneShotEdge) {
    enable();
    set(0x120, 0x2a04); // enabled, edge, route 21
    set(0x128, 50);
    run_to(clock, 499);
    EXPECT_FALSE(level(21));
    run_to(clock, 500);
    EXPECT_EQ(rises(21), 1);
    run_to(clock, 1'000'000);
    EXPECT_EQ(rises(21), 1);
    set(0x128, get(0xf0) + 10);
    run_to(clock, clock.now() + 100);
    EXPECT_EQ(rises(21), 2) << "each match is an edge";
    EXPECT_EQ(get(0x20), 0u) << "edges leave no status";
}

TEST_F(HpetTest, LevelStaysUntilStatusIsCleared) {
    enable();
    set(0x140, 0x2806); // timer 2, level, route 20
    set(0x148, 50);
    run_to(clock, 500);
    EXPECT_TRUE(level(20));
    EXPECT_EQ(get(0x20), 4u);
    set(0x20, 3);
    EXPECT_TRUE(level(20));
    set(0x20, 4);
    EXPECT_FALSE(level(20));
    set(0x148, 100);
    run_to(clock, 1000);
    EXPECT_TRUE(level(20));
    set(0x140, 0x2802); // disabling takes the line away, not the status
    EXPECT_FALSE(level(20));
    EXPECT_EQ(get(0x20), 4u);
}

TEST_F(HpetTest, PeriodicAsLinuxSetsIt) {
    enable(true);
    set(0x100, 0x14c); // enabled, periodic, VAL_SET, 32 bits
    set(0x108, 200);   // first match
    run_to(clock, 10);
    set(0x108, 100); // period
    EXPECT_EQ(rises(0), 0);
    run_to(clock, 2000);
    EXPECT_EQ(rises(0), 1);
    EXPECT_EQ(get(0x108), 300u);
    run_to(clock, 2999);
    EXPECT_EQ(rises(0), 1);
    run_to(clock, 12000);
    EXPECT_EQ(rises(0), 11);
    set(0x100, 0x148); // off: it goes on counting, unscheduled
    EXPECT_EQ(clock.next_due(), never);
    run_to(clock, 102'000);
    EXPECT_EQ(get(0x108), 10'300u);
    EXPECT_EQ(rises(0), 11);
    set(0x100, 0x14c);
    EXPECT_EQ(clock.next_due(), 103'000u);
}

TEST_F(HpetTest, PeriodicWithOneWriteAsTheSpecificationSetsIt) {
    set(0x120, 0x284c & ~0x100ull); // periodic, VAL_SET, 64 bits, route 20
    set(0x128, 100);
    enable();
    run_to(clock, 5000);
    EXPECT_EQ(rises(20), 5);
}

TEST_F(HpetTest, Messages) {
    enable();
    set(0x140, 0x4004);
    set(0x150, 0xfee0'1000'0000'0041);
    set(0x148, 70);
    run_to(clock, 700);
    ASSERT_EQ(msi.messages.size(), 1u);
    EXPECT_EQ(msi.messages[0], (FakeMsi::Message{0x77, 0xfee0'1000, 0x41}));
}

TEST_F(HpetTest, LegacyReplacementTakesTheLinesOfPitAndRtc) {
    Line pit = hpet.pit_input(), rtc = hpet.rtc_input();
    pit.set(true);
    EXPECT_TRUE(level(0));
    enable(true);
    EXPECT_FALSE(level(0));
    rtc.set(true);
    EXPECT_FALSE(level(8));
    set(0x120, 0x4);
    set(0x128, 30);
    run_to(clock, 300);
    EXPECT_TRUE(level(8));
    set(0x10, 1);
    EXPECT_TRUE(level(8)) << "the RTC's again";
    rtc.set(false);
    EXPECT_FALSE(level(8));
    EXPECT_TRUE(level(0));
}

TEST_F(HpetTest, ThirtyTwoBitsComeRound) {
    enable();
    set(0x120, 0x2904); // 32 bits, route 20
    set(0x128, 1000);
    run_to(clock, (1ull << 32) * 10 * 3);
    EXPECT_EQ(rises(20), 3);
}

TEST_F(HpetTest, AComparatorInThePastWaits) {
    enable();
    run_to(clock, 10'000);
    set(0x120, 0x2804);
    set(0x128, 500);
    EXPECT_EQ(clock.next_due(), never) << "64 bits come round in no lifetime";
    set(0x128, 1000);
    EXPECT_EQ(clock.next_due(), 10'000u) << "the present tick matches";
    run_to(clock, 10'000);
    EXPECT_EQ(rises(20), 1);
}

TEST_F(HpetTest, StateRoundTripAndFuzz) {
    for (unsigned i = 0; i < 300; ++i) {
        fuzz(mmio, clock, i, 100);
        const auto before = saved(hpet);
        HpetBoard other;
        other.clock.advance_to(clock.now());
        ASSERT_TRUE(load(other.hpet, before));
        ASSERT_EQ(saved(other.hpet), before);
        ASSERT_EQ(other.clock.next_due(), clock.next_due());
        for (u64 offset = 0; offset < 0x180; offset += 8)
            ASSERT_EQ(other.get(offset), get(offset));
    }
}
