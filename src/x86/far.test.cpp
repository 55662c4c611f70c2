// SPDX-License-Identifier: Apache-2.0
// Tests of segment loads and of the ways from one privilege to another in 64-bit mode: far jumps, calls through gates, SYSCALL, SYSENTER.
#include "x86/far.h"

#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

using M = SystemMachine;

struct Far : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;

    /// MOV segment, AX at privilege `cpl`; the vector, or -1.
    int load(SegmentName segment, u16 selector, u8 cpl = 0) {
        static constexpr u8 reg[] = {0, 1, 2, 3, 4, 5};
        m.enter64(cpl);
        cpu.gpr[rax] = selector;
        m.run({0x8e, static_cast<u8>(0xc0 | reg[segment] << 3)});
        return m.vector();
    }

    u64 error() { return m.stack64(0); }
};

constexpr u64 at = BareMachine::code_at, target = 0x140000;

} // namespace

TEST_F(Far, DataSegmentsCheckPrivilegeTypeAndPresence) {
    constexpr u16 s = M::first_free;
    EXPECT_EQ(load(ds, M::data), -1);
    EXPECT_EQ(cpu.segments[ds].selector, M::data);
    EXPECT_EQ(load(ds, 3), -1) << "null, whatever its RPL";
    EXPECT_FALSE(cpu.segments[ds].usable());
    EXPECT_EQ(load(ds, M::data | 3, 3), 13) << "DPL below CPL and RPL";
    EXPECT_EQ(error(), M::data);
    EXPECT_EQ(load(ds, M::user_data, 3), -1);
    m.set(s, M::descriptor(0, 0xfffff, 0xc013));
    EXPECT_EQ(load(ds, s), 11) << "not present";
    EXPECT_EQ(error(), s);
    m.set(s, M::descriptor(0, 0xfffff, 0xc099)); // execute-only
    EXPECT_EQ(load(ds, s), 13);
    m.set(s, M::descriptor(0, 0xfffff, 0x008b)); // system
    EXPECT_EQ(load(ds, s), 13);
    EXPECT_EQ(load(ds, M::gdt_limit + 1), 13);
    EXPECT_EQ(error(), M::gdt_limit + 1u);
    EXPECT_EQ(load(ds, s | 4), 13) << "there is no LDT";
    EXPECT_EQ(error(), s | 4u);
    m.set(s, M::descriptor(0x12345678, 0x54321, 0x40f2)); // conforming rules do not matter for data
    EXPECT_EQ(load(fs, s | 3, 3), -1);
    EXPECT_EQ(cpu.segments[fs].base, 0x12345678u);
    EXPECT_EQ(cpu.segments[fs].limit, 0x54321u);
    EXPECT_EQ(m.get(s) >> 40 & 1, 1u) << "accessed";
}

TEST_F(Far, TheStackSegmentHasRulesOfItsOwn) {
    constexpr u16 s = M::first_free;
    EXPECT_EQ(load(ss, 0), -1) << "null at privilege 0 of 64-bit mode";
    EXPECT_EQ(load(ss, 3, 3), 13) << "but not at 3";
    EXPECT_EQ(load(ss, M::user_data), 13) << "RPL";
    m.set(s, M::descriptor(0, 0xfffff, 0xc013));
    EXPECT_EQ(load(ss, s), 12) << "not present";
    EXPECT_EQ(error(), s);
    m.set(s, M::descriptor(0, 0xfffff, 0xc091)); // read-only
    EXPECT_EQ(load(ss, s), 13);
    EXPECT_EQ(load(ss, M::code64), 13);
    EXPECT_EQ(load(cs, M::code64), 6) << "MOV CS is undefined";
}

TEST_F(Far, CallGatesLeadInward) {
    constexpr u16 gate = M::first_free;
    m.call_gate(gate, M::code64, target, 0xec);
    m.set(gate + 8, 0);
    m.enter64(3);
    m.write<u16>(M::data_at + 8, gate | 3);
    cpu.gpr[rbx] = M::data_at;
    m.run({0x48, 0xff, 0x1b}); // CALL m16:64 [RBX]
    ASSERT_EQ(cpu.rip, target) << m.vector();
    EXPECT_EQ(cpu.cpl, 0);
    EXPECT_EQ(cpu.segments[cs].selector, M::code64);
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack - 32);
    EXPECT_EQ(m.stack64(0), at + 3);
    EXPECT_EQ(m.stack64(1), M::user_code64);
    EXPECT_EQ(m.stack64(2), M::user_stack);
    EXPECT_EQ(m.stack64(3), M::user_data);
    m.put(target, {0x48, 0xcb}); // RETFQ
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 3);
    EXPECT_EQ(cpu.cpl, 3);
    EXPECT_EQ(cpu.gpr[rsp], M::user_stack);
}

TEST_F(Far, CallGatesCheckWhoCallsAndWhatTheyHold) {
    constexpr u16 gate = M::first_free;
    const auto call = [&](u8 cpl) {
        m.enter64(cpl);
        m.write<u16>(M::data_at + 8, static_cast<u16>(gate | cpl));
        cpu.gpr[rbx] = M::data_at;
        m.run({0x48, 0xff, 0x1b});
        return m.vector();
    };
    m.set(gate + 8, 0);
    m.call_gate(gate, M::code64, target, 0x8c);
    EXPECT_EQ(call(3), 13) << "the gate's DPL";
    EXPECT_EQ(error(), gate);
    EXPECT_EQ(call(0), -1);
    m.call_gate(gate, M::code64, target, 0x6c);
    EXPECT_EQ(call(3), 11) << "not present";
    m.call_gate(gate, M::code32, target, 0xec);
    EXPECT_EQ(call(3), 13) << "a 64-bit gate must hold 64-bit code";
    EXPECT_EQ(error(), M::code32);
    m.call_gate(gate, 0, target, 0xec);
    EXPECT_EQ(call(3), 13);
    EXPECT_EQ(error(), 0u);
    m.call_gate(gate, M::code64, target, 0xec);
    m.set(gate + 8, u64{5} << 40);
    EXPECT_EQ(call(3), 13) << "the upper half's type must be zero";
    m.set(gate + 8, 0x8000); // offset 63:32
    EXPECT_EQ(call(3), 13) << "the target is not canonical";
}

TEST_F(Far, SyscallAndSysret) {
    cpu.msr.star = u64{M::user_code32} << 48 | u64{M::code64} << 32;
    cpu.msr.lstar = target;
    cpu.msr.fmask = rflags::if_ | rflags::df;
    m.enter64(3);
    cpu.set_rflags(2 | rflags::if_ | rflags::df | rflags::cf);
    m.run({0x0f, 0x05});
    EXPECT_EQ(cpu.rip, target);
    EXPECT_EQ(cpu.cpl, 0);
    EXPECT_EQ(cpu.segments[cs].selector, M::code64);
    EXPECT_EQ(cpu.segments[ss].selector, M::data);
    EXPECT_EQ(cpu.gpr[rcx], at + 2);
    EXPECT_EQ(cpu.gpr[r11], u64{2 | rflags::if_ | rflags::df | rflags::cf});
    EXPECT_EQ(cpu.rflags(), u64{2 | rflags::cf});
    EXPECT_EQ(cpu.gpr[rsp], M::user_stack) << "the stack is the system's to change";
    m.put(target, {0x48, 0x0f, 0x07});
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 2);
    EXPECT_EQ(cpu.cpl, 3);
    EXPECT_EQ(cpu.segments[cs].selector, M::user_code64);
    EXPECT_EQ(cpu.segments[ss].selector, M::user_data);
    EXPECT_EQ(cpu.rflags(), u64{2 | rflags::if_ | rflags::df | rflags::cf});
    cpu.gpr[rcx] = 0x8000'0000'0000;
    m.enter64(0);
    m.run({0x48, 0x0f, 0x07});
    EXPECT_EQ(m.vector(), 13);
    EXPECT_EQ(cpu.cpl, 0);
    m.enter64(3);
    m.run({0x48, 0x0f, 0x07});
    EXPECT_EQ(m.vector(), 13) << "for the system only";
    m.enter64(3);
    cpu.efer &= ~efer::sce;
    m.run({0x0f, 0x05});
    EXPECT_EQ(m.vector(), 6);
}

TEST_F(Far, SysenterAndSysexit) {
    m.enter64(3);
    m.run({0x0f, 0x34});
    EXPECT_EQ(m.vector(), 13) << "SYSENTER_CS is null";
    cpu.msr.sysenter_cs = M::code64;
    cpu.msr.sysenter_eip = target;
    cpu.msr.sysenter_esp = M::inner_stack;
    m.enter64(3);
    cpu.set_rflags(2 | rflags::if_);
    m.run({0x0f, 0x34});
    EXPECT_EQ(cpu.rip, target);
    EXPECT_EQ(cpu.gpr[rsp], M::inner_stack);
    EXPECT_EQ(cpu.segments[cs].selector, M::code64);
    EXPECT_EQ(cpu.segments[ss].selector, M::code64 + 8);
    EXPECT_FALSE(cpu.flags & rflags::if_);
    m.put(target, {0x48, 0x0f, 0x35}); // SYSEXIT to 64-bit code
    cpu.gpr[rcx] = M::user_stack;
    cpu.gpr[rdx] = at + 16;
    m.run(1);
    EXPECT_EQ(cpu.rip, at + 16);
    EXPECT_EQ(cpu.gpr[rsp], M::user_stack);
    EXPECT_EQ(cpu.segments[cs].selector, (M::code64 + 32) | 3);
    EXPECT_EQ(cpu.segments[ss].selector, (M::code64 + 40) | 3);
    EXPECT_EQ(cpu.cpl, 3);
}

TEST_F(Far, JumpsBetweenCodeOfDifferentWidth) {
    m.write<u32>(M::data_at, static_cast<u32>(target));
    m.write<u16>(M::data_at + 4, M::code32);
    cpu.gpr[rbx] = M::data_at;
    m.run({0xff, 0x2b}); // JMP m16:32 [RBX]
    EXPECT_EQ(cpu.rip, target);
    EXPECT_EQ(cpu.code_mode().bits, 32);
    m.put(target, {0xea, 0x00, 0x00, 0x16, 0x00, M::code64, 0x00}); // JMP ptr16:32
    m.run(1);
    EXPECT_EQ(cpu.rip, 0x160000u);
    EXPECT_TRUE(cpu.mode64());
    m.put(0x160000, {0xea, 0, 0, 0, 0, 0, 0});
    m.run(1);
    EXPECT_EQ(m.vector(), 6) << "direct far jumps do not exist in 64-bit mode";
}
