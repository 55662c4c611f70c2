// SPDX-License-Identifier: Apache-2.0
// Tests of the host bridge: ECAM moves as PCIEXBAR says, PAM is shown by segment, SMRAM locks.
#include "chipset/host_bridge.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;

namespace {

struct Bridge : testing::Test {
    pci::TestBoard board;
    HostBridge bridge{board.platform, board.root, {.below_4g = 2_GiB, .above_4g = 3_GiB}};

    Bridge() { board.root.bus().attach(bridge, 0); }

    void config(unsigned offset, unsigned size, u32 value) { board.root.config_write(0, offset, size, value); }

    u32 config(unsigned offset, unsigned size) { return board.root.config_read(0, offset, size); }
};

} // namespace

TEST_F(Bridge, EcamFollowsPciexbar) {
    EXPECT_FALSE(board.root.ecam());
    bridge.set_up_without_firmware();
    EXPECT_EQ(board.read32(0xb000'0000), 0x29c0'8086u);
    config(mch::pciexbar_low, 4, 0xa400'0005); // 64 MiB
    EXPECT_EQ(board.read32(0xa400'0000), 0x29c0'8086u);
    EXPECT_EQ(board.read32(0xb000'0000), 0xffff'ffffu);
    EXPECT_EQ(board.root.ecam()->size, 64_MiB);
    config(mch::pciexbar_high, 4, 0x10);
    config(mch::pciexbar_low, 4, 0x8000'0001);
    EXPECT_EQ(board.read32(0x8000'0000), 0x29c0'8086u); // the upper part has four bits
    config(mch::pciexbar_high, 4, 0x1);
    EXPECT_EQ(board.read32(0x1'8000'0000), 0x29c0'8086u);
    config(mch::pciexbar_low, 4, 0x8000'0007);
    EXPECT_FALSE(board.root.ecam());
    config(mch::pciexbar_low, 1, 0);
    EXPECT_FALSE(board.root.ecam());
    bridge.set_up_without_firmware();
    board.root.bus().functions()[0]->reset(Reset::cold);
    EXPECT_FALSE(board.root.ecam());
}

TEST_F(Bridge, ItMovesWhileBeingAccessedThroughItself) {
    bridge.set_up_without_firmware();
    board.write32(0xb000'0060, 0xc000'0001);
    EXPECT_EQ(board.read32(0xc000'0000), 0x29c0'8086u);
    board.write32(0xc000'0060, 0);
    EXPECT_EQ(config(mch::pciexbar_low, 4), 0u);
}

TEST_F(Bridge, SegmentsFollowPam) {
    unsigned told = 0;
    bridge.on_memory_map_changed([&] { ++told; });
    config(mch::pam0, 1, 0xff);
    config(mch::pam0 + 3, 1, 0x21);
    EXPECT_EQ(told, 2u);
    const auto list = bridge.segments();
    EXPECT_EQ(list[12].base, 0xf0000u);
    EXPECT_TRUE(list[12].read_ram && list[12].write_ram);
    EXPECT_EQ(list[4].base, 0xd0000u);
    EXPECT_TRUE(list[4].read_ram && !list[4].write_ram);
    EXPECT_EQ(list[5].base, 0xd4000u);
    EXPECT_TRUE(!list[5].read_ram && list[5].write_ram);
    EXPECT_FALSE(list[0].read_ram);
}

TEST_F(Bridge, SmramLocks) {
    config(mch::smram_offset, 1, 0x48);
    EXPECT_EQ(config(mch::smram_offset, 1), 0x4au);
    config(mch::smram_offset, 1, 0x58);
    EXPECT_EQ(config(mch::smram_offset, 1), 0x1au); // locking closes
    EXPECT_TRUE(bridge.smram_locked());
    config(mch::smram_offset, 1, 0x40);
    config(mch::esmramc_offset, 1, 0x81);
    EXPECT_EQ(config(mch::smram_offset, 1), 0x1au);
    EXPECT_EQ(config(mch::esmramc_offset, 1), 0x38u);
    const std::vector<u8> saved = pci::save(bridge);
    bridge.reset(Reset::warm);
    EXPECT_FALSE(bridge.smram_locked());
    config(mch::smram_offset, 1, 8);
    EXPECT_EQ(config(mch::smram_offset, 1), 0xau);
    EXPECT_EQ(pci::load(bridge, saved), "");
    config(mch::smram_offset, 1, 0);
    EXPECT_EQ(config(mch::smram_offset, 1), 0x1au); // the lock came back with the state
}

TEST_F(Bridge, MemoryMapShowsRam) {
    EXPECT_EQ(config(mch::tolud, 2), 2048u << 4);
    EXPECT_EQ(config(mch::touud, 2), (4u + 3u) << 10);
    EXPECT_EQ(config(mch::tom, 2), 5u << 4);
}

TEST_F(Bridge, RandomWritesKeepIdentity) {
    std::mt19937 random(3);
    for (unsigned i = 0; i < 100'000; ++i)
        config(align_down(random() % 0x100, 4), 4, static_cast<u32>(random()));
    EXPECT_EQ(config(0, 4), 0x29c0'8086u);
    EXPECT_EQ(config(0x100, 4), 0xffff'ffffu);
}
