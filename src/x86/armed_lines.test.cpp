// SPDX-License-Identifier: Apache-2.0
// MONITOR and MWAIT: what arms, what triggers, what wakes, and what it costs afterwards.
#include "x86/armed_lines.h"

#include "x86/msr.h"
#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

constexpr u64 line = BareMachine::data_at + 0x40;
constexpr u32 misc_enable_msr = 0x1a0;

/// MONITOR; MWAIT; NOPs.
struct Waiting : testing::Test {
    Waiting() {
        for (unsigned n = 0; n < 64; ++n)
            m.put(BareMachine::code_at + n, {0x90});
        m.put(BareMachine::code_at, {0x0f, 0x01, 0xc8, 0x0f, 0x01, 0xc9});
        m.cpu.gpr[rax] = line + 8;
    }

    bool waits() const { return m.cpu.activity == Activity::mwait && !m.cpu.wakes(); }

    void store(u64 at, unsigned size = 1) {
        const std::array<u8, 256> data{};
        m.space->write(Physical{at}, std::span(data).first(size), Requester::function(8));
    }

    SystemMachine m;
};

} // namespace

TEST_F(Waiting, EndsByAStoreToTheLineAndByNoOther) {
    EXPECT_EQ(m.run(10), RunEnd::idle);
    ASSERT_TRUE(waits());
    store(line - 1);
    store(line + 64);
    store(line - 0x800, 128);
    EXPECT_TRUE(waits());
    store(line + 63);
    EXPECT_FALSE(waits());
    m.run(3);
    EXPECT_EQ(m.cpu.activity, Activity::active);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 6 + 3);
}

TEST_F(Waiting, EndsByAStoreThatOnlyReachesIntoTheLine) {
    m.run(10);
    ASSERT_TRUE(waits());
    store(line - 7, 8);
    EXPECT_FALSE(waits());
}

TEST_F(Waiting, EndsByAnotherProcessorThatHadWrittenThePageBefore) {
    Cpu other({.index = 1,
               .space = *m.space,
               .clock = m.clock,
               .glass = m.glass,
               .code = m.code,
               .armed = m.armed,
               .model = m.model});
    other.connect(m.apic);
    static_cast<State&>(other) = m.cpu;
    other.mode_changed();
    ASSERT_TRUE(other.store<u64>(Linear{line}, 1).ok());
    ASSERT_TRUE(other.store<u64>(Linear{line}, 2).ok());
    ASSERT_NE(other.modify<u64>(Linear{line}), nullptr);
    unsigned told = ~0u;
    m.armed.set_woken([&](unsigned cpu) { told = cpu; });
    m.run(10);
    ASSERT_TRUE(waits());
    EXPECT_EQ(other.modify<u64>(Linear{line}), nullptr) << "the slow way from now on";
    ASSERT_TRUE(other.store<u64>(Linear{line + 0x200}, 3).ok());
    EXPECT_TRUE(waits());
    ASSERT_TRUE(other.store<u64>(Linear{line}, 3).ok());
    EXPECT_FALSE(waits());
    EXPECT_EQ(told, 0u);
}

TEST_F(Waiting, DoesNotBeginAfterAStoreOrWithoutMonitor) {
    m.run(1);
    EXPECT_TRUE(m.cpu.monitor_armed);
    EXPECT_EQ(m.cpu.monitor_address, line);
    store(line);
    EXPECT_EQ(m.run(1), RunEnd::budget);
    EXPECT_EQ(m.cpu.activity, Activity::active);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 6);
    m.cpu.rip = BareMachine::code_at + 3; // MWAIT alone
    m.run(1);
    EXPECT_EQ(m.cpu.activity, Activity::active);
}

TEST_F(Waiting, DoesNotBeginWhereTheAddressIsNotRam) {
    m.write<u64>(BareMachine::tables + 0x2000 + 8 * 5, 0xb000'0000 | 0xe7);
    m.cpu.gpr[rax] = 5 * 2_MiB;
    m.run(2);
    EXPECT_EQ(m.cpu.activity, Activity::active);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 6);
}

TEST_F(Waiting, DoesNotBeginAfterAnEvent) {
    m.run(1);
    m.cpu.nmi();
    m.put(SystemMachine::handler(2), {0x90});
    m.run(1);
    EXPECT_FALSE(m.cpu.monitor_armed);
}

TEST_F(Waiting, EndsByAnInterrupt) {
    m.cpu.set_rflags(rflags::if_ | 2);
    m.run(10);
    ASSERT_TRUE(waits());
    m.cpu.set_interrupt(true);
    EXPECT_FALSE(waits());
    m.run(1);
    EXPECT_EQ(m.cpu.rip & ~0xfull, SystemMachine::handler(0x20)) << "the handler";
    EXPECT_EQ(m.read<u64>(m.cpu.gpr[rsp]), BareMachine::code_at + 6) << "returns behind MWAIT";
    EXPECT_FALSE(m.cpu.monitor_armed);
}

TEST_F(Waiting, EndsByAMaskedInterruptOnlyWhenAskedTo) {
    m.run(10);
    ASSERT_TRUE(waits());
    m.cpu.set_interrupt(true);
    EXPECT_TRUE(waits());
    m.cpu.set_interrupt(false);
    store(line);
    m.run(1);
    m.run(1); // now with ECX[0]
    m.cpu.rip = BareMachine::code_at;
    m.run(1);
    m.cpu.gpr[rcx] = 1;
    m.run(10);
    ASSERT_TRUE(waits());
    m.cpu.set_interrupt(true);
    EXPECT_FALSE(waits());
    m.run(1);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 7) << "nothing is delivered";
    EXPECT_FALSE(m.cpu.monitor_armed);
}

TEST_F(Waiting, IsRefusedWithUnknownExtensionsAndWithoutRights) {
    const auto faults = [&](u8 vector) {
        m.run(1);
        return (m.cpu.rip & ~0xfull) == SystemMachine::handler(vector);
    };
    m.cpu.gpr[rcx] = 1; // MONITOR has none
    EXPECT_TRUE(faults(13));
    m.enter64(0);
    m.cpu.rip = BareMachine::code_at + 3;
    m.cpu.gpr[rcx] = 2;
    EXPECT_TRUE(faults(13));
    m.enter64(0);
    m.cpu.rip = BareMachine::code_at + 3;
    m.cpu.gpr[rcx] = u64{1} << 32;
    EXPECT_TRUE(faults(13));
    m.enter64(3);
    m.cpu.rip = BareMachine::code_at;
    m.cpu.gpr[rcx] = 0;
    EXPECT_TRUE(faults(6));
    m.enter64(0);
    m.cpu.rip = BareMachine::code_at;
    m.cpu.gpr[rax] = 0x4000'0000;
    EXPECT_TRUE(faults(14));
    EXPECT_EQ(m.cpu.cr2, 0x4000'0000u);
}

TEST_F(Waiting, IsUndefinedWhereMiscEnableTurnsItOff) {
    const u64 before = read_msr(m.cpu, misc_enable_msr).value();
    EXPECT_TRUE(before & bit(18));
    ASSERT_TRUE(write_msr(m.cpu, misc_enable_msr, before & ~bit(18)).ok());
    m.run(1);
    EXPECT_EQ(m.cpu.rip & ~0xfull, SystemMachine::handler(6));
    SystemMachine without("icelake-server,-monitor");
    EXPECT_FALSE(read_msr(without.cpu, misc_enable_msr).value() & bit(18));
    EXPECT_FALSE(write_msr(without.cpu, misc_enable_msr, before).ok());
    without.run({0x0f, 0x01, 0xc9}, 1);
    EXPECT_EQ(without.cpu.rip & ~0xfull, SystemMachine::handler(6));
}

TEST_F(Waiting, LeavesThePageAsItWasAfterAWhile) {
    const Physical page{BareMachine::data_at};
    store(line);
    ASSERT_TRUE(m.space->direct_write(page));
    m.run(10);
    ASSERT_TRUE(waits());
    for (unsigned n = 0; n < 1000; ++n)
        store(line + 0x100);
    EXPECT_FALSE(m.space->direct_write(page)) << "as long as somebody waits";
    store(line);
    for (unsigned n = 0; n < 1000; ++n)
        store(line);
    EXPECT_TRUE(m.space->direct_write(page));
}

TEST_F(Waiting, GoesOnAfterARestore) {
    m.run(10);
    m.armed.forget();
    store(line); // memory is loaded
    EXPECT_TRUE(waits());
    m.armed.rearm();
    EXPECT_TRUE(waits());
    store(line);
    EXPECT_FALSE(waits());
}

TEST(IdleStates, HaveTheRegistersThatDriversWriteFirst) {
    constexpr u32 pkg_cst_config = 0xe2, power_ctl = 0x1fc;
    SystemMachine m;
    EXPECT_EQ(read_msr(m.cpu, pkg_cst_config).value() & 7, 0u) << "no idle state of the package";
    EXPECT_TRUE(write_msr(m.cpu, power_ctl, 2).ok());
    EXPECT_EQ(read_msr(m.cpu, power_ctl).value(), 2u);
    EXPECT_FALSE(write_msr(m.cpu, power_ctl, bit(40)).ok());
    EXPECT_TRUE(write_msr(m.cpu, pkg_cst_config, bit(26) | bit(15)).ok());
    EXPECT_FALSE(write_msr(m.cpu, pkg_cst_config, bit(15) | 1).ok()) << "locked";
    EXPECT_TRUE(write_msr(m.cpu, pkg_cst_config, bit(25) | bit(15)).ok());
    SystemMachine without("icelake-server,-monitor");
    EXPECT_FALSE(read_msr(without.cpu, power_ctl).ok());
}
