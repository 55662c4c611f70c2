// SPDX-License-Identifier: Apache-2.0
// Tests of plain DMA: RAM across pages, interrupts, peers, and everything that is refused.
#include "pci/plain_dma.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

using namespace vitrine;
using namespace vitrine::pci;

namespace {

struct Peer : Function {
    explicit Peer(const Platform& platform) : Function(platform, "peer", {0x1234, 2, 0, 0xff0000}) {
        add_bar(0, {.kind = BarKind::memory_32, .size = 0x1000, .name = "registers", .max_size = 8});
    }

    void bar_access(unsigned, Access& a) override {
        seen.push_back(a);
        if (on_access)
            on_access();
        if (!a.write)
            a.value = 0x1111;
    }

    void device_reset(Reset) override {}

    void device_state(Visitor&) override {}

    std::vector<Access> seen;
    std::function<void()> on_access;
};

struct Dma : testing::Test {
    TestBoard board{64_KiB};
    Peer a{board.platform}, b{board.platform};

    Dma() {
        board.root.bus().attach(a, 1);
        board.root.bus().attach(b, 2);
        a.config_write(bar0, 4, 0xc0000000);
        b.config_write(bar0, 4, 0xc0010000);
        a.config_write(command_offset, 2, 6);
        b.config_write(command_offset, 2, 6);
    }
};

} // namespace

TEST_F(Dma, RamAcrossPages) {
    std::vector<u8> out(0x3000);
    std::iota(out.begin(), out.end(), u8{0});
    EXPECT_TRUE(a.dma_write(DeviceAddress{0x1ff0}, out));
    std::vector<u8> in(0x3000);
    EXPECT_TRUE(a.dma_read(DeviceAddress{0x1ff0}, in));
    EXPECT_EQ(in, out);
    EXPECT_EQ(board.space->collect_dirty(), (std::vector<u64>{1, 2, 3, 4}));
}

TEST_F(Dma, BeyondRamAndRoundTheEnd) {
    std::array<u8, 32> data{};
    EXPECT_FALSE(a.dma_write(DeviceAddress{0xfff0}, data));
    EXPECT_FALSE(a.dma_read(DeviceAddress{0xfff0}, data));
    EXPECT_EQ(data[0], 0);
    EXPECT_EQ(data[16], 0xff);
    EXPECT_FALSE(a.dma_read(DeviceAddress{~0ull - 3}, data));
    EXPECT_EQ(data[0], 0xff);
    EXPECT_FALSE(a.dma_write(DeviceAddress{~0ull - 3}, data));
}

TEST_F(Dma, WritesToInterruptAddressesAreInterrupts) {
    const std::array<u8, 4> data{0x31, 0, 0, 0};
    EXPECT_TRUE(a.dma_write(DeviceAddress{0xfee01000}, data));
    EXPECT_EQ(board.msi.entries, (std::vector<MessageLog::Entry>{{0x08, 0xfee01000, 0x31}}));
    std::array<u8, 8> wide{};
    EXPECT_FALSE(a.dma_write(DeviceAddress{0xfee01000}, wide));
    EXPECT_FALSE(a.dma_read(DeviceAddress{0xfee01000}, wide));
    EXPECT_EQ(board.msi.entries.size(), 1u);
}

TEST_F(Dma, PeersAreReachedWithTheRequester) {
    std::array<u8, 12> data{9};
    EXPECT_TRUE(a.dma_write(DeviceAddress{0xc0010004}, data));
    ASSERT_EQ(b.seen.size(), 2u);
    EXPECT_EQ(b.seen[0].size, 4u);
    EXPECT_EQ(b.seen[0].value, 9u);
    EXPECT_EQ(b.seen[1].size, 8u);
    EXPECT_EQ(b.seen[1].requester, Requester::function(0x08));
}

TEST_F(Dma, OwnRegistersAndConfigurationSpaceAreRefused) {
    std::array<u8, 4> data{};
    EXPECT_FALSE(a.dma_write(DeviceAddress{0xc0000000}, data));
    EXPECT_TRUE(a.seen.empty());
    EXPECT_EQ(board.glass.counter("dma.own-registers"), 1u);
    board.root.map_ecam({0xb0000000, 256_MiB});
    EXPECT_FALSE(a.dma_write(DeviceAddress{0xb0000000 + (2 << 15)}, data));
    EXPECT_EQ(board.glass.counter("dma.not-a-function"), 1u);
}

TEST_F(Dma, NoDmaInsideAnAnswer) {
    b.on_access = [&] {
        std::array<u8, 4> inner{};
        EXPECT_FALSE(b.dma_write(DeviceAddress{0xc0000000}, inner));
        EXPECT_TRUE(b.dma_write(DeviceAddress{0x100}, inner)); // RAM is fine
    };
    std::array<u8, 4> data{};
    EXPECT_TRUE(a.dma_write(DeviceAddress{0xc0010000}, data));
    EXPECT_TRUE(a.seen.empty());
    EXPECT_EQ(board.glass.counter("dma.nested"), 1u);
}
