// SPDX-License-Identifier: Apache-2.0
// Tests of the XSAVE family beyond what programs see: compaction, XSAVES and XRSTORS, headers that are refused, XCR0.
#include "x86/ops/xsave.h"

#include "x86/system_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

using M = SystemMachine;

struct Xsave : testing::Test {
    SystemMachine m;
    Cpu& cpu = m.cpu;
    static constexpr u64 area = M::data_at;

    Xsave() {
        for (unsigned n = 0; n < 16; ++n)
            for (unsigned b = 0; b < 64; ++b)
                cpu.fpu.zmm[n][b] = static_cast<u8>(n * 64 + b + 1);
        cpu.gpr[rbx] = area;
        cpu.gpr[rax] = 7;
        cpu.gpr[rdx] = 0;
        fill(0xee);
    }

    void fill(u8 value) {
        for (unsigned n = 0; n < 1024; n += 8)
            m.write<u64>(area + n, 0x0101'0101'0101'0101u * value);
    }
};

constexpr u64 compacted = 1ull << 63;

} // namespace

TEST_F(Xsave, CompactionLeavesNoGaps) {
    cpu.gpr[rax] = 4; // AVX alone
    m.run({0x0f, 0xc7, 0x23}); // XSAVEC [RBX]
    EXPECT_EQ(m.read<u64>(area + 512), 4u);
    EXPECT_EQ(m.read<u64>(area + 520), compacted | 4);
    EXPECT_EQ(m.read<u8>(area + 576), 17) << "the upper half of YMM0";
    EXPECT_EQ(m.read<u8>(area + 160), 0xee) << "SSE is not asked for";
}

TEST_F(Xsave, StateInItsInitialFormIsNotWritten) {
    for (auto& z : cpu.fpu.zmm)
        for (unsigned b = 16; b < 32; ++b)
            z[b] = 0;
    m.run({0x0f, 0xc7, 0x23});
    EXPECT_EQ(m.read<u64>(area + 512) & 4, 0u);
    EXPECT_EQ(m.read<u64>(area + 520), compacted | 7);
    EXPECT_EQ(m.read<u8>(area + 576), 0xee);
}

TEST_F(Xsave, SupervisorFormsNeedPrivilege) {
    if (!m.model.has(Feature::xsaves))
        GTEST_SKIP();
    fill(0); // the reserved bytes of the header stay as they are
    m.run({0x0f, 0xc7, 0x2b}); // XSAVES [RBX]
    EXPECT_EQ(m.read<u64>(area + 520), compacted | 7);
    const auto before = cpu.fpu.zmm[3];
    cpu.fpu.zmm[3].fill(0);
    m.run({0x0f, 0xc7, 0x1b}); // XRSTORS [RBX]
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + 32, cpu.fpu.zmm[3].begin()));
    m.enter64(3);
    cpu.gpr[rbx] = area;
    m.run({0x0f, 0xc7, 0x2b});
    EXPECT_EQ(m.vector(), 13);
    m.enter64(3);
    m.run({0x0f, 0xc7, 0x1b});
    EXPECT_EQ(m.vector(), 13);
}

TEST_F(Xsave, HeadersAreChecked) {
    const auto restores = [&](u64 xstate_bv, u64 xcomp_bv, u64 reserved) {
        m.enter64(0);
        cpu.gpr[rbx] = area;
        cpu.gpr[rax] = 7;
        cpu.gpr[rdx] = 0;
        fill(0);
        m.write<u32>(area + 24, 0x1f80);
        m.write<u64>(area + 512, xstate_bv);
        m.write<u64>(area + 520, xcomp_bv);
        m.write<u64>(area + 528, reserved);
        m.run({0x0f, 0xae, 0x2b}); // XRSTOR [RBX]
        return m.vector();
    };
    EXPECT_EQ(restores(7, 0, 0), -1);
    EXPECT_EQ(restores(1ull << 62, 0, 0), 13) << "a component that XCR0 lacks";
    EXPECT_EQ(restores(7, 1, 0), 13) << "XCOMP_BV without its top bit";
    EXPECT_EQ(restores(7, 0, 1), 13) << "reserved bytes";
    EXPECT_EQ(restores(3, compacted | 7, 0), -1);
    EXPECT_EQ(restores(7, compacted | 3, 0), 13) << "state that the area does not hold";
    m.write<u32>(area + 24, 0x10000);
    cpu.gpr[rbx] = area + 8;
    m.run({0x0f, 0xae, 0x2b});
    EXPECT_EQ(m.vector(), 13) << "alignment";
}

TEST_F(Xsave, Xcr0TakesOnlySoundCombinations) {
    const auto set = [&](u64 value, u32 index = 0) {
        m.enter64(0);
        cpu.gpr[rcx] = index;
        cpu.gpr[rax] = value;
        cpu.gpr[rdx] = 0;
        m.run({0x0f, 0x01, 0xd1});
        return m.vector();
    };
    EXPECT_EQ(set(1), -1);
    EXPECT_EQ(set(7), -1);
    EXPECT_EQ(cpu.xcr0, 7u);
    EXPECT_EQ(set(6), 13) << "without x87";
    EXPECT_EQ(set(5), 13) << "AVX without SSE";
    EXPECT_EQ(set(0x27), 13) << "a part of AVX-512";
    EXPECT_EQ(set(7, 1), 13);
    m.enter64(3);
    m.run({0x0f, 0x01, 0xd1});
    EXPECT_EQ(m.vector(), 13);
}

TEST_F(Xsave, WithoutOsxsaveNothingOfItExists) {
    cpu.cr4 &= ~cr4::osxsave;
    cpu.mode_changed();
    m.run({0x0f, 0xae, 0x23});
    EXPECT_EQ(m.vector(), 6);
    m.enter64(0);
    cpu.cr0 |= cr0::ts;
    cpu.mode_changed();
    cpu.gpr[rbx] = area;
    m.run({0x0f, 0xae, 0x23});
    EXPECT_EQ(m.vector(), 7);
}
