// SPDX-License-Identifier: Apache-2.0
// Tests of the educational device: registers, factorials, interrupts both ways, DMA within and without its limits,
// state.
#include "devices/edu.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;

namespace {

constexpr u64 base = 0xc000'0000;

struct EduTest : testing::Test {
    pci::TestBoard board;
    Edu edu{board.platform, board.clock};

    EduTest() {
        board.root.bus().attach(edu, 5);
        edu.config_write(pci::bar0, 4, base);
        edu.config_write(pci::command_offset, 2, 6);
    }

    void dma(u64 from, u64 to, u64 count, u64 command) {
        board.write64(base + 0x80, from);
        board.write64(base + 0x88, to);
        board.write64(base + 0x90, count);
        board.write32(base + 0x98, static_cast<u32>(command));
    }
};

} // namespace

TEST_F(EduTest, Registers) {
    EXPECT_EQ(board.read32(base), 0x010000edu);
    board.write32(base + 4, 0x12345678);
    EXPECT_EQ(board.read32(base + 4), ~0x12345678u);
    EXPECT_EQ(board.read64(base), ~0ull); // four bytes only
    EXPECT_EQ(board.read32(base + 0x40), ~0u);
    board.write64(base + 0x80, 0x1122334455667788);
    EXPECT_EQ(board.read64(base + 0x80), 0x1122334455667788u);
    EXPECT_EQ(board.read32(base + 0x80), 0x55667788u);
}

TEST_F(EduTest, Factorial) {
    board.write32(base + 8, 10);
    EXPECT_EQ(board.read32(base + 0x20), 1u);
    board.write32(base + 8, 3); // busy
    board.pass(Edu::factorial_time - 1);
    EXPECT_EQ(board.read32(base + 0x20), 1u);
    board.pass(1);
    EXPECT_EQ(board.read32(base + 0x20), 0u);
    EXPECT_EQ(board.read32(base + 8), 3628800u);
    for (const auto& [n, result] :
         {std::pair{0u, 1u}, {13u, 1932053504u}, {33u, 0x80000000u}, {34u, 0u}, {0xffffffffu, 0u}}) {
        board.write32(base + 8, n);
        board.pass(Edu::factorial_time);
        EXPECT_EQ(board.read32(base + 8), result) << n;
    }
    EXPECT_TRUE(board.pirqs.empty());
    board.write32(base + 0x20, 0xff);
    EXPECT_EQ(board.read32(base + 0x20), 0x80u);
    board.write32(base + 8, 2);
    board.pass(Edu::factorial_time);
    EXPECT_EQ(board.read32(base + 0x24), 1u);
    EXPECT_EQ(board.pirqs.size(), 1u);
}

TEST_F(EduTest, InterruptsByPin) {
    board.write32(base + 0x60, 0x30);
    EXPECT_EQ(board.read32(base + 0x24), 0x30u);
    EXPECT_TRUE(edu.intx_asserted());
    board.write32(base + 0x64, 0x10);
    EXPECT_TRUE(edu.intx_asserted());
    board.write32(base + 0x64, 0x20);
    EXPECT_FALSE(edu.intx_asserted());
}

TEST_F(EduTest, InterruptsByMessage) {
    edu.config_write(0x44, 4, 0xfee00000);
    edu.config_write(0x4c, 2, 0x33);
    edu.config_write(0x42, 2, 1);
    board.write32(base + 0x60, 1);
    board.write32(base + 0x60, 1);
    EXPECT_EQ(board.msi.entries, (std::vector<pci::MessageLog::Entry>(2, {5 << 3, 0xfee00000, 0x33})));
    EXPECT_TRUE(board.pirqs.empty());
}

TEST_F(EduTest, DmaThereAndBack) {
    board.write64(0x1000, 0x0123456789abcdef);
    dma(0x1000, 0x40000, 8, 1);
    EXPECT_EQ(board.read32(base + 0x98), 1u);
    board.write64(base + 0x90, 4); // not while it runs
    board.pass(Edu::dma_time);
    EXPECT_EQ(board.read32(base + 0x98), 0u);
    dma(0x40004, 0x2000, 4, 3 | 4);
    board.pass(Edu::dma_time);
    EXPECT_EQ(board.read64(0x2000), 0x01234567u);
    EXPECT_EQ(board.read32(base + 0x24), 0x100u);
    dma(0x1000, 0x40ff8, 8, 1);
    board.pass(Edu::dma_time);
    EXPECT_EQ(board.glass.counter("edu.dma-outside-the-buffer"), 0u);
}

TEST_F(EduTest, DmaOutOfBounds) {
    for (const auto& [at, count] :
         {std::pair<u64, u64>{0x40ff8, 9}, {0x3ffff, 1}, {0, 8}, {0x41001, 0x10}, {0x40000, ~0ull}, {~0ull, 2}}) {
        dma(0x1000, at, count, 1);
        board.pass(Edu::dma_time);
        dma(at, 0x1000, count, 3);
        board.pass(Edu::dma_time);
    }
    EXPECT_EQ(board.glass.counter("edu.dma-outside-the-buffer"), 12u);
    // Into its own registers: the address has 28 bits here, so the BAR moves there.
    edu.config_write(pci::bar0, 4, 0x0800'0000);
    board.space->write<u64>(Physical{0x0800'0080}, u64{0x40000}, Requester::from_cpu(0));
    board.space->write<u64>(Physical{0x0800'0088}, u64{0x0800'0004}, Requester::from_cpu(0));
    board.space->write<u64>(Physical{0x0800'0090}, u64{4}, Requester::from_cpu(0));
    board.space->write<u32>(Physical{0x0800'0098}, 3, Requester::from_cpu(0));
    board.pass(Edu::dma_time);
    EXPECT_EQ(board.glass.counter("dma.own-registers"), 1u);
    EXPECT_EQ(board.read32(0x0800'0004), 0u);
}

TEST_F(EduTest, ResetAndState) {
    board.write32(base + 4, 5);
    board.write32(base + 8, 5);
    dma(0x1000, 0x40000, 8, 1);
    board.write32(base + 0x60, 2);
    const std::vector<u8> saved = pci::save(edu);
    pci::TestBoard other;
    Edu again{other.platform, other.clock};
    other.root.bus().attach(again, 5);
    EXPECT_EQ(pci::load(again, saved), "");
    EXPECT_EQ(pci::save(again), saved);
    other.write64(0x1000, 77);
    other.pass(Edu::dma_time);
    EXPECT_EQ(other.read32(base + 8), 120u);
    EXPECT_EQ(other.read32(base + 0x98), 0u);
    edu.reset(Reset::warm);
    board.pass(Edu::dma_time);
    edu.config_write(pci::bar0, 4, base);
    edu.config_write(pci::command_offset, 2, 6);
    EXPECT_EQ(board.read32(base + 8), 0u);
    EXPECT_EQ(board.read32(base + 0x24), 0u);
}

TEST_F(EduTest, RandomAccesses) {
    std::mt19937_64 random(5);
    for (unsigned i = 0; i < 100'000; ++i) {
        const u64 offset = random() % 2 ? random() % 0xa0 : random() % 0x100000;
        const u64 value = random() % 3 ? random() % 0x42000 : random();
        board.space->write<u64>(Physical{base + align_down(offset, 8)}, value, Requester::from_cpu(0));
        board.write32(base + align_down(offset, 4), static_cast<u32>(value));
        board.read32(base + align_down(offset, 4));
        board.pass(random() % 50'000);
    }
    EXPECT_EQ(board.read32(base), 0x010000edu);
}
