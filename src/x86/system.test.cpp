// SPDX-License-Identifier: Apache-2.0
// Tests of the system side: debug exceptions beside MOV SS, segments that IRET nullifies, canonical bases, protection keys of
// supervisor pages, the vendor's SYSCALL.
#include "x86/bare_machine.h"
#include "x86/msr.h"
#include "x86/segments.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

/// A GDT and an IDT whose handlers do nothing, for vectors 0 to 20h.
class Machine64 : public BareMachine {
public:
    static constexpr u64 gdt = data_at, idt = data_at + 0x1000, handlers = data_at + 0x2000;
    static constexpr u16 kernel_data = 0x18, user_code = 0x20 | 3, user_data = 0x28 | 3;
    static constexpr u64 frame = 5 * 8;

    explicit Machine64(std::string_view model = "icelake-server") : BareMachine(model) {
        const u64 descriptors[] = {0, 0, 0x00af'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0x00af'fb00'0000'ffff, 0x00cf'f300'0000'ffff};
        for (u64 i = 0; i < 6; ++i)
            write<u64>(gdt + 8 * i, descriptors[i]);
        cpu.gdtr = {.base = gdt, .limit = 8 * 6 - 1};
        for (u64 v = 0; v <= 0x20; ++v) {
            const u64 handler = handlers + 16 * v;
            write<u64>(idt + 16 * v, (handler & 0xffff) | u64{0x10} << 16 | u64{0x8e00} << 32 | (handler >> 16) << 48);
            write<u64>(idt + 16 * v + 8, handler >> 32);
            put(handler, {0x90, 0x90, 0x90, 0x90});
        }
        cpu.idtr = {.base = idt, .limit = 16 * 0x21 - 1};
        cpu.gpr[rax] = kernel_data;
    }

    u64 handler(u8 vector) const { return handlers + 16 * vector; }

    /// How many interrupt frames lie on the stack; each begins at a multiple of 16.
    u64 frames() const { return (stack_top - cpu.gpr[rsp] + 15) / 48; }
};

constexpr u64 code_at = BareMachine::code_at;

} // namespace

TEST(DebugExceptions, MovSsHoldsOffACodeBreakpointOnTheNextInstruction) {
    Machine64 m;
    m.cpu.dr[0] = code_at + 2;
    m.cpu.dr7 = dr7::always | 2;
    m.run({0x8e, 0xd0, 0x90, 0x90}, 2); // mov ss, eax; nop
    EXPECT_EQ(m.cpu.rip, code_at + 3);
    EXPECT_EQ(m.cpu.dr6, dr6::always);
    m.cpu.events_changed();
    m.run({0x89, 0xc0, 0x90, 0x90}, 1); // mov eax, eax: nothing is held off
    m.run(1);
    EXPECT_EQ(m.frames(), 1u);
    EXPECT_EQ(m.cpu.dr6, dr6::always | 1);
}

TEST(DebugExceptions, WhatMovSsHeldBackIsLostWhenTheNextInstructionFaults) {
    Machine64 m;
    m.cpu.set_rflags(rflags::tf | 2);
    m.cpu.events_changed();
    m.run({0x8e, 0xd0, 0x0f, 0x0b}, 3); // mov ss, eax; ud2
    EXPECT_EQ(m.frames(), 1u);
    EXPECT_EQ(m.cpu.rip & ~0xfull, m.handler(6));
    EXPECT_EQ(m.cpu.dr6, dr6::always);
}

TEST(DebugExceptions, WhatMovSsHeldBackIsLostWhenTheNextInstructionIsInt1) {
    Machine64 m;
    m.cpu.set_rflags(rflags::tf | 2);
    m.cpu.events_changed();
    m.run({0x8e, 0xd0, 0xf1}, 3); // mov ss, eax; int1
    EXPECT_EQ(m.frames(), 1u);
    EXPECT_EQ(m.cpu.rip & ~0xfull, m.handler(1));
    EXPECT_EQ(m.cpu.dr6, dr6::always) << "no single step: INT1 sets no bit";
}

TEST(DebugExceptions, WhatMovSsHeldBackComesBeforeTheHandlerOfASoftwareInterrupt) {
    Machine64 m;
    m.cpu.set_rflags(rflags::tf | 2);
    m.cpu.events_changed();
    m.run({0x8e, 0xd0, 0xcd, 0x20}, 3); // mov ss, eax; int 20h
    EXPECT_EQ(m.frames(), 2u);
    EXPECT_EQ(m.cpu.rip & ~0xfull, m.handler(1));
    EXPECT_EQ(m.read<u64>(m.cpu.gpr[rsp]), m.handler(0x20));
    EXPECT_EQ(m.cpu.dr6, dr6::always | dr6::bs);
}

TEST(Segments, IretThatNullifiesAnInnerSegmentLeavesItsBase) {
    Machine64 m;
    m.cpu.segments[gs].base = 0x1234'5000;
    m.cpu.mode_changed();
    const u64 stack[] = {code_at + 0x100, Machine64::user_code, 2, BareMachine::stack_top - 0x100, Machine64::user_data};
    for (u64 i = 0; i < 5; ++i)
        m.write<u64>(BareMachine::stack_top - Machine64::frame + 8 * i, stack[i]);
    m.cpu.gpr[rsp] = BareMachine::stack_top - Machine64::frame;
    m.run({0x48, 0xcf}); // iretq
    EXPECT_EQ(m.cpu.cpl, 3);
    EXPECT_EQ(m.cpu.segments[gs].selector, 0);
    EXPECT_FALSE(m.cpu.segments[gs].usable());
    EXPECT_EQ(m.cpu.segments[gs].base, 0x1234'5000u);
}

TEST(CanonicalBases, FollowTheWidthThatTheProcessorHasNotTheOneInUse) {
    constexpr u32 msr_fs_base = 0xc000'0100;
    constexpr u64 wide = 0x00aa'aaaa'aaaa'aaaa, wider = 0x0aaa'aaaa'aaaa'aaaa;
    Machine64 with("icelake-server,+la57"), without("icelake-server");
    EXPECT_TRUE(write_msr(with.cpu, msr_fs_base, wide).ok());
    EXPECT_FALSE(write_msr(with.cpu, msr_fs_base, wider).ok());
    EXPECT_FALSE(write_msr(without.cpu, msr_fs_base, wide).ok());
    EXPECT_FALSE(with.cpu.load<u64>(Linear{wide}).ok()) << "as an address it is not canonical in 4-level paging";
}

TEST(MiscEnable, KeepsWhatServersLetSoftwareSwitchAndFaultsOnTheRest) {
    constexpr u32 misc_enable = 0x1a0;
    Machine64 m;
    const u64 before = read_msr(m.cpu, misc_enable).value();
    EXPECT_TRUE(write_msr(m.cpu, misc_enable, before | bit(3) | bit(16) | bit(18) | bit(23) | bit(34)).ok());
    EXPECT_EQ(read_msr(m.cpu, misc_enable).value(), before | bit(3) | bit(16) | bit(18) | bit(23) | bit(34));
    EXPECT_FALSE(write_msr(m.cpu, misc_enable, before | bit(1)).ok());
}

// ---- protection keys of supervisor pages --------------------------------------------------------------------------------

namespace {

struct SupervisorKeys : testing::Test {
    static constexpr u64 page = 0x400000, entry = BareMachine::tables + 0x3000;

    SupervisorKeys() {
        m.write<u64>(BareMachine::tables + 0x2000 + 8 * 2, (BareMachine::tables + 0x3000) | 7);
        m.write<u64>(entry, BareMachine::data_at | 3 | u64{1} << 59); // supervisor, key 1
        m.cpu.cr4 |= cr4::pks;
        m.cpu.mode_changed();
    }

    void rights(u64 value) { ASSERT_TRUE(write_msr(m.cpu, 0x6e1, value).ok()); }

    Machine64 m{"icelake-server,+pks"};
};

} // namespace

TEST_F(SupervisorKeys, DenyAccess) {
    EXPECT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
    rights(0x4); // AD1
    ASSERT_FALSE(m.cpu.load<u64>(Linear{page}).ok());
    EXPECT_EQ(m.cpu.pending.vector, Vector::pf);
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::pk);
    rights(0x1); // another key's
    EXPECT_TRUE(m.cpu.load<u64>(Linear{page}).ok());
}

TEST_F(SupervisorKeys, DenyWritesWhereSupervisorsAreHeldToThem) {
    rights(0x8); // WD1
    EXPECT_TRUE(m.cpu.load<u64>(Linear{page}).ok());
    ASSERT_FALSE(m.cpu.store<u64>(Linear{page}, 1).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::w | pfec::pk);
    m.cpu.cr0 &= ~cr0::wp;
    m.cpu.mode_changed();
    EXPECT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
}

TEST_F(SupervisorKeys, AreToldEvenWhereTheTablesForbidTheAccessToo) {
    m.write<u64>(entry, BareMachine::data_at | 1 | u64{1} << 59); // read-only
    m.cpu.flush_tlb(false);
    rights(0x4);
    ASSERT_FALSE(m.cpu.store<u64>(Linear{page}, 1).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::w | pfec::pk);
    rights(0x8);
    ASSERT_FALSE(m.cpu.store<u64>(Linear{page}, 1).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::w | pfec::pk);
    rights(0);
    ASSERT_FALSE(m.cpu.store<u64>(Linear{page}, 1).ok());
    EXPECT_EQ(m.cpu.pending.error, pfec::p | pfec::w);
}

TEST_F(SupervisorKeys, AreNotForUserPages) {
    m.write<u64>(entry, BareMachine::data_at | 7 | u64{1} << 59);
    m.cpu.flush_tlb(false);
    rights(0xc);
    EXPECT_TRUE(m.cpu.store<u64>(Linear{page}, 1).ok());
}

TEST_F(SupervisorKeys, HaveReservedBitsAndNeedTheFeature) {
    EXPECT_FALSE(write_msr(m.cpu, 0x6e1, bit(32)).ok());
    Machine64 without;
    EXPECT_FALSE(write_msr(without.cpu, 0x6e1, 0).ok());
    EXPECT_EQ(without.model.cr4_allowed() & cr4::pks, 0u);
}

// ---- SYSCALL outside 64-bit mode ---------------------------------------------------------------------------------------

namespace {

void enter_compatibility_mode(Machine64& m) {
    m.long_mode(3);
    m.cpu.segments[cs].rights = 0xc0fb;
    m.cpu.mode_changed();
    m.cpu.msr.star = u64{0x10} << 32;
    m.cpu.msr.cstar = code_at + 0x200;
    m.cpu.msr.lstar = code_at + 0x300;
    m.cpu.msr.fmask = rflags::if_;
}

} // namespace

TEST(Vendors, AmdHasSyscallInCompatibilityMode) {
    Machine64 m("icelake-server,vendor=AuthenticAMD");
    enter_compatibility_mode(m);
    m.cpu.set_rflags(rflags::if_ | 2);
    m.run({0x0f, 0x05});
    EXPECT_EQ(m.cpu.rip, code_at + 0x200);
    EXPECT_EQ(m.cpu.gpr[rcx], code_at + 2);
    EXPECT_EQ(m.cpu.gpr[r11], rflags::if_ | 2);
    EXPECT_EQ(m.cpu.rflags(), 2u);
    EXPECT_TRUE(m.cpu.mode64());
    EXPECT_EQ(m.cpu.cpl, 0);
    EXPECT_EQ(m.model.cpuid(0, 0, {}).ecx, 0x444d'4163u);
}

TEST(Vendors, IntelHasNot) {
    Machine64 m;
    enter_compatibility_mode(m);
    const u64 before = m.cpu.rip;
    m.put(code_at, {0x0f, 0x05});
    m.run(1);
    EXPECT_NE(m.cpu.rip, code_at + 0x200);
    EXPECT_NE(m.cpu.rip, before + 2);
    EXPECT_EQ(m.model.cpuid(0, 0, {}).ecx, 0x6c65'746eu);
}

// ---- CPUID ------------------------------------------------------------------------------------------------------------

TEST(Cpuid, FollowsWhatItShowsOfTheProcessor) {
    Machine64 m;
    const auto ask = [&](u32 leaf, u32 subleaf) {
        m.cpu.gpr[rax] = leaf;
        m.cpu.gpr[rcx] = subleaf;
        m.run({0x0f, 0xa2});
        return CpuidResult{static_cast<u32>(m.cpu.gpr[rax]), static_cast<u32>(m.cpu.gpr[rbx]), static_cast<u32>(m.cpu.gpr[rcx]),
                           static_cast<u32>(m.cpu.gpr[rdx])};
    };
    EXPECT_TRUE(ask(1, 0).ecx & bit(27)) << "OSXSAVE";
    m.cpu.cr4 &= ~cr4::osxsave;
    m.cpu.mode_changed();
    EXPECT_FALSE(ask(1, 0).ecx & bit(27));
    const u32 all = ask(0xd, 0).ebx;
    m.cpu.xcr0 = 1;
    EXPECT_NE(ask(0xd, 0).ebx, all);
    EXPECT_EQ(ask(0x8000'0000, 0).eax, 0x8000'0008u);
    EXPECT_EQ(ask(0, 0).ebx, 0x756e'6547u);
}
