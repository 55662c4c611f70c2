// SPDX-License-Identifier: Apache-2.0
// Tests of the LPC bridge's configuration: ACPI base and SCI are told, PIRQs reach both interrupt controllers, routes
// move.
#include "chipset/lpc_pci.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;

namespace {

struct Source : pci::Function {
    explicit Source(const pci::Platform& platform) : Function(platform, "source", {0x1234, 1, 0, 0xff0000}) {
        config().set(pci::interrupt_pin, 1, 1);
    }

    void device_reset(Reset) override {}

    void device_state(Visitor&) override {}
};

struct Lpc : testing::Test {
    pci::TestBoard board;
    u8 io_apic = 0;
    u16 isa = 0;
    LpcPci lpc{board.platform, board.root, lines()};
    Source source{board.platform};

    Lpc() {
        board.root.bus().attach(lpc, 31);
        board.root.bus().attach(source, 27); // INTA: PIRQA until D27IR says otherwise
    }

    LpcPci::Lines lines() {
        LpcPci::Lines l;
        for (unsigned n = 0; n < 8; ++n)
            l.io_apic[n] =
                Line([this, n](bool level) { io_apic = static_cast<u8>((io_apic & ~(1 << n)) | level << n); });
        for (unsigned n = 0; n < 16; ++n)
            l.isa[n] = Line([this, n](bool level) { isa = static_cast<u16>((isa & ~(1 << n)) | level << n); });
        return l;
    }

    void config(unsigned offset, unsigned size, u32 value) { board.root.config_write(0xf8, offset, size, value); }

    u32 config(unsigned offset, unsigned size) { return board.root.config_read(0xf8, offset, size); }
};

} // namespace

TEST_F(Lpc, AcpiBaseAndSciAreTold) {
    u16 base = 0;
    bool decoded = false;
    u8 sci = 0;
    lpc.on_pm_base([&](u16 b, bool d) { base = b, decoded = d; });
    lpc.on_sci([&](u8 gsi) { sci = gsi; });
    lpc.set_up_without_firmware();
    EXPECT_EQ(base, 0x600);
    EXPECT_TRUE(decoded);
    EXPECT_EQ(sci, 9);
    EXPECT_EQ(config(ich9::pmbase, 4), 0x601u);
    config(ich9::pmbase, 4, 0xb000);
    EXPECT_EQ(base, 0xb000);
    config(ich9::acpi_cntl_offset, 1, 0x84);
    EXPECT_EQ(sci, 20);
    config(ich9::acpi_cntl_offset, 1, 0);
    EXPECT_FALSE(decoded);
    lpc.set_up_without_firmware();
    const std::vector<u8> saved = pci::save(lpc);
    lpc.reset(Reset::cold);
    EXPECT_FALSE(decoded);
    EXPECT_EQ(pci::load(lpc, saved), "");
    EXPECT_TRUE(decoded);
    EXPECT_EQ(base, 0x600);
}

TEST_F(Lpc, PirqsReachBothControllers) {
    source.set_intx(true);
    EXPECT_EQ(io_apic, 1);
    EXPECT_EQ(isa, 0); // not routed after reset
    config(ich9::pirq_a, 1, 5);
    EXPECT_EQ(isa, 1 << 5);
    config(ich9::pirq_a, 1, 0x85);
    EXPECT_EQ(isa, 0);
    config(ich9::pirq_a, 1, 8); // reserved
    EXPECT_EQ(isa, 0);
    EXPECT_EQ(lpc.irq_of_pirq()[0], 255);
    lpc.set_up_without_firmware();
    EXPECT_EQ(isa, 1 << 10);
    source.set_intx(false);
    EXPECT_EQ(isa, 0);
    EXPECT_EQ(io_apic, 0);
}

TEST_F(Lpc, RoutesMoveByTheChipsetSpace) {
    lpc.set_up_without_firmware();
    source.set_intx(true);
    EXPECT_EQ(board.read32(0xfed1'c000 + 0x3148) & 0xffff, 0x3210u);
    board.space->write<u16>(Physical{0xfed1'c000 + 0x3148}, u16{0x3217}, Requester::from_cpu(0));
    EXPECT_EQ(io_apic, 0x80);
    EXPECT_EQ(isa, 1 << 11);
    lpc.reset(Reset::warm);
    EXPECT_EQ(io_apic, 1);
    EXPECT_EQ(isa, 0);
    EXPECT_EQ(board.read32(0xfed1'c000 + 0x3148), 0xffff'ffffu);
}

TEST_F(Lpc, StateRoundTrip) {
    lpc.set_up_without_firmware();
    board.space->write<u16>(Physical{0xfed1'c000 + 0x3148}, u16{0x3217}, Requester::from_cpu(0));
    source.set_intx(true);
    const std::vector<u8> root = pci::save(board.root), saved = pci::save(lpc);
    source.set_intx(false);
    lpc.reset(Reset::cold);
    EXPECT_EQ(pci::load(board.root, root), "");
    EXPECT_EQ(pci::load(lpc, saved), "");
    EXPECT_EQ(pci::save(lpc), saved);
    EXPECT_EQ(pci::save(board.root), root);
    EXPECT_EQ(board.read32(0xfed1'c000 + 0x3148) & 0xffff, 0x3217u);
}

TEST_F(Lpc, RandomWritesKeepIdentity) {
    std::mt19937 random(3);
    for (unsigned i = 0; i < 100'000; ++i) {
        config(static_cast<unsigned>(align_down(random() % 0x100, 4)), 4, static_cast<u32>(random()));
        if (config(ich9::rcba_offset, 4) & 1)
            board.write32((config(ich9::rcba_offset, 4) & ~1u) + static_cast<u32>(random() % 0x4000),
                          static_cast<u32>(random()));
        source.set_intx(random() & 1);
    }
    EXPECT_EQ(config(0, 4), 0x2918'8086u);
}
