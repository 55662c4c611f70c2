// SPDX-License-Identifier: Apache-2.0
// Tests of the interrupt controllers together: lines to processors, messages, IPIs, shared lines, EOI across,
// snapshots.
#include "interrupts/router.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;
using namespace vitrine::apic;

namespace {

struct RouterTest : ::testing::Test {
    Clock clock;
    Glass glass;
    std::unique_ptr<Space> space = std::move(Space::create(1_MiB, glass)).value();
    Interrupts interrupts{clock, *space, {.apic_ids = {0, 1, 2, 3}}};
    FakePins pins[4];

    RouterTest() {
        for (unsigned n = 0; n < 4; ++n) {
            interrupts.connect(n, pins[n]);
            set(n, spurious_vector, 0x1ff);
            set(n, logical_destination, 1u << (24 + n));
        }
    }

    void set(unsigned cpu, u16 offset, u32 value) {
        Access a{.offset = offset, .size = 4, .write = true, .value = value};
        interrupts.local_apic(cpu).access(a);
    }

    void redirect(unsigned pin, u64 entry) {
        for (unsigned half = 0; half < 2; ++half) {
            out(space->mmio(), 0xfec0'0000, 0x10 + 2 * pin + (1 - half), 4);
            out(space->mmio(), 0xfec0'0010, entry >> (half ? 0 : 32), 4);
        }
    }

    u64 entry(unsigned pin) { return interrupts.io_apic().entry(pin); }

    std::string who() const {
        std::string s;
        for (const FakePins& p : pins)
            s += p.interrupt ? '1' : '0';
        return s;
    }

    void message(u64 address, u32 data) { interrupts.message(Requester::function(8), address, data); }
};

} // namespace

TEST_F(RouterTest, LevelFromLineToProcessorAndBack) {
    redirect(20, 0x0200'0000'0000'8055); // level, to APIC 2
    Line line = interrupts.gsi(20);
    line.set(true);
    EXPECT_EQ(who(), "0010");
    EXPECT_EQ(interrupts.local_apic(2).acknowledge(), 0x55);
    line.set(false);
    EXPECT_TRUE(redirection.remote_irr(entry(20)));
    set(2, eoi, 0);
    EXPECT_FALSE(redirection.remote_irr(entry(20)));
    EXPECT_EQ(who(), "0000");
}

TEST_F(RouterTest, ALevelThatStaysComesAgainAfterEoi) {
    redirect(21, 0x8066);
    Line line = interrupts.gsi(21);
    line.set(true);
    EXPECT_EQ(interrupts.local_apic(0).acknowledge(), 0x66);
    EXPECT_EQ(who(), "0000");
    set(0, eoi, 0);
    EXPECT_EQ(who(), "1000");
}

TEST_F(RouterTest, DevicesShareALine) {
    redirect(22, 0x8077);
    Line a = interrupts.gsi(22), b = interrupts.gsi(22);
    a.set(true);
    b.set(true);
    interrupts.local_apic(0).acknowledge();
    a.set(false);
    set(0, eoi, 0);
    EXPECT_EQ(who(), "1000") << "b still holds it";
    interrupts.local_apic(0).acknowledge();
    b.set(false);
    set(0, eoi, 0);
    EXPECT_EQ(who(), "0000");
}

TEST_F(RouterTest, IsaInterruptZeroIsPinTwo) {
    redirect(2, 0x31);
    Line line = interrupts.gsi(0);
    line.set(true);
    EXPECT_EQ(interrupts.local_apic(0).acknowledge(), 0x31);
}

TEST_F(RouterTest, The8259sReachTheProcessorThroughLint0) {
    for (const auto& [port, value] : {std::pair{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}})
        out(space->ports(), static_cast<u64>(port), static_cast<u64>(value));
    Line timer = interrupts.gsi(0);
    timer.set(true);
    EXPECT_EQ(who(), "0000");
    set(0, lvt_lint0, 0x700);
    EXPECT_EQ(who(), "1000");
    EXPECT_EQ(interrupts.local_apic(0).acknowledge(), 0x20);
    EXPECT_EQ(who(), "0000");
}

TEST_F(RouterTest, APicInputAloneDoesNotReachTheIoApic) {
    redirect(10, 0x55);
    Line pirq = interrupts.pic_input(10), isa = interrupts.gsi(10);
    pirq.set(true);
    EXPECT_EQ(who(), "0000");
    out(space->ports(), 0xa0, 0x0a);
    EXPECT_EQ(in(space->ports(), 0xa0), 0x04u);
    isa.set(true);
    EXPECT_EQ(who(), "1000");
    pirq.set(false);
    EXPECT_EQ(in(space->ports(), 0xa0), 0x04u);
    isa.set(false);
    EXPECT_EQ(in(space->ports(), 0xa0), 0u);
}

TEST_F(RouterTest, The8259sReachTheProcessorThroughPinZero) {
    for (const auto& [port, value] : {std::pair{0x20, 0x11}, {0x21, 0x20}, {0x21, 4}, {0x21, 1}})
        out(space->ports(), static_cast<u64>(port), static_cast<u64>(value));
    redirect(0, 0x0100'0000'0000'0700); // ExtINT to APIC 1
    Line keyboard = interrupts.gsi(1);
    keyboard.set(true);
    EXPECT_EQ(who(), "0100");
    EXPECT_EQ(interrupts.local_apic(1).acknowledge(), 0x21);
    EXPECT_EQ(who(), "0000");
}

TEST_F(RouterTest, Messages) {
    message(0xfee0'3000, 0x4041);
    EXPECT_EQ(who(), "0001");
    message(0xfee0'6004, 0x4042); // logical 0110b
    EXPECT_EQ(who(), "0111");
    message(0xfeef'f000, 0x4400); // NMI to all
    for (const FakePins& p : pins)
        EXPECT_NE(p.events.find('N'), std::string::npos);
    message(0x1000, 0x4043);
    message(0xfee0'0000, 0x8043); // level de-assert
    message(0xfee0'0000, 0x4600); // SIPI is not for devices
    EXPECT_EQ(who(), "0111");
    EXPECT_EQ(glass.counter("msi.not-an-interrupt"), 1u);
    EXPECT_EQ(glass.counter("msi.reserved-delivery-mode"), 1u);
    message(0xfee0'9000, 0x4043);
    EXPECT_EQ(glass.counter("interrupt.no-destination"), 1u);
}

TEST_F(RouterTest, LowestPriorityTakesOne) {
    set(0, task_priority, 0x20);
    set(1, spurious_vector, 0xff); // disabled: out of the question
    message(0xfee0'f004, 0x4151);
    EXPECT_EQ(who(), "0010");
    message(0xfee0'f004, 0x4151);
    EXPECT_EQ(who(), "0011") << "2 has one waiting";
    message(0xfee0'f00c, 0x4053); // redirection hint
    EXPECT_EQ(who(), "1011");
}

TEST_F(RouterTest, Ipis) {
    set(1, interrupt_command_high, 0x0300'0000);
    set(1, interrupt_command, 0x4071);
    EXPECT_EQ(who(), "0001");
    set(1, interrupt_command, 0x000c'4072); // all but self
    EXPECT_EQ(who(), "1011");
    set(1, interrupt_command, 0x0004'4072); // self
    EXPECT_EQ(who(), "1111");
    set(0, interrupt_command, 0x000c'4500);
    set(0, interrupt_command, 0x000c'4608);
    EXPECT_EQ(pins[0].events.find('R'), std::string::npos);
    for (unsigned n = 1; n < 4; ++n)
        EXPECT_NE(pins[n].events.find("RP8"), std::string::npos);
}

TEST_F(RouterTest, NmiLine) {
    set(0, lvt_lint1, 0x400);
    Line line = interrupts.nmi();
    line.set(true);
    EXPECT_EQ(pins[0].events.back(), 'N');
    EXPECT_EQ(pins[1].events, "i");
}

TEST_F(RouterTest, RemappingSeesTheIoApicsMessages) {
    FakeMsi remapper;
    interrupts.set_remapping(remapper);
    redirect(9, 0x8039);
    Line line = interrupts.gsi(9);
    line.set(true);
    ASSERT_EQ(remapper.messages.size(), 1u);
    EXPECT_EQ(remapper.messages[0].requester, interrupts.io_apic().requester());
    EXPECT_EQ(who(), "0000");
}

TEST_F(RouterTest, StateRoundTripAndFuzz) {
    std::vector<Line> lines;
    for (unsigned n = 0; n < Interrupts::lines; ++n)
        lines.push_back(interrupts.gsi(n));
    std::mt19937 random(4);
    for (unsigned i = 0; i < 300; ++i) {
        fuzz(space->mmio(), clock, i, 20);
        fuzz(space->ports(), clock, i, 20);
        for (unsigned k = 0; k < 10; ++k) {
            lines[random() % lines.size()].set(random() & 1);
            set(random() % 4, static_cast<u16>(random() & 0x3f0), static_cast<u32>(random()));
            message(0xfee0'0000 | (random() & 0xf'fffc), static_cast<u32>(random()));
            if (random() % 4 == 0)
                interrupts.local_apic(random() % 4).acknowledge();
        }
        const auto before = saved(interrupts);
        auto other_space = std::move(Space::create(1_MiB, glass)).value();
        Clock other_clock;
        other_clock.advance_to(clock.now());
        Interrupts other(other_clock, *other_space, {.apic_ids = {0, 1, 2, 3}});
        for (unsigned n = 0; n < Interrupts::lines; ++n)
            other.gsi(n);
        FakePins other_pins[4];
        for (unsigned n = 0; n < 4; ++n)
            other.connect(n, other_pins[n]);
        ASSERT_TRUE(load(other, before));
        ASSERT_EQ(saved(other), before);
        for (unsigned n = 0; n < 4; ++n)
            ASSERT_EQ(other_pins[n].interrupt, pins[n].interrupt);
    }
}
