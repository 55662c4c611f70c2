// SPDX-License-Identifier: Apache-2.0
// Tests of what 64-bit mode does not have, or has in another width, and which the host oracle therefore cannot see: stack instructions
// and near branches of 16- and 32-bit code, BCD arithmetic as instructions, BOUND, ARPL, pointer loads.
#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

using M = SystemMachine;

constexpr u64 at = BareMachine::code_at;

struct Legacy : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;

    void start(u8 cpl = 0) {
        m.enter32(cpl);
        for (const Gpr r : {rax, rcx, rdx, rbx, rbp, rsi, rdi})
            cpu.gpr[r] = 0x1111'1111u * (r + 1u);
    }

    /// Runs one instruction of 32-bit code.
    void one(std::initializer_list<u8> bytes) { m.run(bytes); }
};

} // namespace

TEST_F(Legacy, PushaAndPopa) {
    start();
    one({0x60}); // PUSHAD
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 32);
    const Gpr order[] = {rdi, rsi, rbp, rsp, rbx, rdx, rcx, rax};
    for (unsigned n = 0; n < 8; ++n)
        EXPECT_EQ(m.stack32(n), order[n] == rsp ? M::stack_top : 0x1111'1111u * (order[n] + 1u)) << n;
    for (unsigned n = 0; n < 8; ++n)
        m.write<u32>(cpu.gpr[rsp] + 4 * n, 0x100 + n);
    one({0x61}); // POPAD
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top) << "the image of ESP is not loaded";
    EXPECT_EQ(cpu.gpr[rdi], 0x100u);
    EXPECT_EQ(cpu.gpr[rax], 0x107u);
    start();
    one({0x66, 0x60}); // PUSHA
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 16);
    EXPECT_EQ(m.stack16(7), 0x1111);
    m.write<u16>(cpu.gpr[rsp] + 14, 0xbeef);
    one({0x66, 0x61});
    EXPECT_EQ(cpu.gpr[rax], 0x1111'beefu) << "upper halves stay";
}

TEST_F(Legacy, PushAndPopInBothWidths) {
    start();
    one({0x6a, 0xff}); // PUSH -1
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 4);
    EXPECT_EQ(m.stack32(0), 0xffff'ffffu);
    one({0x66, 0x68, 0x34, 0x12}); // PUSH word
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 6);
    EXPECT_EQ(m.stack16(0), 0x1234);
    one({0x66, 0x58}); // POP AX
    EXPECT_EQ(cpu.gpr[rax], 0x1111'1234u);
    one({0x54}); // PUSH ESP: the value before
    EXPECT_EQ(m.stack32(0), M::stack_top - 4);
    one({0x5c}); // POP ESP
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 4);
    m.write<u32>(M::stack_top - 4, 0x55667788);
    one({0x8f, 0x44, 0x24, 0x08}); // POP [ESP + 8]: ESP after the increment counts
    EXPECT_EQ(m.read<u32>(M::stack_top + 8), 0x55667788u);
    start();
    one({0x0e}); // PUSH CS
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 4);
    EXPECT_EQ(m.stack16(0), M::code32);
}

TEST_F(Legacy, EnterBuildsNestedFrames) {
    start();
    cpu.gpr[rbp] = 0x1a0000;
    m.write<u32>(0x1a0000 - 4, 0xaaaa);
    m.write<u32>(0x1a0000 - 8, 0xbbbb);
    one({0xc8, 0x10, 0x00, 0x03}); // ENTER 16, 3
    const u32 frame = M::stack_top - 4;
    EXPECT_EQ(cpu.gpr[rbp], frame);
    EXPECT_EQ(cpu.gpr[rsp], frame - 12 - 16);
    EXPECT_EQ(m.read<u32>(frame), 0x1a0000u);
    EXPECT_EQ(m.read<u32>(frame - 4), 0xaaaau);
    EXPECT_EQ(m.read<u32>(frame - 8), 0xbbbbu);
    EXPECT_EQ(m.read<u32>(frame - 12), frame);
    one({0xc9}); // LEAVE
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top);
    EXPECT_EQ(cpu.gpr[rbp], 0x1a0000u);
}

TEST_F(Legacy, NearBranchesWrapAtTheirWidth) {
    start();
    one({0xe8, 0x10, 0, 0, 0}); // CALL
    EXPECT_EQ(cpu.rip, at + 5 + 0x10);
    EXPECT_EQ(m.stack32(0), at + 5);
    start();
    one({0x66, 0xe8, 0x10, 0x00}); // CALL rel16: IP is cut to 16 bits
    EXPECT_EQ(cpu.rip, (at + 4 + 0x10) & 0xffff);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 2);
    EXPECT_EQ(m.stack16(0), (at + 4) & 0xffff);
    start();
    m.write<u32>(cpu.gpr[rsp], 0x123456);
    one({0xc2, 0x08, 0x00}); // RET 8
    EXPECT_EQ(cpu.rip, 0x123456u);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top + 12);
    start();
    cpu.gpr[rcx] = 0xffff'0000;
    one({0x67, 0xe3, 0x10}); // JCXZ
    EXPECT_EQ(cpu.rip, at + 3 + 0x10);
    start();
    cpu.gpr[rcx] = 0xffff'0000;
    one({0xe3, 0x10}); // JECXZ
    EXPECT_EQ(cpu.rip, at + 2);
    start();
    cpu.gpr[rcx] = 0xffff'0001;
    one({0x67, 0xe2, 0xf0}); // LOOP with CX
    EXPECT_EQ(cpu.rip, at + 3);
    EXPECT_EQ(cpu.gpr[rcx], 0xffff'0000u);
}

TEST_F(Legacy, BranchesBeyondTheLimitFault) {
    start();
    cpu.segments[cs].limit = static_cast<u32>(at + 0x100);
    one({0xe9, 0x00, 0x10, 0, 0}); // JMP
    ASSERT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack32(1), at) << "of the branch, not of its target";
}

TEST_F(Legacy, PopfDependsOnPrivilege) {
    start(3);
    m.write<u32>(cpu.gpr[rsp], 0x3ed7 | rflags::ac | rflags::id); // IOPL 3, IF and everything
    one({0x9d});
    EXPECT_EQ(cpu.rflags(), u64{0x0cd7 | rflags::ac | rflags::id} & ~u64{rflags::if_}) << "neither IOPL nor IF at privilege 3";
    start(0);
    m.write<u32>(cpu.gpr[rsp], static_cast<u32>(0x3202 | rflags::rf | rflags::vm));
    one({0x9d});
    EXPECT_EQ(cpu.rflags(), 0x3202u) << "never RF or VM";
    start(0);
    cpu.set_rflags(0x3ed7 & ~rflags::tf);
    one({0x9c}); // PUSHFD
    EXPECT_EQ(m.stack32(0), 0x3ed7 & ~rflags::tf);
}

TEST_F(Legacy, DecimalInstructions) {
    const auto run = [&](std::initializer_list<u8> bytes, u16 ax, u64 flags) {
        start();
        cpu.gpr[rax] = ax;
        cpu.set_rflags(2 | flags);
        one(bytes);
        return cpu.gpr[rax];
    };
    EXPECT_EQ(run({0x27}, 0x009a, 0), 0x0000u); // DAA
    EXPECT_TRUE(cpu.rflags() & rflags::cf);
    EXPECT_EQ(run({0x2f}, 0x0043, rflags::af), 0x003du); // DAS
    EXPECT_EQ(run({0x37}, 0x010b, 0), 0x0201u);          // AAA
    EXPECT_TRUE(cpu.rflags() & rflags::cf);
    EXPECT_EQ(run({0x3f}, 0x020c, 0), 0x0106u); // AAS
    EXPECT_EQ(run({0xd4, 0x0a}, 0x0063, 0), 0x0909u); // AAM
    EXPECT_EQ(run({0xd5, 0x0a}, 0x0909, 0), 0x0063u); // AAD
    run({0xd4, 0x00}, 0x1234, 0);
    EXPECT_EQ(m.vector(), 0) << "AAM 0";
    EXPECT_EQ(run({0xd6}, 0x0012, rflags::cf), 0x00ffu); // SALC
    EXPECT_EQ(run({0xd6}, 0x0012, 0), 0x0000u);
}

TEST_F(Legacy, BoundArplAndPointers) {
    start();
    m.write<u32>(M::data_at, 10);
    m.write<u32>(M::data_at + 4, 20);
    for (const u32 index : {9u, 10u, 20u, 21u}) {
        start();
        cpu.gpr[rbx] = M::data_at;
        cpu.gpr[rax] = index;
        one({0x62, 0x03}); // BOUND EAX, [EBX]
        EXPECT_EQ(m.vector(), index < 10 || index > 20 ? 5 : -1) << index;
    }
    start();
    cpu.gpr[rax] = 0x10;
    cpu.gpr[rcx] = 0x0b;
    one({0x63, 0xc8}); // ARPL AX, CX
    EXPECT_EQ(cpu.gpr[rax], 0x13u);
    EXPECT_TRUE(cpu.rflags() & rflags::zf);
    one({0x63, 0xc8});
    EXPECT_FALSE(cpu.rflags() & rflags::zf);
    start();
    m.write<u32>(M::data_at, 0x87654321);
    m.write<u16>(M::data_at + 4, M::data16);
    cpu.gpr[rbx] = M::data_at;
    one({0xc4, 0x03}); // LES EAX, [EBX]
    EXPECT_EQ(cpu.gpr[rax], 0x87654321u);
    EXPECT_EQ(cpu.segments[es].selector, M::data16);
    start();
    cpu.set_rflags(2 | rflags::of);
    one({0xce}); // INTO
    EXPECT_EQ(m.vector(), 4);
    EXPECT_EQ(m.stack32(0), at + 1);
}

TEST_F(Legacy, SixteenBitStacksWrapAround) {
    m.enter_real();
    cpu.gpr[rsp] = 0xabcd'0002;
    cpu.gpr[rax] = 0x1234;
    m.put(0x10100, {0x50, 0x50});
    cpu.rip = 0x100;
    m.run(1);
    EXPECT_EQ(cpu.gpr[rsp], 0xabcd'0000u) << "only SP moves";
    m.run(1);
    EXPECT_EQ(cpu.gpr[rsp], 0xabcd'fffeu);
    EXPECT_EQ(m.read<u16>(0x1fffe), 0x1234);
}
