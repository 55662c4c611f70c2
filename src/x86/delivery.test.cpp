// SPDX-License-Identifier: Apache-2.0
// Tests of what exceptions, interrupts and IRET do in 64-bit mode: frames, stacks, flags, double and triple faults.
#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

struct Delivery : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;
};

constexpr u64 at = BareMachine::code_at;
using M = SystemMachine;

} // namespace

TEST_F(Delivery, AFaultPushesItsFrameOnAnAlignedStack) {
    cpu.gpr[rsp] = M::stack_top - 3;
    cpu.set_rflags(0x2 | rflags::cf | rflags::tf);
    m.run({0x0f, 0x0b}); // UD2
    ASSERT_EQ(m.vector(), 6);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 16 - 40);
    EXPECT_EQ(m.stack64(0), at);
    EXPECT_EQ(m.stack64(1), M::code64);
    EXPECT_EQ(m.stack64(2), u64{0x2 | rflags::cf | rflags::tf | rflags::rf});
    EXPECT_EQ(m.stack64(3), M::stack_top - 3);
    EXPECT_EQ(m.stack64(4), M::data);
    EXPECT_EQ(cpu.rflags(), u64{0x2 | rflags::cf});
}

TEST_F(Delivery, ErrorCodesComeLast) {
    cpu.gpr[rax] = 0x1000;
    m.run({0x8e, 0xd8}); // MOV DS, AX: beyond the GDT
    ASSERT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack64(0), 0x1000u);
    EXPECT_EQ(m.stack64(1), at);
    EXPECT_EQ(cpu.gpr[rsp], M::stack_top - 48);
}

TEST_F(Delivery, FromProgramsTheStackIsTheTasks) {
    m.enter64(3);
    m.run({0x0f, 0x0b});
    ASSERT_EQ(m.vector(), 6);
    EXPECT_EQ(cpu.cpl, 0);
    EXPECT_EQ(cpu.segments[ss].selector, 0) << "a null selector with the new privilege";
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack - 40);
    EXPECT_EQ(m.stack64(1), M::user_code64);
    EXPECT_EQ(m.stack64(3), M::user_stack);
    EXPECT_EQ(m.stack64(4), M::user_data);
}

TEST_F(Delivery, InterruptStacksAreTakenAtAnyPrivilege) {
    m.gate(6, M::code64, 0x8e, 2);
    m.run({0x0f, 0x0b});
    ASSERT_EQ(m.vector(), 6);
    EXPECT_EQ(cpu.gpr[rsp], M::interrupt_stack - 40);
}

TEST_F(Delivery, TrapGatesLeaveTheInterruptFlag) {
    m.gate(33, M::code64, 0x8f);
    for (const u8 vector : {u8{32}, u8{33}}) {
        m.enter64(0);
        cpu.set_rflags(2 | rflags::if_ | rflags::nt);
        m.run({0xcd, vector});
        ASSERT_EQ(m.vector(), vector);
        EXPECT_EQ(cpu.rflags(), vector == 33 ? u64{2 | rflags::if_} : 2u);
        EXPECT_EQ(m.stack64(0), at + 2);
    }
}

TEST_F(Delivery, ProgramsMayCallOnlyGatesOfTheirPrivilege) {
    m.gate(33, M::code64, 0xee);
    m.enter64(3);
    m.run({0xcd, 33});
    EXPECT_EQ(m.vector(), 33);
    m.enter64(3);
    m.run({0xcd, 32});
    ASSERT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack64(0), 32u * 8 + 2);
    EXPECT_EQ(m.stack64(1), at) << "a fault: RIP stays";
    m.enter64(3);
    m.run({0xcc}); // INT3 looks at the gate's privilege too
    ASSERT_EQ(m.vector(), 13);
    EXPECT_EQ(m.stack64(0), 3u * 8 + 2);
    m.enter64(3);
    m.run({0xf1}); // INT1 does not
    EXPECT_EQ(m.vector(), 1);
}

TEST_F(Delivery, AFaultInDeliveryIsADoubleFaultAndAnotherIsShutdown) {
    m.gate(13, M::code64, 0x0e); // not present
    cpu.gpr[rax] = 0x1000;
    m.run({0x8e, 0xd8});
    ASSERT_EQ(m.vector(), 8);
    EXPECT_EQ(m.stack64(0), 0u);
    EXPECT_EQ(m.stack64(1), at);
    m.enter64(0);
    m.gate(8, M::code64, 0x0e);
    cpu.gpr[rax] = 0x1000;
    EXPECT_EQ(m.run({0x8e, 0xd8}), RunEnd::stopped);
    EXPECT_EQ(cpu.stop_reason().kind, StopKind::triple_fault);
    EXPECT_NE(cpu.stop_reason().text.find("#GP"), std::string::npos);
    EXPECT_NE(cpu.stop_reason().text.find("#DF"), std::string::npos);
}

TEST_F(Delivery, ABenignExceptionMayFollow) {
    m.gate(6, M::code64, 0x0e); // #UD, whose gate is not present: #NP, no double fault
    m.run({0x0f, 0x0b});
    ASSERT_EQ(m.vector(), 11);
    EXPECT_EQ(m.stack64(0), 6u * 8 + 3) << "EXT: another exception came before";
}

namespace {

/// Puts a frame for IRETQ on the stack of privilege 0.
void frame(SystemMachine& m, u64 rip, u64 cs_, u64 flags, u64 rsp_, u64 ss_) {
    m.enter64(0);
    m.cpu.gpr[rsp] = 0x1c0000;
    const u64 values[] = {rip, cs_, flags, rsp_, ss_};
    for (unsigned n = 0; n < 5; ++n)
        m.write<u64>(0x1c0000 + 8 * n, values[n]);
}

} // namespace

TEST_F(Delivery, IretqGoesToPrograms) {
    frame(m, 0x123456, M::user_code64, rflags::if_ | rflags::zf | 0x3000, 0x654321, M::user_data);
    m.run({0x48, 0xcf});
    EXPECT_EQ(cpu.rip, 0x123456u);
    EXPECT_EQ(cpu.cpl, 3);
    EXPECT_EQ(cpu.segments[cs].selector, M::user_code64);
    EXPECT_EQ(cpu.segments[ss].selector, M::user_data);
    EXPECT_EQ(cpu.gpr[rsp], 0x654321u);
    EXPECT_EQ(cpu.rflags(), u64{2 | rflags::if_ | rflags::zf | 0x3000});
}

TEST_F(Delivery, IretqChecks) {
    const auto fails = [&](u64 error) { return m.run({0x48, 0xcf}), m.vector() == 13 && m.stack64(0) == error && m.stack64(1) == at; };
    frame(m, 0x8000'0000'0000, M::user_code64, 2, 0, M::user_data);
    EXPECT_TRUE(fails(0)) << "RIP is not canonical";
    frame(m, 0, M::user_code64, 2, 0, 0);
    EXPECT_TRUE(fails(0)) << "SS is null at privilege 3";
    frame(m, 0, 0, 2, 0, M::user_data);
    EXPECT_TRUE(fails(0)) << "CS is null";
    frame(m, 0, M::data, 2, 0, M::data);
    EXPECT_TRUE(fails(M::data)) << "CS is data";
    frame(m, 0, M::user_code64, 2, 0, M::data);
    EXPECT_TRUE(fails(M::data)) << "SS of another privilege";
    frame(m, 0x100, M::code64, 2, 0x500, 0);
    m.run({0x48, 0xcf});
    EXPECT_EQ(cpu.rip, 0x100u) << "SS may be null at privilege 0";
    EXPECT_EQ(cpu.gpr[rsp], 0x500u);
    frame(m, 0x100, M::code64, 2, 0x500, M::data);
    cpu.set_rflags(2 | rflags::nt);
    EXPECT_TRUE(fails(0)) << "nested tasks do not exist in 64-bit mode";
}

TEST_F(Delivery, IretGoesToCompatibilityMode) {
    frame(m, 0x1234, M::user_code32, 2, 0x7'0000'0010, M::user_data);
    m.run({0x48, 0xcf});
    EXPECT_EQ(cpu.rip, 0x1234u);
    EXPECT_FALSE(cpu.mode64());
    EXPECT_EQ(cpu.code_mode().bits, 32);
}

TEST_F(Delivery, IretEndsTheBlockingOfNmis) {
    m.put(at, {0x90});
    m.put(M::handler(2), {0x90, 0x90, 0x48, 0xcf});
    m.cpu.nmi();
    m.run(1);
    ASSERT_EQ(cpu.rip, M::handler(2) + 1) << "delivery is part of the handler's first instruction";
    EXPECT_TRUE(cpu.nmi_blocked);
    m.cpu.nmi();
    m.run(1);
    EXPECT_EQ(cpu.rip, M::handler(2) + 2) << "the second waits";
    m.run(1);
    EXPECT_EQ(m.vector(), 2) << "until IRET";
}

TEST_F(Delivery, ExternalInterruptsWaitForTheFlagAndTheShadow) {
    m.apic.vector = 40;
    cpu.set_interrupt(true);
    m.put(at, {0xfb, 0x90, 0x90}); // STI, NOP
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 1) << "STI blocks for one instruction";
    m.run(1);
    EXPECT_EQ(m.vector(), 40);
    EXPECT_EQ(m.stack64(0), at + 2);
    EXPECT_FALSE(cpu.flags & rflags::if_);
}
