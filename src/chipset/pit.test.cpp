// SPDX-License-Identifier: Apache-2.0
// Tests of the interval timer: every mode against the datasheet's waveforms tick by tick, latches, BCD, no drift.
#include "chipset/pit.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

/// One counter driven tick by tick. The control word and the count are written during tick 0; the count is loaded at
/// tick 1.
struct CounterTest : ::testing::Test {
    PitCounter c{true};

    void program(unsigned mode, u16 count, u64 tick = 0, bool bcd = false) {
        c.control(static_cast<u8>(0x30 | mode << 1 | bcd), tick);
        c.write(static_cast<u8>(count), tick);
        c.write(static_cast<u8>(count >> 8), tick);
    }

    std::string out(u64 first, u64 last) {
        std::string s;
        for (u64 t = first; t <= last; ++t)
            s += c.out(t) ? '1' : '0';
        return s;
    }

    u16 count(u64 tick) {
        c.latch_count(tick);
        const u8 low = c.read(tick);
        return static_cast<u16>(c.read(tick) << 8 | low);
    }

    std::string counts(u64 first, u64 last) {
        std::string s;
        for (u64 t = first; t <= last; ++t)
            s += (s.empty() ? "" : " ") + std::to_string(count(t));
        return s;
    }
};

struct PitTest : ::testing::Test {
    Clock clock;
    Glass glass;
    Bus ports{"port", glass};
    FakeLine irq;
    Pit pit{clock, ports, irq.line()};

    void program(unsigned channel, unsigned mode, u16 count) {
        out(ports, 0x43, channel << 6 | 0x30 | mode << 1);
        out(ports, 0x40 + channel, count & 0xff);
        out(ports, 0x40 + channel, count >> 8);
    }
};

} // namespace

TEST_F(CounterTest, Mode0InterruptOnTerminalCount) {
    program(0, 4);
    EXPECT_EQ(out(0, 7), "00000111"); // high N + 1 ticks after the write
    program(0, 4, 10);
    EXPECT_EQ(counts(11, 16), "4 3 2 1 0 65535");
    program(0, 4, 20);
    c.set_gate(false, 22); // count 3
    EXPECT_EQ(counts(22, 24), "3 3 3");
    c.set_gate(true, 25);
    EXPECT_EQ(out(25, 29), "00011");
    program(0, 3, 40);
    c.write(9, 42); // the first byte of a new count stops it
    EXPECT_EQ(counts(43, 44), "2 2");
    c.write(0, 45);
    EXPECT_EQ(counts(46, 47), "9 8");
    EXPECT_EQ(out(54, 56), "011");
}

TEST_F(CounterTest, Mode0LoadsWhileTheGateIsLow) {
    c.set_gate(false, 0);
    program(0, 4, 0);
    EXPECT_EQ(counts(1, 3), "4 4 4");
    c.set_gate(true, 5);
    EXPECT_EQ(out(5, 9), "00001");
}

TEST_F(CounterTest, Mode1OneShot) {
    c.set_gate(false, 0);
    program(1, 3, 0);
    EXPECT_EQ(out(0, 3), "1111");
    c.set_gate(true, 4);
    EXPECT_EQ(out(4, 9), "100011"); // low for N ticks
    c.set_gate(false, 10);
    c.set_gate(true, 10);
    c.set_gate(false, 11);
    c.set_gate(true, 12); // retriggered
    EXPECT_EQ(out(11, 17), "0000011");
    c.write(5, 20); // a new count waits for the next trigger
    c.write(0, 20);
    EXPECT_EQ(out(20, 24), "11111");
    c.set_gate(false, 25);
    c.set_gate(true, 26);
    EXPECT_EQ(out(26, 32), "1000001");
}

TEST_F(CounterTest, Mode2RateGenerator) {
    program(2, 3);
    EXPECT_EQ(out(0, 10), "11101101101");
    EXPECT_EQ(counts(11, 15), "2 1 3 2 1");
    c.write(4, 16); // count 3: the new one follows this cycle
    c.write(0, 16);
    EXPECT_EQ(counts(16, 23), "3 2 1 4 3 2 1 4");
    c.set_gate(false, 24);
    EXPECT_EQ(out(24, 30), "1111111");
    c.set_gate(true, 31);
    EXPECT_EQ(counts(32, 36), "4 3 2 1 4");
    EXPECT_EQ(out(32, 36), "11101");
}

TEST_F(CounterTest, Mode3SquareWave) {
    program(3, 4);
    EXPECT_EQ(out(1, 9), "110011001");
    EXPECT_EQ(counts(9, 13), "4 2 4 2 4");
    program(3, 5, 20);
    EXPECT_EQ(out(21, 31), "11100111001");
    EXPECT_EQ(counts(31, 36), "4 2 0 4 2 4");
    program(3, 6, 40);
    c.write(4, 42); // in the first half: the second half has the new length
    c.write(0, 42);
    EXPECT_EQ(out(41, 50), "1110011001");
}

TEST_F(CounterTest, Mode4SoftwareStrobe) {
    program(4, 3);
    EXPECT_EQ(out(0, 7), "11110111");
    c.write(2, 10);
    c.write(0, 10);
    EXPECT_EQ(out(10, 15), "111011");
    c.write(4, 20);
    c.write(0, 20);
    c.set_gate(false, 22);
    c.set_gate(true, 25);
    EXPECT_EQ(out(20, 30), "11111111011");
}

TEST_F(CounterTest, Mode5HardwareStrobe) {
    c.set_gate(false, 0);
    program(5, 3, 0);
    EXPECT_EQ(out(0, 8), "111111111");
    c.set_gate(true, 10);
    EXPECT_EQ(out(10, 16), "1111011");
}

TEST_F(CounterTest, NextEventsAreExactlyTheChanges) {
    for (unsigned mode = 0; mode < 6; ++mode)
        for (const u16 n : {1, 2, 3, 4, 5, 17}) {
            SCOPED_TRACE(::testing::Message() << "mode " << mode << " count " << n);
            PitCounter counter(true);
            counter.control(static_cast<u8>(0x30 | mode << 1), 0);
            counter.write(static_cast<u8>(n), 0);
            counter.write(0, 0);
            counter.set_gate(false, 1);
            counter.set_gate(true, 2);
            bool level = counter.out(2);
            u64 next = counter.next_event(2);
            for (u64 t = 3; t < 100; ++t) {
                const bool now = counter.out(t);
                if (now != level) {
                    EXPECT_EQ(t, next);
                }
                level = now;
                if (t >= next) {
                    next = counter.next_event(t);
                    EXPECT_GT(next, t);
                }
            }
        }
}

TEST_F(CounterTest, BcdAndTheLargestCounts) {
    program(2, 0x0012, 0, true);
    EXPECT_EQ(count(1), 0x12u);
    EXPECT_EQ(count(4), 0x09u);
    EXPECT_EQ(count(12), 0x01u);
    program(2, 0, 20, true); // 10000
    EXPECT_EQ(count(21), 0u);
    EXPECT_EQ(count(22), 0x9999u);
    EXPECT_EQ(c.next_event(30), 21u + 9999);
    program(2, 0, 40); // 65536
    EXPECT_EQ(count(42), 0xffffu);
    EXPECT_EQ(c.next_event(50), 41u + 65535);
}

TEST_F(CounterTest, LatchesAndStatus) {
    program(2, 100);
    c.latch_status(0);
    EXPECT_EQ(c.read(0), 0x80 | 0x40 | 0x34) << "null count: not loaded yet";
    c.latch_status(1);
    EXPECT_EQ(c.read(1), 0x80 | 0x34);
    c.latch_count(11); // 90
    c.latch_count(20); // ignored
    c.latch_status(30);
    EXPECT_EQ(c.read(31), 0x80 | 0x34);
    EXPECT_EQ(c.read(31), 90);
    EXPECT_EQ(c.read(31), 0);
    EXPECT_EQ(c.read(31), 70) << "live again";
    EXPECT_EQ(c.read(31), 0);
    c.control(0x14, 40); // low byte only
    c.write(50, 40);
    EXPECT_EQ(c.read(43), 48);
    EXPECT_EQ(c.read(44), 47);
    c.control(0x24, 50); // high byte only
    c.write(2, 50);
    EXPECT_EQ(c.read(51), 2);
    EXPECT_EQ(c.read(52), 1);
}

TEST_F(PitTest, TicksDoNotDrift) {
    EXPECT_EQ(Pit::tick_at(nanoseconds_per_second), Pit::frequency);
    for (const u64 seconds : {1ull, 3600ull, 86400ull * 365 * 100})
        for (u64 extra = 0; extra < 1000; ++extra) {
            const u64 tick = seconds * Pit::frequency + extra;
            const u64 t = Pit::time_of(tick);
            ASSERT_EQ(Pit::tick_at(t), tick);
            ASSERT_EQ(Pit::tick_at(t - 1), tick - 1);
        }
}

TEST_F(PitTest, CounterZeroInterruptsAtItsRate) {
    program(0, 2, 11932); // about 100 Hz
    run_to(clock, nanoseconds_per_second * 10);
    EXPECT_EQ(irq.rises, 1 + 999) << "the first rise is OUT's own when the mode is set";
    program(0, 0, 1193);
    const u64 start = clock.now();
    EXPECT_FALSE(irq.level);
    const u64 due = Pit::time_of(Pit::tick_at(start) + 1 + 1193);
    run_to(clock, due - 1);
    EXPECT_FALSE(irq.level);
    run_to(clock, due);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(clock.next_due(), never);
}

TEST_F(PitTest, CounterTwoIsGatedAndSeenThroughPort61) {
    program(2, 0, 0xffff);
    EXPECT_EQ(in(ports, 0x61) & 0x2f, 0u);
    run_to(clock, 100'000'000);
    EXPECT_EQ(in(ports, 0x61) & 0x20, 0u) << "the gate is closed";
    out(ports, 0x61, 0x01);
    const u64 start = clock.now();
    run_to(clock, start + 54'000'000);
    EXPECT_EQ(in(ports, 0x61) & 0x21, 0x01u);
    run_to(clock, start + 55'000'000);
    EXPECT_EQ(in(ports, 0x61) & 0x21, 0x21u);
    u64 toggles = 0, last = in(ports, 0x61) & 0x10;
    for (unsigned i = 0; i < 1000; ++i) {
        run_to(clock, clock.now() + 1000);
        const u64 now = in(ports, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    EXPECT_NEAR(static_cast<double>(toggles), 1000 / 15.085, 2);
}

TEST_F(PitTest, ReadBackLatchesSeveral) {
    program(0, 2, 1000);
    program(1, 2, 2000);
    run_to(clock, 1'000'000);
    out(ports, 0x43, 0xc6); // counts and statuses of 0 and 1
    run_to(clock, 2'000'000);
    EXPECT_EQ(in(ports, 0x40), 0x80u | 0x34);
    const u64 low = in(ports, 0x40);
    EXPECT_EQ(low | in(ports, 0x40) << 8, 1000 - (Pit::tick_at(1'000'000) - 1) % 1000);
    EXPECT_EQ(in(ports, 0x41), 0x80u | 0x34);
}

TEST_F(PitTest, StateRoundTripAndFuzz) {
    for (unsigned i = 0; i < 300; ++i) {
        fuzz(ports, clock, i, 60);
        const auto before = saved(pit);
        Clock other_clock;
        other_clock.advance_to(clock.now());
        Bus other_ports("port", glass);
        FakeLine line;
        Pit other(other_clock, other_ports, line.line());
        ASSERT_TRUE(load(other, before));
        ASSERT_EQ(saved(other), before);
        ASSERT_EQ(other_clock.next_due(), clock.next_due());
        for (const u64 port : {0x40, 0x41, 0x42, 0x61})
            ASSERT_EQ(in(other_ports, port), in(ports, port));
    }
}
