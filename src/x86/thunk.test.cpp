// SPDX-License-Identifier: Apache-2.0
// Tests of host code: that its memory may fill up, that masked faults become the guest's, and that what is missing stops the machine.
#include "x86/thunk.h"

#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

TEST(Thunks, AGuestThatNeedsMoreThanThereIsRoomForRunsOn) {
    constexpr u64 small = 256 << 10;
    BareMachine m("", small);
    constexpr unsigned count = 16384; // PSHUFD xmm, xmm, imm8: 64 pairs of registers, 256 orders
    for (unsigned n = 0; n < count; ++n) {
        const u64 at = BareMachine::code_at + 16 * n;
        const unsigned to = n & 7, from = n >> 3 & 7, order = n >> 6;
        m.put(at, {0x66, 0x0f, 0x70, static_cast<u8>(0xc0 | to << 3 | from), static_cast<u8>(order)});
        for (unsigned k = 0; k < 4; ++k) {
            const u32 value = 0x1000 * k + n;
            std::memcpy(m.cpu.fpu.zmm[from].data() + 4 * k, &value, 4);
        }
        m.cpu.rip = at;
        m.run(1);
        for (unsigned k = 0; k < 4; ++k) {
            u32 value;
            std::memcpy(&value, m.cpu.fpu.zmm[to].data() + 4 * k, 4);
            ASSERT_EQ(value, 0x1000 * (order >> 2 * k & 3) + n) << n;
        }
    }
    EXPECT_EQ(m.code.built(), count);
    EXPECT_LT(m.code.blocks(), count / 2) << "it was full, and emptied";
}

TEST(Thunks, UnmaskedSimdExceptionsChangeNothingButMxcsr) {
    SystemMachine m("");
    m.cpu.fpu.mxcsr = 0x1f80 & ~0x200u; // division by zero
    m.cpu.fpu.zmm[0].fill(0);
    m.cpu.fpu.zmm[1].fill(0);
    m.cpu.fpu.zmm[0][3] = 0x3f; // 0.5
    const auto before = m.cpu.fpu.zmm[0];
    m.run({0x0f, 0x5e, 0xc1}); // DIVPS XMM0, XMM1
    EXPECT_EQ(m.vector(), 19);
    EXPECT_EQ(m.cpu.fpu.zmm[0], before);
    EXPECT_TRUE(m.cpu.fpu.mxcsr & 4);
    m.enter64(0);
    m.cpu.cr4 &= ~cr4::osxmmexcpt;
    m.run({0x0f, 0x5e, 0xc1});
    EXPECT_EQ(m.vector(), 6) << "without OSXMMEXCPT";
}

TEST(Thunks, WhatIsNotImplementedStopsTheMachineAndSaysWhere) {
    BareMachine m("");
    m.put(BareMachine::code_at, {0x0f, 0x58, 0xc1}); // ADDPS XMM0, XMM1
    m.cpu.rip = BareMachine::code_at;
    Instruction insn;
    insn.length = 3;
    m.cpu.gpr[block_register] = m.cpu.rip;
    EXPECT_EQ(m.cpu.unimplemented(insn, "instruction"), Outcome::stop);
    EXPECT_EQ(m.cpu.stop_reason().kind, StopKind::unimplemented);
    const std::string& text = m.cpu.stop_reason().text;
    EXPECT_NE(text.find("addps xmm0, xmm1"), std::string::npos) << text;
    EXPECT_NE(text.find("0f 58 c1"), std::string::npos) << text;
    EXPECT_NE(text.find("100000"), std::string::npos) << text;
}
