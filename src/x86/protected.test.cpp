// SPDX-License-Identifier: Apache-2.0
// Tests of 32-bit protected mode, virtual-8086 mode and real mode: interrupts, privilege changes, task switches, limits.
#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

using M = SystemMachine;

struct Protected : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;
};

constexpr u64 at = BareMachine::code_at, target = 0x140000;

} // namespace

TEST_F(Protected, InterruptsFromProgramsSwitchStacks) {
    m.gate32(33, M::code32, 0xee);
    m.enter32(3);
    m.run({0xcd, 33});
    ASSERT_EQ(m.vector(), 33);
    EXPECT_EQ(cpu.cpl, 0);
    EXPECT_EQ(cpu.segments[ss].selector, M::data);
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack - 20);
    EXPECT_EQ(m.stack32(0), at + 2);
    EXPECT_EQ(m.stack32(1), M::user_code32);
    EXPECT_EQ(m.stack32(3), M::user_stack);
    EXPECT_EQ(m.stack32(4), M::user_data);
    m.put(M::handler(33), {0xcf}); // IRETD
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 2);
    EXPECT_EQ(cpu.cpl, 3);
    EXPECT_EQ(cpu.gpr[rsp], M::user_stack);
}

TEST_F(Protected, InterruptsAtTheSamePrivilegeKeepTheStack) {
    m.enter32(0);
    m.run({0x0f, 0x0b});
    ASSERT_EQ(m.vector(), 6);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 12);
    EXPECT_EQ(m.stack32(0), at);
}

TEST_F(Protected, SixteenBitGatesPushWords) {
    m.gate32(33, M::code32, 0x86);
    m.write<u64>(M::idt32_at + 8 * 33, 0x1230 | u64{M::code32} << 16 | 0x86ull << 40);
    m.enter32(0);
    m.run({0xcd, 33});
    EXPECT_EQ(cpu.rip, 0x1230u);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 6);
    EXPECT_EQ(m.stack16(0), (at + 2) & 0xffff);
}

TEST_F(Protected, CallGatesCopyParameters) {
    constexpr u16 gate = M::first_free;
    m.call_gate(gate, M::code32, target, 0xec, 2);
    m.enter32(3);
    m.write<u32>(M::user_stack, 0x11111111);
    m.write<u32>(M::user_stack + 4, 0x22222222);
    m.run({0x9a, 0, 0, 0, 0, gate | 3, 0});
    ASSERT_EQ(cpu.rip, target) << m.vector();
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack - 24);
    EXPECT_EQ(m.stack32(0), at + 7);
    EXPECT_EQ(m.stack32(1), M::user_code32);
    EXPECT_EQ(m.stack32(2), 0x11111111u);
    EXPECT_EQ(m.stack32(3), 0x22222222u);
    EXPECT_EQ(m.stack32(4), M::user_stack);
    m.put(target, {0xca, 8, 0}); // RETF 8
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 7);
    EXPECT_EQ(cpu.gpr[rsp], M::user_stack + 8);
    EXPECT_EQ(cpu.cpl, 3);
}

TEST_F(Protected, LimitsAreChecked) {
    constexpr u16 s = M::first_free;
    m.set(s, M::descriptor(M::data_at, 0x0f, 0x4093));
    m.enter32(0);
    cpu.gpr[rax] = s;
    const auto reads = [&](u32 offset) {
        m.run({0x8e, 0xd8}); // MOV DS, AX
        cpu.gpr[rbx] = offset;
        m.run({0x8b, 0x0b}); // MOV ECX, [EBX]
        const int v = m.vector();
        m.enter32(0);
        cpu.gpr[rax] = s;
        return v;
    };
    EXPECT_EQ(reads(12), -1);
    EXPECT_EQ(reads(13), 13);
    EXPECT_EQ(reads(0xffff'fffd), 13) << "around the end";
    m.set(s, M::descriptor(M::data_at, 0x0f, 0x4097)); // expand-down: what lies above
    EXPECT_EQ(reads(12), 13);
    EXPECT_EQ(reads(16), -1);
}

TEST_F(Protected, VirtualModeAndBack) {
    m.enter32(0);
    cpu.gpr[rsp] = 0x1c0000;
    const u32 frame[] = {0x0010, 0x1000, static_cast<u32>(2 | rflags::vm | rflags::iopl), 0x8000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000};
    for (unsigned n = 0; n < 9; ++n)
        m.write<u32>(0x1c0000 + 4 * n, frame[n]);
    m.put(0x10010, {0x0f, 0x0b});
    m.run({0xcf});
    ASSERT_EQ(cpu.rip, 0x10u) << m.vector();
    EXPECT_TRUE(cpu.v86());
    EXPECT_EQ(cpu.cpl, 3);
    EXPECT_EQ(cpu.segments[cs].base, 0x10000u);
    EXPECT_EQ(cpu.segments[es].selector, 0x3000);
    EXPECT_EQ(cpu.segments[gs].base, 0x60000u);
    EXPECT_EQ(cpu.code_mode().bits, 16);
    m.run(1); // UD2
    ASSERT_EQ(m.vector(), 6);
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack - 36);
    EXPECT_EQ(m.stack32(0), 0x10u);
    EXPECT_EQ(m.stack32(1), 0x1000u);
    EXPECT_TRUE(m.stack32(2) & rflags::vm);
    EXPECT_EQ(m.stack32(5), 0x3000u) << "ES";
    EXPECT_EQ(m.stack32(8), 0x6000u) << "GS";
    EXPECT_FALSE(cpu.segments[ds].usable()) << "data segments become null";
    EXPECT_FALSE(cpu.flags & rflags::vm);
}

TEST_F(Protected, VirtualModeWithoutPrivilegeAsksTheMonitor) {
    m.enter32(0);
    cpu.gpr[rsp] = 0x1c0000;
    const u32 frame[] = {0x0010, 0x1000, static_cast<u32>(2 | rflags::vm), 0x8000, 0x2000, 0, 0, 0, 0};
    for (unsigned n = 0; n < 9; ++n)
        m.write<u32>(0x1c0000 + 4 * n, frame[n]);
    m.put(0x10010, {0xfa}); // CLI with IOPL 0
    m.run({0xcf});
    m.run(1);
    EXPECT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack32(0), 0u);
}

namespace {

/// A second task whose TSS lies at 25000h, selector 60h.
struct Tasks : Protected {
    static constexpr u16 other = M::first_free;
    static constexpr u64 other_at = 0x25000;

    Tasks() {
        m.set(other, M::descriptor(other_at, 0x67, 0x0089));
        m.set(M::tss32, M::descriptor(M::tss32_at, 0x67, 0x008b));
        m.write<u32>(other_at + 32, static_cast<u32>(target)); // EIP
        m.write<u32>(other_at + 36, 2 | rflags::cf);           // EFLAGS
        m.write<u32>(other_at + 40, 0xaaaa0001);               // EAX
        m.write<u32>(other_at + 56, 0x1b0000);                 // ESP
        m.write<u32>(other_at + 72, M::data);                  // ES
        m.write<u32>(other_at + 76, M::code32);
        m.write<u32>(other_at + 80, M::data);
        m.write<u32>(other_at + 84, M::data);
        m.enter32(0);
        cpu.gpr[rax] = 0x12345678;
    }

    bool busy(u16 selector) { return m.get(selector) >> 41 & 1; }
};

} // namespace

TEST_F(Tasks, AJumpLeavesTheOldTaskFree) {
    m.run({0xea, 0, 0, 0, 0, other, 0});
    ASSERT_EQ(cpu.rip, target) << m.vector();
    EXPECT_EQ(cpu.gpr[rax], 0xaaaa0001u);
    EXPECT_EQ(cpu.gpr[rsp], 0x1b0000u);
    EXPECT_EQ(cpu.rflags(), u64{2 | rflags::cf});
    EXPECT_EQ(cpu.segments[tr].selector, other);
    EXPECT_TRUE(cpu.cr0 & cr0::ts);
    EXPECT_TRUE(busy(other));
    EXPECT_FALSE(busy(M::tss32));
    EXPECT_EQ(m.read<u32>(M::tss32_at + 32), at + 7) << "EIP is saved";
    EXPECT_EQ(m.read<u32>(M::tss32_at + 40), 0x12345678u);
    EXPECT_FALSE(cpu.dr6 & dr6::bt);
}

TEST_F(Tasks, ACallNestsAndIretReturns) {
    m.run({0x9a, 0, 0, 0, 0, other, 0});
    ASSERT_EQ(cpu.rip, target) << m.vector();
    EXPECT_TRUE(cpu.flags & rflags::nt);
    EXPECT_EQ(m.read<u16>(other_at), M::tss32) << "the link back";
    EXPECT_TRUE(busy(M::tss32));
    m.put(target, {0xcf});
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 7);
    EXPECT_EQ(cpu.gpr[rax], 0x12345678u);
    EXPECT_FALSE(busy(other));
    EXPECT_TRUE(busy(M::tss32));
    EXPECT_FALSE(m.read<u32>(other_at + 36) & rflags::nt) << "NT is cleared in the task that is left";
}

TEST_F(Tasks, ABusyTaskCannotBeEntered) {
    m.set(other, M::descriptor(other_at, 0x67, 0x008b));
    m.run({0xea, 0, 0, 0, 0, other, 0});
    ASSERT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack32(0), other);
    m.set(other, M::descriptor(other_at, 0x66, 0x0089));
    m.enter32(0);
    m.run({0xea, 0, 0, 0, 0, other, 0});
    ASSERT_EQ(m.vector(), 10) << "the limit is too small";
    EXPECT_EQ(m.stack32(0), other);
}

TEST_F(Tasks, ExceptionsMayHaveTasks) {
    m.write<u64>(M::idt32_at + 8 * 13, u64{other} << 16 | 0x85ull << 40);
    cpu.gpr[rax] = 0x1000;
    m.run({0x8e, 0xd8});
    ASSERT_EQ(cpu.rip, target);
    EXPECT_EQ(cpu.segments[tr].selector, other);
    EXPECT_EQ(cpu.gpr[rsp], 0x1b0000u - 4);
    EXPECT_EQ(m.stack32(0), 0x1000u) << "the error code is on the new stack";
    EXPECT_EQ(m.read<u32>(M::tss32_at + 32), at) << "a fault: the old task will try again";
    EXPECT_TRUE(cpu.flags & rflags::nt);
}

TEST_F(Protected, RealModeInterruptsAndReturns) {
    m.enter_real();
    m.write<u32>(4 * 0x21, 0x2000'0123);
    cpu.set_rflags(2 | rflags::if_ | rflags::zf);
    m.put(0x10000, {0xcd, 0x21});
    m.run(1);
    EXPECT_EQ(cpu.rip, 0x123u);
    EXPECT_EQ(cpu.segments[cs].base, 0x20000u);
    EXPECT_EQ(cpu.gpr[rsp], 0x8000u - 6);
    EXPECT_EQ(m.stack16(0), 2);
    EXPECT_EQ(m.stack16(1), 0x1000);
    EXPECT_EQ(m.stack16(2), 2 | rflags::if_ | rflags::zf);
    EXPECT_FALSE(cpu.flags & rflags::if_);
    m.put(0x20123, {0xcf});
    m.run(1);
    EXPECT_EQ(cpu.rip, 2u);
    EXPECT_EQ(cpu.segments[cs].selector, 0x1000);
    EXPECT_TRUE(cpu.flags & rflags::if_);
}

TEST_F(Protected, RealModeSegmentsEndAt64K) {
    m.enter_real();
    m.write<u32>(4 * 13, 0x2000'0000);
    m.write<u32>(4 * 12, 0x2100'0000);
    cpu.gpr[rbx] = 0xffff;
    m.put(0x10000, {0x8b, 0x07}); // MOV AX, [BX]
    m.run(1);
    EXPECT_EQ(cpu.segments[cs].base, 0x20000u) << "#GP";
    EXPECT_EQ(m.stack16(0), 0) << "no error code in real mode";
    m.enter_real();
    cpu.gpr[rbp] = 0xffff;
    m.put(0x10000, {0x8b, 0x46, 0x00}); // MOV AX, [BP]
    m.run(1);
    EXPECT_EQ(cpu.segments[cs].base, 0x21000u) << "#SS";
    m.enter_real();
    cpu.gpr[rbx] = 0xfffe;
    m.put(0x10000, {0x8b, 0x47, 0x04}); // MOV AX, [BX + 4]: 16-bit addresses wrap around
    m.write<u16>(0x10002, 0xbeef);
    m.put(0x10000, {0x8b, 0x47, 0x08}); // ... to offset 6
    m.write<u16>(0x10006, 0xbeef);
    m.run(1);
    EXPECT_EQ(cpu.gpr[rax] & 0xffff, 0xbeefu);
}
