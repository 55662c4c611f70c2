// SPDX-License-Identifier: Apache-2.0
// Tests of the PCI test device, used as kvm-unit-tests use it.
#include "devices/pci_testdev.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;

namespace {

constexpr u64 memory = 0xc000'0000;
constexpr u16 ports = 0x6000;

struct TestdevTest : testing::Test {
    pci::TestBoard board;
    PciTestdev device{board.platform, {.membar = 64_KiB}};

    TestdevTest() {
        board.root.bus().attach(device, 5);
        device.config_write(pci::bar0, 4, memory);
        device.config_write(pci::bar0 + 4, 4, ports);
        device.config_write(pci::bar0 + 12, 4, 1);
        device.config_write(pci::command_offset, 2, 3);
    }

    u32 read(bool io, unsigned offset, unsigned size) {
        if (io)
            return board.in(static_cast<u16>(ports + offset), size);
        Access a{.size = size};
        board.space->mmio().access(memory + offset, a);
        return static_cast<u32>(a.value);
    }

    void write(bool io, unsigned offset, unsigned size, u32 value) {
        if (io)
            return board.out(static_cast<u16>(ports + offset), size, value);
        Access a{.size = size, .write = true, .value = value};
        board.space->mmio().access(memory + offset, a);
    }
};

} // namespace

TEST_F(TestdevTest, EveryTestCounts) {
    for (const bool io : {false, true}) {
        unsigned test = 0;
        for (;; ++test) {
            write(io, 0, 1, test);
            EXPECT_EQ(read(io, 12, 4), 0u);
            if (read(io, 1, 1) != 1)
                break;
            const u32 data = read(io, 8, 4), offset = read(io, 4, 4);
            EXPECT_LT(offset, io ? 256u : 4096u);
            for (unsigned i = 0; i < 16; ++i)
                write(io, offset, 1, data);
            EXPECT_EQ(read(io, 12, 4), 16u);
            write(io, offset, 1, data + 1);
            EXPECT_EQ(read(io, 12, 4), test == 1 ? 17u : 16u);
            write(!io, (offset & 0xff) | 0x80, 1, data); // the other BAR does not count
            std::string name;
            for (unsigned i = 16; const u32 c = read(io, i, 1); ++i)
                name += static_cast<char>(c);
            EXPECT_EQ(name.substr(0, name.find('-')), io ? "portio" : "mmio");
        }
        EXPECT_EQ(test, 3u);
    }
}

TEST_F(TestdevTest, NoTestReadsZero) {
    EXPECT_EQ(read(false, 0, 4), 0u);
    write(false, 0, 1, 200);
    EXPECT_EQ(read(false, 0, 4), 0u);
    EXPECT_EQ(board.read64(0x1'0000'0000), 0u); // the empty BAR
}

TEST_F(TestdevTest, StateAndReset) {
    write(true, 0, 1, 1);
    write(true, 132, 1, 0);
    const std::vector<u8> saved = pci::save(device);
    device.reset(Reset::warm);
    EXPECT_NE(pci::save(device), saved);
    EXPECT_EQ(pci::load(device, saved), "");
    EXPECT_EQ(read(true, 12, 4), 1u);
    std::vector<u8> bad = saved;
    bad[bad.size() - 5] = 6;
    EXPECT_NE(pci::load(device, bad), "");
    EXPECT_EQ(read(true, 12, 4), 0u);
}

TEST_F(TestdevTest, RandomAccesses) {
    std::mt19937 random(5);
    for (unsigned i = 0; i < 100'000; ++i) {
        const unsigned size = 1u << random() % 3;
        const bool io = random() % 2;
        const unsigned offset = static_cast<unsigned>(align_down(random() % (io ? 256 : 4096), size));
        write(io, random() % 4 ? offset : 0, size, static_cast<u32>(random()) % (random() % 2 ? 4 : 256));
        read(io, offset, size);
    }
    EXPECT_EQ(device.config_read(0, 4), 0x00051b36u);
}
