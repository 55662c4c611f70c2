// SPDX-License-Identifier: Apache-2.0
// Tests of ACPI power management: SCI mode, events, PM timer and its overflow, sleep and wake, moving the block.
#include "chipset/acpi_pm.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct PmBoard {
    Clock clock;
    Glass glass;
    Bus ports{"port", glass};
    FakeLine sci;
    std::string told;
    AcpiPm pm{clock,
              ports,
              glass,
              sci.line(),
              {.power_off = [this] { told += "off "; },
               .sleep = [this](unsigned s) { told += "S" + std::to_string(s) + " "; },
               .wake = [this] { told += "wake "; }}};

    PmBoard() { pm.map_at(0x600); }
};

struct AcpiPmTest : ::testing::Test, PmBoard {};

} // namespace

TEST_F(AcpiPmTest, SmiCommandSwitchesAcpiMode) {
    EXPECT_EQ(in(ports, 0x604, 2), 0u);
    out(ports, 0xb2, 2);
    EXPECT_EQ(in(ports, 0x604, 2), 1u);
    out(ports, 0xb2, 3);
    EXPECT_EQ(in(ports, 0x604, 2), 0u);
    out(ports, 0xb3, 0x5a);
    EXPECT_EQ(in(ports, 0xb3), 0x5au);
}

TEST_F(AcpiPmTest, ThePowerButtonRaisesTheSci) {
    pm.press_power_button();
    EXPECT_FALSE(sci.level);
    out(ports, 0x602, 0x100, 2);
    EXPECT_FALSE(sci.level) << "not in ACPI mode";
    out(ports, 0xb2, 2);
    EXPECT_TRUE(sci.level);
    EXPECT_EQ(in(ports, 0x600, 2), 0x100u);
    out(ports, 0x600, 0x100, 2);
    EXPECT_FALSE(sci.level);
    EXPECT_EQ(in(ports, 0x600, 2), 0u);
}

TEST_F(AcpiPmTest, GeneralPurposeEventsAreLevels) {
    out(ports, 0xb2, 2);
    out(ports, 0x628 + 1, 0x02);
    pm.set_gpe(9, true);
    EXPECT_TRUE(sci.level);
    out(ports, 0x620 + 1, 0x02);
    EXPECT_TRUE(sci.level) << "the source still holds it";
    pm.set_gpe(9, false);
    out(ports, 0x620, 0x0200, 2);
    EXPECT_FALSE(sci.level);
}

TEST_F(AcpiPmTest, TheTimerRunsAtItsRateAndTellsItsOverflow) {
    clock.advance_to(nanoseconds_per_second);
    EXPECT_EQ(in(ports, 0x608, 4), 3'579'545u);
    EXPECT_EQ(in(ports, 0x609, 2), 3'579'545u >> 8 & 0xffff);
    EXPECT_EQ(in(ports, 0x600, 2), 0u);
    out(ports, 0xb2, 2);
    out(ports, 0x602, 1, 2);
    const u64 due = clock.next_due();
    EXPECT_EQ(due, (u128{1ull << 31} * nanoseconds_per_second + 3'579'544) / 3'579'545);
    run_to(clock, due - 1);
    EXPECT_FALSE(sci.level);
    run_to(clock, due);
    EXPECT_TRUE(sci.level);
    EXPECT_EQ(in(ports, 0x608, 4), 0x8000'0000u);
    EXPECT_EQ(in(ports, 0x600, 2), 1u);
    out(ports, 0x600, 1, 2);
    EXPECT_FALSE(sci.level);
    EXPECT_GT(clock.next_due(), due) << "and at the next half round again";
}

TEST_F(AcpiPmTest, SleepEnableWithTypeFivePowersOff) {
    out(ports, 0x604, 7 << 10, 2);
    EXPECT_EQ(told, "");
    out(ports, 0x604, 1 << 13 | 7 << 10, 2);
    EXPECT_EQ(told, "off ");
    EXPECT_EQ(in(ports, 0x604, 2), 7u << 10) << "SLP_EN reads as zero";
    out(ports, 0x604, 1 << 13 | 2 << 10, 2);
    EXPECT_EQ(told, "off ");
    EXPECT_EQ(glass.counter("acpi.no-such-sleep-state"), 1u);
}

TEST_F(AcpiPmTest, TheAlarmWakesFromSleep) {
    out(ports, 0x602, 0x400, 2);
    out(ports, 0x604, 1 << 13 | 5 << 10, 2);
    EXPECT_EQ(told, "S3 ");
    pm.rtc_alarm();
    EXPECT_EQ(told, "S3 wake ");
    EXPECT_EQ(in(ports, 0x600, 2), 0x8400u);
    out(ports, 0x604, 1 << 13 | 5 << 10, 2);
    EXPECT_EQ(told, "S3 wake S3 wake ") << "the event is still there";
}

TEST_F(AcpiPmTest, OtherSleepTypesCanBeGiven) {
    std::string other;
    Bus bus("port", glass);
    AcpiPm qemu_like(clock, bus, glass, Line(), {.power_off = [&] { other += "off"; }},
                     {.s1 = 7, .s3 = 1, .s4 = 2, .s5 = 0});
    qemu_like.map_at(0xb000);
    out(bus, 0xb004, 0x2000, 2);
    EXPECT_EQ(other, "off");
}

TEST_F(AcpiPmTest, TheBlockAndTheSciMove) {
    FakeLine second;
    out(ports, 0xb2, 2);
    out(ports, 0x602, 0x100, 2);
    pm.press_power_button();
    pm.set_sci(second.line());
    EXPECT_FALSE(sci.level);
    EXPECT_TRUE(second.level);
    pm.map_at(0xb000);
    EXPECT_EQ(in(ports, 0x602, 2), 0xffffu);
    EXPECT_EQ(in(ports, 0xb002, 2), 0x100u);
    pm.map_at(0);
    EXPECT_EQ(in(ports, 0xb002, 2), 0xffffu);
}

TEST_F(AcpiPmTest, StateRoundTripAndFuzz) {
    for (unsigned i = 0; i < 300; ++i) {
        fuzz(ports, clock, i, 60);
        pm.set_gpe(i & 63, i & 1);
        const auto before = saved(pm);
        PmBoard other;
        other.clock.advance_to(clock.now());
        ASSERT_TRUE(load(other.pm, before));
        ASSERT_EQ(saved(other.pm), before);
        ASSERT_EQ(other.clock.next_due(), clock.next_due());
    }
}
