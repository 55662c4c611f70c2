// SPDX-License-Identifier: Apache-2.0
// Tests of interrupt remapping and posted interrupts.
#include "vtd/test_fixture.h"

using namespace vitrine;
using namespace vitrine::vtd;

TEST_F(Vtd, RemappedInterrupts) {
    set_irte(3, fixed_to_1, device | 1 << 18);
    set_irte(5, fixed_to_1 | 1 << 16, device | 1 << 18);
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0x42) << "not enabled";
    start_remapping();
    interrupt(message_of(3), 0xffff);
    EXPECT_EQ(taken(1), 0x41);
    interrupt(message_of(3, true), 2);
    EXPECT_EQ(taken(1), 0x41) << "index 5, vector 41h: the low bit was set already";
    command(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0x42);
    take_away(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(taken(1), 0);
    EXPECT_EQ(take_fault(), 0x25u);
    const u32 data = 0;
    EXPECT_TRUE(unit.write(Requester::function(device), DeviceAddress{message_of(3)}, {reinterpret_cast<const u8*>(&data), 4})) << "by a plain write";
    EXPECT_EQ(taken(1), 0x41);
    EXPECT_FALSE(write(message_of(3), 0)) << "of eight bytes";
    u64 value;
    EXPECT_FALSE(read(0xfee0'0000, value));
}

TEST_F(Vtd, ExtendedInterruptModeTakesTheWholeDestination) {
    set_irte(3, 1 | 0x41ull << 16 | 1ull << 32);
    start_remapping(true);
    command(global_command.compatibility.mask());
    interrupt(0xfee0'1000, 0x42);
    EXPECT_EQ(take_fault(), 0x25u) << "compatibility format never passes in this mode";
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
}

TEST_F(Vtd, SourceValidation) {
    start_remapping();
    start_queue();
    const auto passes = [&](u64 high, u16 source) {
        set_irte(3, fixed_to_1, high);
        invalidate(all_interrupts);
        interrupt(message_of(3), 0, source);
        take_fault();
        return taken(1) == 0x41;
    };
    constexpr u64 exact = 1 << 18, buses = 2 << 18;
    EXPECT_TRUE(passes(0, 0x1234));
    EXPECT_TRUE(passes(0x0110 | exact, 0x0110));
    EXPECT_FALSE(passes(0x0110 | exact, 0x0114));
    EXPECT_TRUE(passes(0x0110 | exact | 1 << 16, 0x0114));
    EXPECT_FALSE(passes(0x0110 | exact | 1 << 16, 0x0112));
    EXPECT_TRUE(passes(0x0110 | exact | 2 << 16, 0x0116));
    EXPECT_FALSE(passes(0x0110 | exact | 2 << 16, 0x0111));
    EXPECT_TRUE(passes(0x0110 | exact | 3 << 16, 0x0117));
    EXPECT_FALSE(passes(0x0110 | exact | 3 << 16, 0x0118));
    EXPECT_TRUE(passes(0x0103 | buses, 0x0210));
    EXPECT_FALSE(passes(0x0103 | buses, 0x0410));
    EXPECT_FALSE(passes(3 << 18, 0x0110)) << "reserved";
}

TEST_F(Vtd, InterruptEntriesAreCached) {
    set_irte(3, fixed_to_1);
    start_remapping();
    start_queue();
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
    set_irte(3, 0);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41);
    invalidate(4 | 1 << 4 | 4ull << 32);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0x41) << "another index";
    invalidate(4 | 1 << 4 | 2ull << 27 | 1ull << 32); // 0 to 3
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0);
    EXPECT_EQ(take_fault(), 0x22u);
}

TEST_F(Vtd, TheIoApicPassesThrough) {
    interrupts.set_remapping(unit);
    set_irte(3, fixed_to_1, interrupts.io_apic().requester() | 1 << 18);
    start_remapping();
    Line line = interrupts.gsi(20);
    const auto window = [&](u8 index, u32 value) {
        space->write<u32>(Physical{0xfec0'0000}, index, Requester::from_cpu(0));
        space->write<u32>(Physical{0xfec0'0010}, value, Requester::from_cpu(0));
    };
    window(0x10 + 41, 0x0007'0000); // index 3, remappable format
    window(0x10 + 40, 0x8014);      // level, vector 14h is for the EOI
    line.set(true);
    EXPECT_EQ(taken(1), 0x41);
}

TEST_F(Vtd, PostedInterrupts) {
    set_irte(3, 1 | 1 << 15 | 0x91ull << 16 | (descriptor >> 6 & 0x3ff'ffff) << 38, descriptor >> 32 << 32);
    set_irte(4, 1 | 1 << 14 | 1 << 15 | 0x92ull << 16 | (descriptor >> 6 & 0x3ff'ffff) << 38);
    mem(descriptor + 32, 0xf2 << 16 | 1ull << 40);
    start_remapping();
    interrupt(message_of(3));
    EXPECT_EQ(mem(descriptor + 16) >> 17 & 1, 1u);
    EXPECT_EQ(mem(descriptor + 32) & 3, 1u);
    EXPECT_EQ(taken(1), 0xf2);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0) << "outstanding";
    mem(descriptor + 32, 2 | 0xf2 << 16 | 1ull << 40);
    interrupt(message_of(3));
    EXPECT_EQ(taken(1), 0) << "suppressed";
    EXPECT_EQ(mem(descriptor + 32) & 3, 2u);
    interrupt(message_of(4));
    EXPECT_EQ(taken(1), 0xf2) << "urgent";
    EXPECT_EQ(mem(descriptor + 16) >> 17 & 3, 3u);
    EXPECT_EQ(glass.counter("vtd.interrupt.posted"), 4u);
    EXPECT_EQ(glass.counter("vtd.interrupt.notified"), 2u);
}

TEST_F(Vtd, WithoutPostingAPostedEntryIsReserved) {
    Driver d({.posted_interrupts = false});
    EXPECT_EQ(capability.posted_interrupts(d.reg64(capability_at)), 0u);
    d.set_irte(3, 1 | 1 << 15 | 0x91ull << 16 | (descriptor >> 6) << 38);
    d.start_remapping();
    d.interrupt(d.message_of(3));
    EXPECT_EQ(d.take_fault(), 0x24u);
}
