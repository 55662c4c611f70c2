// SPDX-License-Identifier: Apache-2.0
// Tests of --stale max without VMX: what is kept, what drops it, and what is told of an invalidation that was left out.
#include "x86/stale.h"

#include "x86/bare_machine.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace vitrine;

namespace {

struct StaleTest : testing::Test {
    static constexpr u64 page = 0x400000, directory = BareMachine::tables + 0x2000, table = BareMachine::tables + 0x3000, other_table = 0x14000,
                         first = BareMachine::data_at, second = BareMachine::data_at + 0x1000;
    static constexpr u64 p = 1, w = 2, u = 4, a = 0x20, d = 0x40, g = 0x100;

    StaleTest() {
        m.glass.set_sink([this](std::string_view line) { lines.emplace_back(line); });
        m.write<u64>(directory + 8 * 2, table | p | w);
        for (u64 n = 0; n < 512; ++n)
            m.write<u64>(table + 8 * n, first | p | w | a | d);
        m.write<u64>(first, 0x11);
        m.write<u64>(second, 0x22);
        m.cpu.flush_tlb(false);
    }

    void entry(u64 value, u64 at = table) { m.write<u64>(at, value); }

    u64 read(u64 at = page) { return m.cpu.load<u64>(Linear{at}).value(); }

    u64 found(std::string_view kind) { return m.glass.counter(kind); }

    u64 found() { return found("stale.linear") + found("stale.combined") + found("stale.guest-physical") + found("stale.paging-structure"); }

    void load_cr3(u64 value) {
        m.cpu.gpr[rax] = value;
        m.run({0x0f, 0x22, 0xd8}); // mov cr3, rax
    }

    BareMachine m{"max", CodeCache::default_host_code, true};
    std::vector<std::string> lines;
};

} // namespace

TEST_F(StaleTest, AMissingInvlpgIsToldWithThePlaceOfTheChange) {
    m.cpu.gpr[rbx] = second | p | w | a | d;
    // mov rax,[400000h]; mov [13000h],rbx; mov rax,[400000h]
    m.run({0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0, 0x48, 0x89, 0x1c, 0x25, 0, 0x30, 1, 0, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0}, 3);
    EXPECT_EQ(m.cpu.gpr[rax], 0x11u);
    EXPECT_EQ(found("stale.linear"), 1u);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("cpu stale.linear cpu=0 level=L1 vpid=0 pcid=0 eptp=0 rip=100010 access=read linear=400000 cached=300000,rwx "
                            "memory=301000,rwx entry=PTE@13000=301063 changed-by=CPU0,L1,rip=100008"),
              std::string::npos)
        << lines[0];
    // Each place is told once, and counted each time.
    m.cpu.rip = BareMachine::code_at + 0x10;
    m.run(1);
    EXPECT_EQ(found("stale.linear"), 2u);
    EXPECT_EQ(lines.size(), 1u);
}

TEST_F(StaleTest, WithInvlpgThereIsNothingToTell) {
    m.cpu.gpr[rbx] = second | p | w | a | d;
    // As above with invlpg [400000h] in it.
    m.run({0x48, 0x8b, 0x04, 0x25, 0, 0, 0x40, 0, 0x48, 0x89, 0x1c, 0x25, 0, 0x30, 1, 0, 0x0f, 0x01, 0x3c, 0x25, 0, 0, 0x40, 0, 0x48, 0x8b, 0x04,
           0x25, 0, 0, 0x40, 0},
          4);
    EXPECT_EQ(m.cpu.gpr[rax], 0x22u);
    EXPECT_EQ(found(), 0u);
    EXPECT_TRUE(lines.empty());
}

TEST_F(StaleTest, ARightThatWasTakenAwayIsFoundWhenItIsUsed) {
    ASSERT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
    entry(first | p | a | d);
    (void)read();
    EXPECT_EQ(found(), 0u); // reading is still allowed
    ASSERT_TRUE(m.cpu.store<u64>(Linear{page}, 2).ok());
    EXPECT_EQ(found("stale.linear"), 1u);
    EXPECT_NE(lines[0].find("access=write linear=400000 cached=300000,rwx memory=300000,r-x"), std::string::npos) << lines[0];
    m.cpu.rip += 2; // another place
    entry(0);
    (void)read();
    EXPECT_EQ(found("stale.linear"), 2u);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_NE(lines[1].find("memory=not-present"), std::string::npos) << lines[1];
}

TEST_F(StaleTest, AddedRightsAndFlagsAreNoFinding) {
    entry(first | p);
    (void)read();
    entry(first | p | w | u);
    (void)read();
    ASSERT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
    entry(first | p | w | u); // accessed and dirty flags go
    ASSERT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
    // The same page by another way: a table of the same contents.
    for (u64 n = 0; n < 512; ++n)
        entry(m.read<u64>(table + 8 * n), other_table + 8 * n);
    entry(other_table | p | w | u, directory + 8 * 2);
    (void)read();
    EXPECT_EQ(found(), 0u);
}

TEST_F(StaleTest, NothingGivesWayForLackOfRoom) {
    (void)read();
    for (u64 n = 0; n < 16_MiB / page_size; ++n)
        if (n * page_size < page || n * page_size >= page + 2_MiB)
            (void)read(n * page_size);
    for (u64 n = 1; n < 512; ++n)
        (void)read(page + n * page_size);
    entry(second | p | w);
    EXPECT_EQ(read(), 0x11u);
    EXPECT_EQ(found("stale.linear"), 1u);
}

TEST_F(StaleTest, LoadingCr3DropsWhatIsNotGlobal) {
    m.cpu.cr4 |= cr4::pge;
    m.cpu.mode_changed();
    entry(first | p | g, table + 8);
    (void)read();
    (void)read(page + 0x1000);
    entry(second | p | w);
    entry(second | p | g, table + 8);
    load_cr3(BareMachine::tables);
    EXPECT_EQ(read(), 0x22u);
    EXPECT_EQ(found(), 0u);
    EXPECT_EQ(read(page + 0x1000), 0x11u);
    EXPECT_EQ(found("stale.linear"), 1u);
}

TEST_F(StaleTest, PcidsKeepTheirOwn) {
    m.cpu.cr4 |= cr4::pcide;
    m.cpu.mode_changed();
    load_cr3(BareMachine::tables | 1);
    EXPECT_EQ(read(), 0x11u);
    load_cr3(BareMachine::tables | 2 | bit(63));
    entry(second | p | w);
    EXPECT_EQ(read(), 0x22u);
    EXPECT_EQ(found(), 0u);
    load_cr3(BareMachine::tables | 1 | bit(63));
    EXPECT_EQ(read(), 0x11u);
    EXPECT_EQ(found("stale.linear"), 1u);
    EXPECT_NE(lines[0].find("pcid=1"), std::string::npos) << lines[0];
    load_cr3(BareMachine::tables | 1);
    EXPECT_EQ(read(), 0x22u);
    // A PCID given to other tables without a flush.
    m.write<u64>(0x15000, m.read<u64>(BareMachine::tables));
    m.write<u64>(0x16000, 0);
    load_cr3(0x16000 | 1 | bit(63));
    (void)m.cpu.load<u64>(Linear{page});
    EXPECT_EQ(found("stale.linear"), 2u);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_NE(lines.back().find("entry=CR3=16001,was=10000"), std::string::npos) << lines.back();
}

TEST_F(StaleTest, InvpcidOfAnAddressDropsNoMore) {
    m.cpu.cr4 |= cr4::pcide | cr4::pge;
    m.cpu.mode_changed();
    load_cr3(BareMachine::tables | 1);
    entry(first | p | g, table + 16);
    for (const u64 at : {page, page + 0x1000, page + 0x2000})
        (void)read(at);
    load_cr3(BareMachine::tables | 2 | bit(63));
    for (const u64 at : {table, table + 8, table + 16})
        entry(second | p | w, at);
    m.write<u64>(0x17000, 1);
    m.write<u64>(0x17008, page);
    m.cpu.gpr[rcx] = 0;
    m.cpu.gpr[rdi] = 0x17000;
    m.run({0x66, 0x0f, 0x38, 0x82, 0x0f}); // invpcid rcx,[rdi]
    load_cr3(BareMachine::tables | 1 | bit(63));
    EXPECT_EQ(read(), 0x22u);
    EXPECT_EQ(found(), 0u);
    EXPECT_EQ(read(page + 0x1000), 0x11u);
    EXPECT_EQ(read(page + 0x2000), 0x11u);
    EXPECT_EQ(found("stale.linear"), 2u);
}

TEST_F(StaleTest, TablesOnTheWayAreKeptToo) {
    (void)read();
    entry(first | p | w | a | d, other_table);
    entry(second | p | w | a | d, other_table + 8);
    entry(other_table | p | w, directory + 8 * 2);
    EXPECT_EQ(read(page + 0x1000), 0x11u); // by the old table
    EXPECT_EQ(found("stale.paging-structure"), 1u);
    EXPECT_NE(lines[0].find("linear=401000 cached=300000,rwx memory=301000,rwx entry=PDE@12010=14003"), std::string::npos) << lines[0];
    m.cpu.invalidate_page(Linear{page + 0x1000});
    EXPECT_EQ(read(page + 0x1000), 0x22u);
    EXPECT_EQ(read(page + 0x2000), 0u) << "INVLPG drops all tables of the PCID";
    EXPECT_EQ(found(), 1u);
}

TEST_F(StaleTest, APageFaultDropsWhatItMet) {
    entry(first | p | a);
    (void)read();
    entry(second | p | w | a | d);
    ASSERT_TRUE(m.cpu.store<u64>(Linear{page}, 0x33).ok()); // not allowed by what is kept
    EXPECT_EQ(m.read<u64>(second), 0x33u);
    EXPECT_EQ(read(), 0x33u);
    EXPECT_EQ(found(), 0u);
}

TEST_F(StaleTest, AnotherOnesChangeMayBeUnderWay) {
    (void)read();
    const u64 moved = second | p | w;
    m.space->write<u64>(Physical{table}, moved, Requester::function(0x18));
    EXPECT_EQ(read(), 0x11u);
    EXPECT_EQ(read(), 0x11u);
    EXPECT_EQ(found(), 0u);
    m.cpu.invalidate_page(Linear{page});
    EXPECT_EQ(found("stale.under-way"), 2u);
    EXPECT_EQ(found(), 0u);
    // And one that never comes.
    EXPECT_EQ(read(), 0x22u);
    m.space->write<u64>(Physical{table}, first | p | w, Requester::function(0x18));
    EXPECT_EQ(read(), 0x22u);
    m.clock.advance_to(m.clock.now() + Stale::grace + 1);
    EXPECT_EQ(found(), 0u);
    EXPECT_EQ(read(), 0x22u);
    EXPECT_EQ(found("stale.linear"), 2u);
    EXPECT_NE(lines[0].find("changed-by=device-00:03.0"), std::string::npos) << lines[0];
}

TEST_F(StaleTest, UserProgramsMayHaveToWait) {
    for (const u64 at : {BareMachine::tables, BareMachine::tables + 0x1000, directory + 8 * 2})
        entry(m.read<u64>(at) | u, at);
    entry(first | p | w | u | a | d);
    m.long_mode(3);
    (void)read();
    entry(second | p | w | u);
    EXPECT_EQ(read(), 0x11u);
    EXPECT_EQ(found(), 0u);
    m.cpu.stale()->settle();
    EXPECT_EQ(found("stale.under-way"), 1u);
    EXPECT_EQ(read(), 0x11u);
    m.clock.advance_to(m.clock.now() + Stale::grace + 1);
    m.cpu.stale()->settle();
    EXPECT_EQ(found("stale.linear"), 1u);
}
