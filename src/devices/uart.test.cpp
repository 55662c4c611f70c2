// SPDX-License-Identifier: Apache-2.0
// Tests of the serial port: what drivers probe, FIFOs, the order and acknowledgement of interrupts, loopback, time-out.
#include "devices/uart.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct Sink : ByteOutput {
    std::string text;

    void put(std::span<const u8> data) override { text.append(data.begin(), data.end()); }
};

struct UartBoard {
    Clock clock;
    Glass glass;
    Bus ports{"port", glass};
    FakeLine irq;
    Sink sink;
    Uart uart{clock, ports, "com1", 0x3f8, irq.line(), sink};

    u64 get(unsigned reg) { return in(ports, 0x3f8 + reg); }

    void set(unsigned reg, u8 value) { out(ports, 0x3f8 + reg, value); }

    void send(std::string_view text) { uart.receive({reinterpret_cast<const u8*>(text.data()), text.size()}); }
};

struct UartTest : ::testing::Test, UartBoard {};

} // namespace

TEST_F(UartTest, PrintsAtOnce) {
    for (const char c : std::string("hello")) {
        EXPECT_EQ(get(5) & 0x60, 0x60u);
        set(0, static_cast<u8>(c));
    }
    EXPECT_EQ(sink.text, "hello");
}

TEST_F(UartTest, LooksLikeA16550A) {
    set(7, 0x5a);
    EXPECT_EQ(get(7), 0x5au);
    set(1, 0xff);
    EXPECT_EQ(get(1), 0x0fu) << "no sleep mode, no extra bits";
    set(1, 0);
    set(2, 0x01);
    EXPECT_EQ(get(2), 0xc1u);
    set(2, 0x00);
    EXPECT_EQ(get(2), 0x01u);
    set(2, 0xe1); // bit 5 would be the 16750's
    EXPECT_EQ(get(2), 0xc1u);
    set(3, 0x83);
    set(0, 0x34);
    set(1, 0x12);
    EXPECT_EQ(get(0), 0x34u);
    EXPECT_EQ(get(1), 0x12u);
    set(3, 0x03);
    EXPECT_EQ(get(1), 0u);
    EXPECT_EQ(sink.text, "");
    EXPECT_EQ(get(6), 0xb0u);
}

TEST_F(UartTest, LoopbackConnectsTheModemLines) {
    set(4, 0x1f);
    EXPECT_EQ(get(6) & 0xf0, 0xf0u);
    get(6);
    set(4, 0x1a); // RTS and OUT2
    EXPECT_EQ(get(6), 0x90u | 0x06) << "DSR changed, RI fell";
    set(0, 0x41);
    EXPECT_EQ(sink.text, "");
    EXPECT_EQ(get(5) & 1, 1u);
    EXPECT_EQ(get(0), 0x41u);
    EXPECT_EQ(uart.room(), 0u);
}

TEST_F(UartTest, TransmitterInterrupt) {
    set(4, 0x08);
    set(1, 0x02);
    EXPECT_TRUE(irq.level) << "enabling it while empty raises it";
    EXPECT_EQ(get(2), 0x02u);
    EXPECT_FALSE(irq.level) << "reading IIR acknowledges";
    EXPECT_EQ(get(2), 0x01u);
    set(1, 0x02);
    EXPECT_FALSE(irq.level) << "no change of the enable";
    set(1, 0x00);
    set(1, 0x02);
    EXPECT_TRUE(irq.level);
    get(2);
    set(0, 'x');
    EXPECT_TRUE(irq.level) << "empty again at once";
}

TEST_F(UartTest, Out2GatesTheLine) {
    set(1, 0x02);
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(get(2), 0x02u);
}

TEST_F(UartTest, ReceiverWithoutFifo) {
    set(4, 0x08);
    set(1, 0x01);
    EXPECT_EQ(uart.room(), 1u);
    send("a");
    EXPECT_EQ(uart.room(), 0u);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(get(2), 0x04u);
    EXPECT_EQ(get(0), u64{'a'});
    EXPECT_FALSE(irq.level);
    send("bc"); // more than there is room for
    EXPECT_EQ(get(5) & 0x03, 0x03u);
    EXPECT_EQ(get(5) & 0x03, 0x01u) << "reading clears the overrun";
    EXPECT_EQ(get(0), u64{'c'});
}

TEST_F(UartTest, TriggerLevelAndTimeOut) {
    set(3, 0x83);
    set(0, 0x01); // 115200 baud
    set(1, 0x00);
    set(3, 0x03);
    set(4, 0x08);
    set(2, 0x81); // trigger at 8
    set(1, 0x01);
    send("1234567");
    EXPECT_FALSE(irq.level);
    const u64 four_characters = 4 * (10 * 16 * nanoseconds_per_second / Uart::clock_rate);
    EXPECT_EQ(clock.next_due(), four_characters);
    run_to(clock, four_characters - 1);
    EXPECT_FALSE(irq.level);
    run_to(clock, four_characters);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(get(2), 0xccu);
    EXPECT_EQ(get(0), u64{'1'});
    EXPECT_FALSE(irq.level);
    send("89");
    EXPECT_EQ(get(2), 0xc4u);
    EXPECT_EQ(uart.room(), 8u);
    EXPECT_EQ(get(0), u64{'2'});
    EXPECT_EQ(get(2), 0xc1u);
    set(2, 0x83); // clear the receiver
    EXPECT_EQ(get(5) & 1, 0u);
    EXPECT_EQ(clock.next_due(), never);
}

TEST_F(UartTest, InterruptsComeInTheirOrder) {
    set(4, 0x08);
    set(1, 0x0f);
    send("xy"); // overrun
    set(4, 0x18);
    set(4, 0x08); // modem lines fell and rose
    EXPECT_EQ(get(2), 0x06u);
    get(5);
    EXPECT_EQ(get(2), 0x04u);
    get(0);
    EXPECT_EQ(get(2), 0x02u);
    EXPECT_EQ(get(2), 0x00u);
    get(6);
    EXPECT_EQ(get(2), 0x01u);
}

TEST_F(UartTest, BreakInLoopback) {
    set(4, 0x10);
    set(3, 0x43);
    EXPECT_EQ(get(5) & 0x11, 0x11u);
    EXPECT_EQ(get(0), 0u);
    EXPECT_EQ(get(5) & 0x10, 0u);
}

TEST_F(UartTest, StateRoundTripAndFuzz) {
    for (unsigned i = 0; i < 500; ++i) {
        fuzz(ports, clock, i, 60);
        send(std::string(i % 20, 'z'));
        const auto before = saved(uart);
        UartBoard other;
        other.clock.advance_to(clock.now());
        ASSERT_TRUE(load(other.uart, before));
        ASSERT_EQ(saved(other.uart), before);
        ASSERT_EQ(other.clock.next_due(), clock.next_due());
        for (const unsigned reg : {1, 2, 3, 4, 5, 6, 7, 0})
            ASSERT_EQ(other.get(reg), get(reg));
    }
}
