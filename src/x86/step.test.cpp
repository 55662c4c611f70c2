// SPDX-License-Identifier: Apache-2.0
// Tests of single steps, breakpoints and the shadows that delay them; and of alignment checks.
#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

using M = SystemMachine;

struct Step : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;

    void trap_flag() {
        cpu.set_rflags(2 | rflags::tf);
        cpu.events_changed();
    }

    void breakpoint(unsigned n, u64 address, unsigned kind, unsigned length_code = 0) {
        cpu.dr[n] = address;
        cpu.dr7 |= bit(2 * n) | u64{kind} << (16 + 4 * n) | u64{length_code} << (18 + 4 * n);
        cpu.flush_tlb(false);
        cpu.events_changed();
    }
};

constexpr u64 at = BareMachine::code_at;

} // namespace

TEST_F(Step, TrapsComeAfterTheInstruction) {
    trap_flag();
    m.run({0x90, 0x90});
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at + 1);
    EXPECT_TRUE(cpu.dr6 & dr6::bs);
    EXPECT_EQ(m.stack64(2), u64{2 | rflags::tf}) << "RF is not set by a trap";
}

TEST_F(Step, AFaultingInstructionIsNotStepped) {
    trap_flag();
    m.run({0x0f, 0x0b});
    EXPECT_EQ(m.vector(), 6);
    EXPECT_FALSE(cpu.dr6 & dr6::bs);
}

TEST_F(Step, PopfSetsTheFlagForTheNextOne) {
    cpu.gpr[rsp] -= 8;
    m.write<u64>(cpu.gpr[rsp], 2 | rflags::tf);
    m.put(at, {0x9d, 0x90, 0x90});
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 1);
    m.run(1);
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at + 2);
}

TEST_F(Step, MovSsDelaysTheTrap) {
    trap_flag();
    cpu.gpr[rax] = M::data;
    m.put(at, {0x8e, 0xd0, 0x90, 0x90}); // MOV SS, AX; NOP
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 2);
    m.run(1);
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at + 3) << "after the instruction behind it";
}

TEST_F(Step, CodeBreakpointsComeBeforeAndResumeFlagHoldsThemOff) {
    breakpoint(1, at + 1, 0);
    m.put(at, {0x90, 0x90, 0x90});
    m.run(1);
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at + 1);
    EXPECT_TRUE(cpu.dr6 & bit(1));
    EXPECT_FALSE(m.stack64(2) & rflags::rf) << "alone among faults: the handler decides";
    m.write<u64>(cpu.gpr[rsp] + 16, m.stack64(2) | rflags::rf);
    m.put(M::handler(1), {0x48, 0xcf});
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 1);
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 2);
    EXPECT_FALSE(cpu.flags & rflags::rf);
}

TEST_F(Step, DataBreakpointsComeAfterTheAccess) {
    breakpoint(0, M::data_at + 4, 1, 3); // writes, four bytes
    cpu.gpr[rbx] = M::data_at;
    m.put(at, {0x8b, 0x43, 0x04,    // MOV EAX, [RBX + 4]: reads do not count
               0x88, 0x43, 0x03,    // MOV [RBX + 3], AL: beside it
               0x66, 0x89, 0x43, 0x03}); // MOV [RBX + 3], AX: reaches in
    m.run(2);
    EXPECT_EQ(cpu.rip, at + 6);
    m.run(1);
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at + 10);
    EXPECT_EQ(cpu.dr6 & 15, 1u);
}

TEST_F(Step, DebugRegistersMayBeGuarded) {
    cpu.dr7 |= dr7::gd;
    m.run({0x0f, 0x21, 0xf8}); // MOV RAX, DR7
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at) << "a fault";
    EXPECT_TRUE(cpu.dr6 & dr6::bd);
    EXPECT_FALSE(cpu.dr7 & dr7::gd) << "the handler may";
}

TEST_F(Step, RepeatedInstructionsTrapAfterEachIteration) {
    trap_flag();
    cpu.gpr[rcx] = 3;
    cpu.gpr[rdi] = M::data_at;
    m.run({0xf3, 0xaa});
    ASSERT_EQ(m.vector(), 1);
    EXPECT_EQ(m.stack64(0), at) << "not done: it goes on where it was";
    EXPECT_EQ(cpu.gpr[rcx], 2u);
}

TEST_F(Step, AlignmentIsCheckedForProgramsThatAskForIt) {
    m.enter64(3);
    cpu.cr0 |= cr0::am;
    cpu.set_rflags(2 | rflags::ac);
    cpu.mode_changed();
    cpu.gpr[rbx] = M::data_at + 1;
    m.run({0x8b, 0x03}); // MOV EAX, [RBX]
    ASSERT_EQ(m.vector(), 17);
    EXPECT_EQ(m.stack64(0), 0u);
    m.enter64(3);
    cpu.cr0 |= cr0::am;
    cpu.mode_changed();
    m.run({0x8b, 0x03});
    EXPECT_EQ(cpu.rip, at + 2) << "without RFLAGS.AC";
    m.enter64(0);
    cpu.cr0 |= cr0::am;
    cpu.set_rflags(2 | rflags::ac);
    cpu.mode_changed();
    m.run({0x8b, 0x03});
    EXPECT_EQ(cpu.rip, at + 2) << "and for the system";
}
