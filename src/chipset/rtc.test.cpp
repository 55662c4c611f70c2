// SPDX-License-Identifier: Apache-2.0
// Tests of the real-time clock: calendar, formats, update cycle, alarm, periodic interrupt, memory sizes.
#include "chipset/rtc.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

constexpr u64 second = nanoseconds_per_second;

struct Board {
    Clock clock;
    Glass glass;
    Bus ports{"port", glass};
    FakeLine irq;
    Rtc rtc;

    explicit Board(i64 date = Rtc::default_date) : rtc(clock, ports, glass, irq.line(), date) {}

    u64 get(u8 index) {
        out(ports, 0x70, index);
        return in(ports, 0x71);
    }

    void set(u8 index, u8 value) {
        out(ports, 0x70, index);
        out(ports, 0x71, value);
    }

    /// century year month day weekday hour minute second, as the registers have them
    std::vector<u64> date() {
        std::vector<u64> d;
        for (const u8 index : {0x32, 9, 8, 7, 6, 4, 2, 0})
            d.push_back(get(index));
        return d;
    }
};

using Values = std::vector<u64>;

} // namespace

TEST(Rtc, ShowsTheDateItWasGiven) {
    EXPECT_EQ(Board().date(), (Values{0x20, 0x26, 1, 1, 5, 0, 0, 0})); // a Thursday
    EXPECT_EQ(Board(951'827'696).date(),
              (Values{0x20, 0, 2, 0x29, 3, 0x12, 0x34, 0x56})); // 2000-02-29 12:34:56, a Tuesday
    EXPECT_EQ(Board(-1).date(), (Values{0x19, 0x69, 0x12, 0x31, 4, 0x23, 0x59, 0x59}));
    EXPECT_EQ(Board(4'107'542'399).date(), (Values{0x21, 0, 2, 0x28, 1, 0x23, 0x59, 0x59}));
}

TEST(Rtc, CountsThroughTheCalendar) {
    Board leap(951'868'799); // 2000-02-29 23:59:59
    run_to(leap.clock, second);
    EXPECT_EQ(leap.date(), (Values{0x20, 0, 3, 1, 4, 0, 0, 0}));
    Board century(4'107'542'399); // 2100 is no leap year
    run_to(century.clock, second);
    EXPECT_EQ(century.date(), (Values{0x21, 0, 3, 1, 2, 0, 0, 0}));
    Board millennium(946'684'799);
    run_to(millennium.clock, second);
    EXPECT_EQ(millennium.date(), (Values{0x20, 0, 1, 1, 7, 0, 0, 0}));
    Board day;
    run_to(day.clock, 86400 * second * 60 - 1);
    EXPECT_EQ(day.date(), (Values{0x20, 0x26, 3, 1, 1, 0x23, 0x59, 0x59}));
}

TEST(Rtc, BinaryAndTwelveHours) {
    Board b;
    b.set(0x0b, 0x84); // SET, binary, 12 hours
    b.set(0x04, 0x8b); // 11 pm
    b.set(0x02, 59);
    b.set(0x00, 59);
    b.set(0x07, 31);
    b.set(0x08, 12);
    b.set(0x09, 99);
    b.set(0x32, 20);
    run_to(b.clock, 5 * second);
    EXPECT_EQ(b.get(0), 59u) << "SET holds the update";
    b.set(0x0b, 0x04);
    run_to(b.clock, 6 * second);
    EXPECT_EQ(b.date(), (Values{21, 0, 1, 1, b.get(6), 12, 0, 0}));
    run_to(b.clock, (6 + 12 * 3600) * second);
    EXPECT_EQ(b.get(4), 0x8cu) << "noon is 12 pm";
}

TEST(Rtc, UpdateInProgressComesBeforeTheUpdate) {
    Board b;
    run_to(b.clock, second - 2'228'001);
    EXPECT_EQ(b.get(0x0a), 0x26u);
    run_to(b.clock, second - 2'228'000);
    EXPECT_EQ(b.get(0x0a), 0xa6u);
    run_to(b.clock, second - 1);
    EXPECT_EQ(b.get(0x0a), 0xa6u);
    EXPECT_EQ(b.get(0), 0u);
    run_to(b.clock, second);
    EXPECT_EQ(b.get(0x0a), 0x26u);
    EXPECT_EQ(b.get(0), 1u);
}

TEST(Rtc, UpdateEndedInterrupt) {
    Board b;
    b.set(0x0b, 0x12);
    run_to(b.clock, second);
    EXPECT_TRUE(b.irq.level);
    EXPECT_EQ(b.get(0x0c) & 0xb0, 0x90u);
    EXPECT_FALSE(b.irq.level);
    EXPECT_EQ(b.get(0x0c), 0u);
}

TEST(Rtc, AlarmWithDontCare) {
    Board b;
    int alarms = 0;
    b.rtc.set_alarm_listener([&] { ++alarms; });
    b.set(1, 0x03);
    b.set(3, 0xff);
    b.set(5, 0xc0);
    run_to(b.clock, 3 * second);
    EXPECT_EQ(b.get(0x0c) & 0x20, 0x20u) << "the flag comes without the enable";
    EXPECT_FALSE(b.irq.level);
    EXPECT_EQ(alarms, 0);
    b.set(0x0b, 0x22);
    run_to(b.clock, 63 * second - 1);
    EXPECT_FALSE(b.irq.level);
    run_to(b.clock, 63 * second);
    EXPECT_TRUE(b.irq.level);
    EXPECT_EQ(alarms, 1);
}

TEST(Rtc, PeriodicInterruptAtEveryRate) {
    for (unsigned rate = 1; rate < 16; ++rate) {
        Board b;
        b.set(0x0a, static_cast<u8>(0x20 | rate));
        b.get(0x0c);
        b.set(0x0b, 0x42);
        const unsigned hertz = rate == 1 ? 256 : rate == 2 ? 128 : 32768 >> (rate - 1);
        unsigned seen = 0;
        u64 last = 0;
        while (b.clock.next_due() <= second) {
            run_to(b.clock, b.clock.next_due());
            if (b.irq.level) {
                ++seen;
                last = b.clock.now();
                EXPECT_EQ(b.get(0x0c) & 0xc0, 0xc0u);
                EXPECT_FALSE(b.irq.level);
            }
        }
        EXPECT_EQ(seen, hertz) << rate;
        EXPECT_EQ(last, second);
    }
}

TEST(Rtc, PeriodicFlagWithoutItsInterruptIsFoundLate) {
    Board b;
    EXPECT_EQ(b.clock.next_due(), second) << "only updates are scheduled";
    run_to(b.clock, 900'000); // less than 1/1024 s
    EXPECT_EQ(b.get(0x0c), 0u);
    run_to(b.clock, 980'000);
    EXPECT_EQ(b.get(0x0c), 0x40u);
    EXPECT_EQ(b.get(0x0c), 0u);
}

TEST(Rtc, HoldingTheDividerStopsTimeAndRestartsIt) {
    Board b;
    run_to(b.clock, 700'000'000);
    b.set(0x0a, 0x76);
    run_to(b.clock, 10 * second);
    EXPECT_EQ(b.get(0), 0u);
    b.set(0x0a, 0x26);
    run_to(b.clock, 10 * second + second / 2 - 1);
    EXPECT_EQ(b.get(0), 0u);
    run_to(b.clock, 10 * second + second / 2);
    EXPECT_EQ(b.get(0), 1u);
}

TEST(Rtc, MemorySizesAndPlainBytes) {
    Board b;
    b.rtc.set_memory_size(2_GiB, 3_GiB);
    EXPECT_EQ(b.get(0x15) | b.get(0x16) << 8, 640u);
    EXPECT_EQ(b.get(0x30) | b.get(0x31) << 8, 0xffffu);
    EXPECT_EQ((b.get(0x34) | b.get(0x35) << 8) * 64_KiB, 2_GiB - 16_MiB);
    EXPECT_EQ((b.get(0x5b) | b.get(0x5c) << 8 | b.get(0x5d) << 16) * 64_KiB, 3_GiB);
    b.set(0x40, 0x77);
    out(b.ports, 0x72, 0x40);
    out(b.ports, 0x73, 0x88);
    EXPECT_EQ(b.get(0x40), 0x77u);
    EXPECT_EQ(in(b.ports, 0x73), 0x88u);
    EXPECT_EQ(b.get(0x0d), 0x80u);
    b.rtc.reset(Reset::warm);
    EXPECT_EQ(b.get(0x40), 0x77u) << "the battery keeps it";
}

TEST(Rtc, StateRoundTripAndFuzz) {
    Board b;
    for (unsigned i = 0; i < 300; ++i) {
        fuzz(b.ports, b.clock, i, 60);
        const auto before = saved(b.rtc);
        Board other;
        other.clock.advance_to(b.clock.now());
        ASSERT_TRUE(load(other.rtc, before));
        ASSERT_EQ(saved(other.rtc), before);
        ASSERT_EQ(other.clock.next_due(), b.clock.next_due());
    }
}
