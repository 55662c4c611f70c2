// SPDX-License-Identifier: Apache-2.0
// Tests of the I/O APIC: registers, edges, levels with remote IRR, EOI, and messages in both formats.
#include "interrupts/io_apic.h"

#include "interrupts/testing.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::testing_support;

namespace {

struct IoApicTest : ::testing::Test {
    Glass glass;
    Bus mmio{"mmio", glass};
    FakeMsi msi;
    IoApic ioapic{mmio, glass, msi, {.base = 0xfec0'0000, .id = 0, .requester = 0x1234}};

    void select(u8 index) { out(mmio, 0xfec0'0000, index, 4); }

    u32 get(u8 index) {
        select(index);
        return static_cast<u32>(in(mmio, 0xfec0'0010, 4));
    }

    void set(u8 index, u32 value) {
        select(index);
        out(mmio, 0xfec0'0010, value, 4);
    }
};

} // namespace

TEST_F(IoApicTest, IdentifiesItself) {
    EXPECT_EQ(get(1), 0x0017'0020u);
    set(1, ~0u);
    EXPECT_EQ(get(1), 0x0017'0020u);
    set(0, ~0u);
    EXPECT_EQ(get(0), 0x0f00'0000u);
    EXPECT_EQ(get(2), 0x0f00'0000u);
    EXPECT_EQ(get(0x10), 0x1'0000u);
    set(0x10, ~0u);
    EXPECT_EQ(get(0x10), 0x1'afffu) << "delivery status and remote IRR are read-only";
}

TEST_F(IoApicTest, AnEdgeIsOneMessageAndIsLostWhenMasked) {
    ioapic.set_pin(4, true);
    ioapic.set_pin(4, false);
    set(0x18, 0x0834);      // logical, fixed, edge
    set(0x19, 0x0300'0000); // destination 3
    EXPECT_TRUE(msi.messages.empty());
    ioapic.set_pin(4, true);
    ioapic.set_pin(4, true);
    ASSERT_EQ(msi.messages.size(), 1u);
    EXPECT_EQ(msi.messages[0], (FakeMsi::Message{0x1234, 0xfee0'3004, 0x4034}));
}

TEST_F(IoApicTest, ALevelWaitsForEoi) {
    set(0x1c, 0x1'8077);
    ioapic.set_pin(6, true);
    EXPECT_TRUE(msi.messages.empty());
    set(0x1c, 0x8077);
    ASSERT_EQ(msi.messages.size(), 1u) << "unmasking lets a held level through";
    EXPECT_EQ(msi.messages[0].data, 0xc077u);
    EXPECT_EQ(get(0x1c), 0xc077u);
    ioapic.end_of_interrupt(0x76);
    EXPECT_EQ(msi.messages.size(), 1u);
    ioapic.end_of_interrupt(0x77);
    EXPECT_EQ(msi.messages.size(), 2u) << "still high: again";
    ioapic.set_pin(6, false);
    out(mmio, 0xfec0'0040, 0x77, 4); // EOI register
    EXPECT_EQ(get(0x1c), 0x8077u);
    EXPECT_EQ(msi.messages.size(), 2u);
}

TEST_F(IoApicTest, ChangingToEdgeClearsRemoteIrr) {
    set(0x1c, 0x8077);
    ioapic.set_pin(6, true);
    set(0x1c, 0x1'0077);
    EXPECT_EQ(get(0x1c), 0x1'0077u);
    set(0x1c, 0x8077);
    EXPECT_EQ(msi.messages.size(), 2u);
}

TEST_F(IoApicTest, NmiIsAnEdgeWhateverTheTriggerModeSays) {
    set(0x1c, 0x8400);
    ioapic.set_pin(6, true);
    ASSERT_EQ(msi.messages.size(), 1u);
    EXPECT_EQ(msi.messages[0].data, 0x4400u);
    EXPECT_EQ(get(0x1c), 0x8400u);
}

TEST_F(IoApicTest, RemappableFormatPassesTheHandleAsItIs) {
    set(0x11, 0x1234'0000 | 1u << 16); // index 14:0 = 091Ah, format bit
    set(0x10, 0x0805);                 // index 15, vector field holds the pin
    ioapic.set_pin(0, true);
    ASSERT_EQ(msi.messages.size(), 1u);
    const u64 a = msi.messages[0].address;
    EXPECT_EQ(bits(a, 19, 5), 0x091au);
    EXPECT_EQ(bits(a, 4, 4), 1u);
    EXPECT_EQ(bits(a, 3, 3), 0u);
    EXPECT_EQ(bits(a, 2, 2), 1u);
    EXPECT_EQ(a >> 20, 0xfeeu);
}

TEST_F(IoApicTest, StateRoundTripAndFuzz) {
    Clock clock;
    std::mt19937 random(2);
    for (unsigned i = 0; i < 200; ++i) {
        fuzz(mmio, clock, i, 50);
        ioapic.set_pin(random() % 32, random() & 1);
        ioapic.end_of_interrupt(static_cast<u8>(random()));
        Bus other_mmio("mmio", glass);
        IoApic other(other_mmio, glass, msi, {});
        const auto before = saved(ioapic);
        ASSERT_TRUE(load(other, before));
        ASSERT_EQ(saved(other), before);
    }
}
