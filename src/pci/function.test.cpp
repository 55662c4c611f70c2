// SPDX-License-Identifier: Apache-2.0
// Tests of functions and the root complex: both ways into configuration space, BARs, interrupts, DMA gates, resets,
// state.
#include "pci/function.h"

#include "pci/express.h"
#include "pci/extended.h"
#include "pci/msi.h"
#include "pci/msix.h"
#include "pci/power.h"
#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;
using namespace vitrine::pci;

namespace {

constexpr u64 ecam = 0xb000'0000;

struct Probe : Function {
    explicit Probe(const Platform& platform, bool express = true)
        : Function(platform, "probe", {0x1234, 0x5678, 1, 0xff0000, 0xaaaa, 0xbbbb}) {
        add_bar(0, {.kind = BarKind::memory_32, .size = 0x4000, .name = "registers", .max_size = 8});
        add_bar(2, {.kind = BarKind::io, .size = 0x20, .name = "ports"});
        add_bar(4, {.kind = BarKind::memory_64_prefetchable, .size = 1_MiB, .name = "memory"});
        config().set_reset(interrupt_pin, 1, 1);
        config().set(interrupt_pin, 1, 1);
        add<PowerManagement>(0x40);
        add<Msi>(0x50, 4u);
        add<Msix>(0x70, Msix::Options{.vectors = 3, .bar = 0, .table = 0x2000, .pending = 0x3000});
        if (!express)
            return;
        add<Express>(0x80, Express::Options{});
        add<Aer>(0x100);
        add<Ari>(0x150);
        add<DeviceSerialNumber>(0x160, 0x1122334455667788ull);
    }

    void bar_access(unsigned bar, Access& a) override {
        if (a.write)
            last = a.value;
        else
            a.value = bar << 24 | a.offset;
    }

    void device_reset(Reset) override { ++resets; }

    void device_state(Visitor& v) override { v.field("last", last); }

    u64 last = 0;
    unsigned resets = 0;
};

struct OnBoard : testing::Test {
    TestBoard board;
    Probe probe{board.platform};

    OnBoard() {
        board.root.map_ecam({ecam, 256_MiB});
        board.root.bus().attach(probe, 3);
    }

    void config(unsigned offset, unsigned size, u32 value) { board.root.config_write(0x18, offset, size, value); }

    u32 config(unsigned offset, unsigned size) { return board.root.config_read(0x18, offset, size); }
};

} // namespace

TEST_F(OnBoard, BothWaysSeeTheSameSpace) {
    EXPECT_EQ(board.read32(ecam + (3 << 15)), 0x56781234u);
    board.out(0xcf8, 4, 0x80001800);
    EXPECT_EQ(board.in(0xcf8, 4), 0x80001800u);
    EXPECT_EQ(board.in(0xcfc, 4), 0x56781234u);
    EXPECT_EQ(board.in(0xcfe, 2), 0x5678u);
    board.out(0xcf8, 4, 0x80001804);
    board.out(0xcfc, 1, 2);
    EXPECT_EQ(board.read32(ecam + (3 << 15) + 4) & 0xffff, 2u);
    // Enable bit clear, or nobody there: all ones.
    board.out(0xcf8, 4, 0x00001800);
    EXPECT_EQ(board.in(0xcfc, 4), 0xffffffffu);
    EXPECT_EQ(board.read32(ecam + (4 << 15)), 0xffffffffu);
    EXPECT_EQ(board.read32(ecam + (200u << 20)), 0xffffffffu);
    // A narrow access to the address port is not the register.
    board.out(0xcf8, 1, 0xff);
    EXPECT_EQ(board.in(0xcf8, 4), 0x00001800u);
}

TEST_F(OnBoard, EcamMoves) {
    board.root.map_ecam({0xa000'0000, 64_MiB});
    EXPECT_EQ(board.read32(0xa000'0000 + (3 << 15)), 0x56781234u);
    EXPECT_EQ(board.read32(ecam + (3 << 15)), 0xffffffffu);
    board.root.unmap_ecam();
    EXPECT_FALSE(board.root.ecam());
}

TEST_F(OnBoard, ExtendedSpaceOnlyForExpress) {
    EXPECT_EQ(config(0x100, 4) & 0xffff, 1u);
    Probe plain{board.platform, false};
    board.root.bus().attach(plain, 4);
    EXPECT_EQ(board.root.config_read(0x20, 0x100, 4), 0xffffffffu);
    EXPECT_EQ(probe.extended(ExtendedId::device_serial_number), 0x160u);
    EXPECT_EQ(probe.extended(ExtendedId::single_root_io_virtualization), 0u);
}

TEST_F(OnBoard, CapabilityListsAreWhole) {
    std::vector<u32> ids;
    for (unsigned at = config(capabilities_pointer, 1); at; at = config(at + 1, 1))
        ids.push_back(config(at, 1));
    EXPECT_EQ(ids, (std::vector<u32>{1, 5, 0x11, 0x10}));
    ids.clear();
    for (unsigned at = 0x100; at; at = config(at, 4) >> 20)
        ids.push_back(config(at, 4) & 0xffff);
    EXPECT_EQ(ids, (std::vector<u32>{1, 0xe, 3}));
    EXPECT_TRUE(config(status_offset, 2) & 0x10);
}

TEST_F(OnBoard, BarsAreSizedAndMapped) {
    config(bar0, 4, 0xffffffff);
    EXPECT_EQ(config(bar0, 4), 0xffffc000u);
    config(bar0 + 8, 4, 0xffffffff);
    EXPECT_EQ(config(bar0 + 8, 4), 0xffffffe1u);
    config(bar0 + 16, 4, 0xffffffff);
    config(bar0 + 20, 4, 0xffffffff);
    EXPECT_EQ(config(bar0 + 16, 4), 0xfff0000cu);
    EXPECT_EQ(config(bar0 + 20, 4), 0xffffffffu);
    EXPECT_EQ(config(bar0 + 4, 4), 0u);

    config(bar0, 4, 0xc0000000);
    config(bar0 + 8, 4, 0x6000);
    config(bar0 + 16, 4, 0);
    config(bar0 + 20, 4, 8);
    EXPECT_EQ(board.read32(0xc0000010), 0xffffffffu); // not decoded yet
    config(command_offset, 2, 3);
    EXPECT_EQ(board.read32(0xc0000010), 0x10u);
    EXPECT_EQ(board.in(0x6004, 4), 0x02000004u);
    EXPECT_EQ(board.read32(0x8'0000'0020), 0x04000020u);
    config(bar0, 4, 0xd0000000);
    EXPECT_EQ(board.read32(0xc0000010), 0xffffffffu);
    EXPECT_EQ(board.read32(0xd0000010), 0x10u);
    // Finding out the size with decoding on maps nothing at the end of the space, nor at 0.
    config(bar0, 4, 0xffffffff);
    EXPECT_EQ(board.read32(0xffffc000), 0xffffffffu);
    config(bar0 + 8, 4, 0xffffffff);
    EXPECT_EQ(board.in(0xffe0, 1), 0xffu);
    config(command_offset, 2, 0);
    EXPECT_EQ(board.read32(0x8'0000'0020), 0xffffffffu);
}

TEST_F(OnBoard, BelowD0NothingIsDecodedAndNothingSent) {
    config(bar0, 4, 0xc0000000);
    config(command_offset, 2, 6);
    EXPECT_EQ(board.read32(0xc0000010), 0x10u);
    config(0x44, 2, 3);
    EXPECT_EQ(board.read32(0xc0000010), 0xffffffffu);
    u8 byte = 0;
    EXPECT_FALSE(probe.dma_read(DeviceAddress{0}, {&byte, 1}));
    config(0x44, 2, 1); // D1 does not exist
    EXPECT_EQ(config(0x44, 2) & 3, 3u);
    config(0x44, 2, 0);
    EXPECT_EQ(board.read32(0xc0000010), 0x10u);
    EXPECT_EQ(config(command_offset, 2), 6u);
}

TEST_F(OnBoard, DmaCarriesTheRequesterAndNeedsBusMaster) {
    std::array<u8, 4> data{1, 2, 3, 4};
    EXPECT_FALSE(probe.dma_write(DeviceAddress{0x1000}, data));
    EXPECT_FALSE(probe.dma_read(DeviceAddress{0x1000}, data));
    EXPECT_EQ(data, (std::array<u8, 4>{0xff, 0xff, 0xff, 0xff}));
    EXPECT_TRUE(config(status_offset, 2) & 0x2000);
    config(command_offset, 2, 4);
    data = {1, 2, 3, 4};
    EXPECT_TRUE(probe.dma_write(DeviceAddress{0x1000}, data));
    EXPECT_EQ(board.read32(0x1000), 0x04030201u);
    probe.message(0xfee00000, 0x41);
    EXPECT_EQ(board.msi.entries, (std::vector<MessageLog::Entry>{{0x18, 0xfee00000, 0x41}}));
}

TEST_F(OnBoard, MessagesElsewhereAreMemoryWrites) {
    config(command_offset, 2, 4);
    probe.message(0x2000, 0x12345678);
    EXPECT_EQ(board.read32(0x2000), 0x12345678u);
    probe.message(0x1'fee0'0000, 1);
    EXPECT_TRUE(board.msi.entries.empty());
}

TEST_F(OnBoard, MsiWithMasks) {
    config(command_offset, 2, 4);
    Msi& msi = *probe.msi();
    msi.trigger(0);
    EXPECT_TRUE(board.msi.entries.empty());
    config(0x54, 4, 0xfee01000);
    config(0x5c, 2, 0x4041);
    config(0x52, 2, 1 | 1 << 4); // two vectors granted
    msi.trigger(0);
    msi.trigger(3);
    ASSERT_EQ(board.msi.entries.size(), 2u);
    EXPECT_EQ(board.msi.entries[0].data, 0x4040u);
    EXPECT_EQ(board.msi.entries[1].data, 0x4041u);
    config(0x60, 4, 3);
    msi.trigger(1);
    EXPECT_EQ(config(0x64, 4), 2u);
    EXPECT_EQ(board.msi.entries.size(), 2u);
    config(0x60, 4, 1);
    EXPECT_EQ(config(0x64, 4), 0u);
    EXPECT_EQ(board.msi.entries.size(), 3u);
    config(0x52, 2, 1 | 7 << 4); // reserved encoding grants no more than there are
    EXPECT_EQ(msi.granted(), 4u);
}

TEST_F(OnBoard, MsixTableMasksAndPending) {
    config(bar0, 4, 0xc0000000);
    config(command_offset, 2, 6);
    const u64 table = 0xc0002000, pending = 0xc0003000;
    EXPECT_EQ(board.read32(table + 12), 1u);
    board.write64(table + 16, 0xfee02003);
    board.write64(table + 24, 0x55);
    EXPECT_EQ(board.read64(table + 16), 0xfee02000u);
    EXPECT_EQ(board.read64(table + 24), 0x55u);
    probe.msix()->trigger(1); // not enabled
    EXPECT_TRUE(board.msi.entries.empty());
    config(0x72, 2, 0xc000);
    probe.msix()->trigger(1);
    probe.msix()->trigger(0);
    EXPECT_EQ(board.read64(pending), 3u);
    config(0x72, 2, 0x8000);
    EXPECT_EQ(board.msi.entries, (std::vector<MessageLog::Entry>{{0x18, 0xfee02000, 0x55}}));
    EXPECT_EQ(board.read64(pending), 1u);
    board.write64(table, 0xfee00000);
    board.write32(table + 12, 0);
    EXPECT_EQ(board.read64(pending), 0u);
    EXPECT_EQ(board.msi.entries.size(), 2u);
    board.write32(pending, 7);
    EXPECT_EQ(board.read64(pending), 0u);
    // Bytes are not taken; beside the table the device answers.
    EXPECT_EQ(board.space->read<u8>(Physical{table}, Requester::from_cpu(0)), 0xffu);
    EXPECT_EQ(board.read32(table + 48), 0x2030u);
}

TEST_F(OnBoard, PinsReachTheirPirq) {
    probe.set_intx(true);
    EXPECT_EQ(board.pirqs, (std::vector<std::pair<unsigned, bool>>{{7, true}})); // device 3, INTA: PIRQH
    EXPECT_TRUE(config(status_offset, 2) & 8);
    config(command_offset, 2, 0x400);
    EXPECT_FALSE(board.root.pirq_level(7));
    EXPECT_TRUE(config(status_offset, 2) & 8); // the status bit shows the device's wish
    config(command_offset, 2, 0);
    EXPECT_TRUE(board.root.pirq_level(7));
    config(0x52, 2, 1); // MSI takes over
    EXPECT_FALSE(board.root.pirq_level(7));
    config(0x52, 2, 0);
    EXPECT_TRUE(board.root.pirq_level(7));
    board.root.set_route(3, {0, 1, 2, 3});
    EXPECT_TRUE(board.root.pirq_level(0));
    EXPECT_FALSE(board.root.pirq_level(7));
    // Two functions share a wire.
    Probe other{board.platform};
    board.root.bus().attach(other, 25);
    other.set_intx(true);
    probe.set_intx(false);
    EXPECT_TRUE(board.root.pirq_level(0));
    other.set_intx(false);
    EXPECT_FALSE(board.root.pirq_level(0));
}

TEST_F(OnBoard, FunctionLevelReset) {
    config(bar0, 4, 0xc0000000);
    config(command_offset, 2, 7);
    config(interrupt_line, 1, 11);
    config(0x52, 2, 1);
    config(0x108, 4, 0x1000); // sticky
    config(0x88, 2, 0x8000);
    EXPECT_EQ(probe.resets, 1u);
    EXPECT_EQ(config(command_offset, 2), 0u);
    EXPECT_EQ(config(bar0, 4), 0u);
    EXPECT_EQ(config(0x52, 2) & 1, 0u);
    EXPECT_EQ(config(0x108, 4), 0x1000u);
    EXPECT_EQ(config(0x88, 2) & 0x8000, 0u);
    EXPECT_EQ(board.read32(0xc0000010), 0xffffffffu);
    EXPECT_EQ(config(0, 4), 0x56781234u);
    EXPECT_NE(config(capabilities_pointer, 1), 0u);
}

TEST_F(OnBoard, StateRoundTrip) {
    config(bar0, 4, 0xc0000000);
    config(command_offset, 2, 6);
    config(0x72, 2, 0xc000);
    board.write64(0xc0002000, 0xfee00000);
    probe.msix()->trigger(2);
    probe.set_intx(true);
    board.write32(0xc0000000, 0x77);
    config(0x44, 2, 3);
    const std::vector<u8> saved = save(probe);

    TestBoard other;
    Probe again{other.platform};
    other.root.bus().attach(again, 3);
    EXPECT_EQ(load(again, saved), "");
    EXPECT_EQ(save(again), saved);
    other.root.config_write(0x18, 0x44, 2, 0);
    EXPECT_EQ(other.read64(0xc0003000), 4u);
    EXPECT_EQ(again.last, 0x77u);
}

TEST_F(OnBoard, HostileAccessesNeverBreakIt) {
    std::mt19937_64 random(1);
    for (unsigned i = 0; i < 200'000; ++i) {
        const unsigned size = 1u << random() % 3;
        const u32 value = static_cast<u32>(random() % 4 ? random() : ~0ull);
        const u64 offset = align_down(random() % (random() % 2 ? 0x100 : 0x1000), size);
        switch (random() % 6) {
        case 0:
            config(static_cast<unsigned>(offset), size, value);
            break;
        case 1:
            config(static_cast<unsigned>(offset), size);
            break;
        case 2:
            board.out(static_cast<u16>(0xcf8 + random() % 8), size, value);
            break;
        case 3:
            board.space->write<u64>(Physical{(probe.config().get(bar0, 4) & ~0xfu) + random() % 0x4000}, random(),
                                    Requester::from_cpu(0));
            break;
        case 4:
            probe.msix()->trigger(static_cast<unsigned>(random() % 3));
            probe.msi()->trigger(static_cast<unsigned>(random() % 4));
            break;
        default:
            probe.set_intx(random() & 1);
        }
    }
    EXPECT_EQ(config(0, 4), 0x56781234u);
    EXPECT_EQ(config(class_code, 1) | config(class_code + 1, 1), 0u);
}
