// SPDX-License-Identifier: Apache-2.0
// Tests of paging and the TLBs: walks, accessed and dirty bits, stale entries, code that is overwritten.
#include "x86/bare_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

struct Paging : testing::Test {
    BareMachine m;

    /// Maps 400000h by a 4 KiB page at `physical` with the given low bits.
    void map_small(u64 physical, u64 low) {
        m.write<u64>(BareMachine::tables + 0x2000 + 8 * 2, (BareMachine::tables + 0x3000) | 7);
        m.write<u64>(BareMachine::tables + 0x3000, physical | low);
        m.cpu.flush_tlb(false);
    }
};

constexpr u64 small = 0x400000;

} // namespace

TEST_F(Paging, AccessedAndDirtyBitsAreSetByUse) {
    map_small(BareMachine::data_at, 7);
    ASSERT_TRUE(m.cpu.load<u64>(Linear{small}).ok());
    EXPECT_EQ(m.read<u64>(BareMachine::tables + 0x3000), BareMachine::data_at | 0x27);
    ASSERT_TRUE(m.cpu.store<u64>(Linear{small}, 1).ok());
    EXPECT_EQ(m.read<u64>(BareMachine::tables + 0x3000), BareMachine::data_at | 0x67);
}

TEST_F(Paging, FaultsSayWhy) {
    map_small(BareMachine::data_at, 5); // present, user, read-only
    m.long_mode(3);
    ASSERT_TRUE(m.cpu.load<u8>(Linear{small}).ok());
    ASSERT_FALSE(m.cpu.store<u8>(Linear{small}, 1).ok());
    EXPECT_EQ(m.cpu.pending.vector, Vector::pf);
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::w | pfec::u);
    EXPECT_EQ(m.cpu.pending.cr2, small);
    map_small(BareMachine::data_at, 0);
    ASSERT_FALSE(m.cpu.load<u8>(Linear{small + 5}).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::u);
    EXPECT_EQ(m.cpu.pending.cr2, small + 5);
    map_small(bit(51), 7); // beyond MAXPHYADDR
    ASSERT_FALSE(m.cpu.load<u8>(Linear{small}).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::u | pfec::rsvd);
}

TEST_F(Paging, StaleUntilInvalidated) {
    map_small(BareMachine::data_at, 0x67);
    m.write<u64>(BareMachine::data_at, 0x11);
    m.write<u64>(BareMachine::data_at + 0x1000, 0x22);
    EXPECT_EQ(m.cpu.load<u64>(Linear{small}).value(), 0x11u);
    m.write<u64>(BareMachine::tables + 0x3000, (BareMachine::data_at + 0x1000) | 0x67);
    EXPECT_EQ(m.cpu.load<u64>(Linear{small}).value(), 0x11u);
    m.cpu.invalidate_page(Linear{small});
    EXPECT_EQ(m.cpu.load<u64>(Linear{small}).value(), 0x22u);
}

TEST_F(Paging, InvalidatingOneAddressDropsTheWholeLargePage) {
    EXPECT_TRUE(m.cpu.load<u64>(Linear{0x600000}).ok());
    EXPECT_TRUE(m.cpu.load<u64>(Linear{0x601000}).ok());
    m.write<u64>(BareMachine::tables + 0x2000 + 8 * 3, 0);
    m.cpu.invalidate_page(Linear{0x601000});
    EXPECT_FALSE(m.cpu.load<u64>(Linear{0x600000}).ok());
}

TEST_F(Paging, AccessesThatCrossPagesAreAllOrNothing) {
    map_small(BareMachine::data_at, 0x67);
    m.write<u64>(BareMachine::tables + 0x3008, 0);
    m.write<u64>(BareMachine::data_at + 0xff8, 0);
    EXPECT_FALSE(m.cpu.store<u64>(Linear{small + 0xffc}, ~0ull).ok());
    EXPECT_EQ(m.cpu.pending.cr2, small + 0x1000);
    EXPECT_EQ(m.read<u64>(BareMachine::data_at + 0xff8), 0u);
}

TEST_F(Paging, SupervisorModeAccessPrevention) {
    m.cpu.cr4 |= cr4::smap | cr4::smep;
    m.cpu.mode_changed();
    EXPECT_FALSE(m.cpu.load<u64>(Linear{BareMachine::data_at}).ok());
    m.cpu.flags |= rflags::ac;
    m.cpu.privilege_changed();
    EXPECT_TRUE(m.cpu.load<u64>(Linear{BareMachine::data_at}).ok());
    m.cpu.flags &= ~rflags::ac;
    m.cpu.privilege_changed();
    EXPECT_FALSE(m.cpu.load<u64>(Linear{BareMachine::data_at}).ok());
}

TEST_F(Paging, OverwrittenCodeIsDecodedAgain) {
    m.run({0xb8, 1, 0, 0, 0, 0xeb, 0xf9}, 2); // mov eax,1; jmp back
    EXPECT_EQ(m.cpu.gpr[rax], 1u);
    ASSERT_TRUE(m.cpu.store<u8>(Linear{BareMachine::code_at + 1}, 2).ok());
    m.run(1);
    EXPECT_EQ(m.cpu.gpr[rax], 2u);
    // An instruction may overwrite the very next one: mov byte [rip+1],3; mov eax,9
    m.run({0xc6, 0x05, 0x01, 0, 0, 0, 3, 0xb8, 9, 0, 0, 0}, 2);
    EXPECT_EQ(m.cpu.gpr[rax], 3u);
}

TEST_F(Paging, InstructionsMayStraddlePages) {
    map_small(BareMachine::data_at, 0x67);
    m.write<u64>(BareMachine::tables + 0x3008, (BareMachine::data_at + 0x5000) | 0x67);
    m.put(BareMachine::data_at + 0xffe, {0xb8, 0x44});
    m.put(BareMachine::data_at + 0x5000, {0x33, 0x22, 0x11, 0x90});
    for (int i = 0; i < 2; ++i) {
        m.cpu.rip = small + 0xffe;
        m.run(1);
        EXPECT_EQ(m.cpu.gpr[rax], 0x11223344u);
        m.cpu.gpr[rax] = 0;
    }
    // The tail changes: the straddling instruction must be seen anew.
    ASSERT_TRUE(m.cpu.store<u8>(Linear{small + 0x1000}, 0x77).ok());
    m.cpu.rip = small + 0xffe;
    m.run(1);
    EXPECT_EQ(m.cpu.gpr[rax], 0x11227744u);
}
