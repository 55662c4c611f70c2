// SPDX-License-Identifier: Apache-2.0
// Tests of bridges and of the assigner: routing, windows, gates, rotation, bus reset, ARI, ACS; addresses that fit and
// repeat.
#include "pci/bridge.h"

#include "pci/assign.h"
#include "pci/express.h"
#include "pci/test_board.h"

#include <gtest/gtest.h>

#include <random>

using namespace vitrine;
using namespace vitrine::pci;

namespace {

struct Endpoint : Function {
    Endpoint(const Platform& platform, BarKind kind, u64 size, std::string name = "endpoint")
        : Function(platform, std::move(name), {0x1234, 0x0001, 0, 0xff0000}) {
        add_bar(0, {.kind = kind, .size = size, .name = "bar"});
        config().set_reset(interrupt_pin, 1, 1);
        config().set(interrupt_pin, 1, 1);
        add<Express>(0x40, Express::Options{});
    }

    void bar_access(unsigned, Access& a) override {
        if (!a.write)
            a.value = 0x5a5a0000 | a.offset;
    }

    void device_reset(Reset) override { ++resets; }

    void device_state(Visitor&) override {}

    unsigned resets = 0;
};

constexpr std::array<u8, 8> irqs{10, 10, 11, 11, 16, 17, 18, 19};

AddressSpace address_space() {
    return {.memory_64 = {0x10'0000'0000, 0x1f'ffff'ffff}, .taken = {{0xb000'0000, 0xbfff'ffff}}};
}

struct Tree : testing::Test {
    TestBoard board;
    RootPort port1{board.platform, "port1", 1}, port2{board.platform, "port2", 2}, below{board.platform, "below", 3};
    Endpoint small{board.platform, BarKind::memory_32, 0x1000}, ports{board.platform, BarKind::io, 0x40},
        big{board.platform, BarKind::memory_64_prefetchable, 1_GiB}, deep{board.platform, BarKind::memory_64, 64_KiB};

    Tree() {
        board.root.bus().attach(port1, 0x1c, 0);
        board.root.bus().attach(port2, 0x1c, 1);
        board.root.bus().attach(small, 2);
        port1.secondary().attach(ports, 0, 0);
        port1.secondary().attach(big, 0, 1);
        port2.secondary().attach(below, 0);
        below.secondary().attach(deep, 0);
    }

    u64 bar(const Function& f) { return f.bar_address(0).value_or(0); }
};

} // namespace

TEST_F(Tree, NumbersAndAddresses) {
    auto done = assign(board.root, address_space(), irqs);
    ASSERT_TRUE(done.ok());
    EXPECT_EQ(done.value().last_bus, 3);
    EXPECT_EQ(port1.secondary_number(), 1);
    EXPECT_EQ(port2.secondary_number(), 2);
    EXPECT_EQ(port2.subordinate_number(), 3);
    EXPECT_EQ(below.secondary_number(), 3);
    EXPECT_EQ(board.root.find(0x0300), &deep);
    EXPECT_EQ(board.root.find(0x0101), &big);
    EXPECT_EQ(board.root.find(0x0400), nullptr);
    EXPECT_EQ(deep.requester_id(), 0x0300);

    EXPECT_EQ(bar(big), 0x10'0000'0000u);
    EXPECT_EQ(bar(ports), 0x6000u);
    EXPECT_EQ(board.read32(bar(small) + 8), 0x5a5a0008u);
    EXPECT_EQ(board.read32(bar(deep) + 8), 0x5a5a0008u);
    EXPECT_EQ(board.read32(bar(big) + 0x3fff'fff8), 0x7fffu << 16 | 0xfff8u);
    EXPECT_EQ(board.in(0x6010, 4), 0x5a5a0010u);
    EXPECT_GE(done.value().memory_32.base, 0xc000'0000u);
    EXPECT_EQ(done.value().memory_64.limit, 0x10'3fff'ffffu);
    EXPECT_FALSE(small.may_master());
    EXPECT_TRUE(port1.may_master());
    // Device 0 behind port 1 (0:1c.0): PIRQA; the endpoint 2.0 on the root bus: PIRQG.
    EXPECT_EQ(ports.config().get(interrupt_line, 1), 10u);
    EXPECT_EQ(small.config().get(interrupt_line, 1), 18u);
}

TEST_F(Tree, TheSameAgain) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    Tape first;
    board.root.bus().for_each([&](Function& f) { f.state(first); });
    board.root.bus().for_each([&](Function& f) { f.reset(Reset::cold); });
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    Tape second;
    board.root.bus().for_each([&](Function& f) { f.state(second); });
    EXPECT_EQ(first.data, second.data);
}

TEST_F(Tree, TooMuchIsAnError) {
    AddressSpace space = address_space();
    space.memory_64 = {0x10'0000'0000, 0x10'0fff'ffff};
    const auto done = assign(board.root, space, irqs);
    ASSERT_FALSE(done.ok());
    EXPECT_NE(done.error().message.find("64-bit memory space"), std::string::npos);
}

TEST_F(Tree, TakenRangesAreLeftOut) {
    AddressSpace space = address_space();
    space.taken.push_back({0xc000'0000, 0xc7ff'ffff});
    ASSERT_TRUE(assign(board.root, space, irqs).ok());
    EXPECT_GE(bar(small), 0xc800'0000u);
    EXPECT_GE(bar(deep), 0xc800'0000u);
}

TEST_F(Tree, WindowsAndEnablesGate) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    const u64 at = bar(deep);
    const auto seen = [&] { return board.read32(at) == 0x5a5a0000; };
    EXPECT_TRUE(seen());
    port2.config_write(command_offset, 2, 0); // an upper bridge closes
    EXPECT_FALSE(seen());
    port2.config_write(command_offset, 2, 6);
    EXPECT_TRUE(seen());
    const u32 window = port2.config_read(memory_base, 4);
    port2.config_write(memory_base, 4, 0x0000fff0);
    EXPECT_FALSE(seen());
    port2.config_write(memory_base, 4, window);
    EXPECT_TRUE(seen());
    below.config_write(memory_limit, 2, 0);
    EXPECT_FALSE(seen());
}

TEST_F(Tree, UpstreamGates) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    deep.config_write(command_offset, 2, 6);
    EXPECT_TRUE(deep.may_master());
    port2.config_write(command_offset, 2, 2);
    EXPECT_FALSE(deep.may_master());
    port2.config_write(command_offset, 2, 6);
    // Access control: a bus number outside the port's range is no valid source.
    port2.config_write(0x146, 2, 1);
    EXPECT_TRUE(deep.may_master());
    port2.config_write(subordinate_bus, 1, 2);
    EXPECT_FALSE(deep.may_master());
    port2.config_write(0x146, 2, 0);
    EXPECT_TRUE(deep.may_master());
}

TEST_F(Tree, RoutingFollowsTheNumbers) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    port1.config_write(primary_bus, 4, 0x00201000);
    EXPECT_EQ(board.root.find(0x1000), &ports);
    EXPECT_EQ(ports.requester_id(), 0x1000);
    EXPECT_EQ(board.root.find(0x0100), nullptr);
    // Two bridges with the same range: the first answers.
    port2.config_write(primary_bus, 4, 0x00201000);
    EXPECT_EQ(board.root.find(0x1000), &ports);
}

TEST_F(Tree, OneDevicePerLinkUnlessAri) {
    Endpoint far{board.platform, BarKind::memory_32, 0x1000};
    port1.secondary().attach(far, 16);
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    EXPECT_EQ(board.root.find(0x0180), nullptr);
    port1.config_write(0x70 + 0x28, 2, 0x20);
    EXPECT_EQ(board.root.find(0x0180), &far);
}

TEST_F(Tree, PinsRotate) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    Endpoint second{board.platform, BarKind::memory_32, 0x1000};
    port1.secondary().attach(second, 1); // INTA of device 1 is INTB above
    second.set_intx(true);
    EXPECT_TRUE(board.root.pirq_level(1));
    deep.set_intx(true);
    EXPECT_TRUE(board.root.pirq_level(0));
    second.set_intx(false);
    EXPECT_FALSE(board.root.pirq_level(1));
}

TEST_F(Tree, SecondaryBusResetReachesAllBelow) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    port2.config_write(bridge_control_offset, 2, 0x40);
    EXPECT_EQ(deep.resets, 1u);
    EXPECT_EQ(below.secondary_number(), 0);
    EXPECT_EQ(port2.secondary_number(), 2);
    port2.config_write(bridge_control_offset, 2, 0x40);
    EXPECT_EQ(deep.resets, 1u);
    port2.config_write(bridge_control_offset, 2, 0);
    port2.config_write(bridge_control_offset, 2, 0x40);
    EXPECT_EQ(deep.resets, 2u);
    EXPECT_EQ(ports.resets, 0u);
}

TEST_F(Tree, MultiFunctionBit) {
    EXPECT_EQ(port1.config().get(header_type, 1), 0x81u);
    EXPECT_EQ(small.config().get(header_type, 1), 0u);
    port1.reset(Reset::cold);
    EXPECT_EQ(port1.config().get(header_type, 1), 0x81u);
}

TEST_F(Tree, RandomConfigurationNeverBreaksIt) {
    board.root.map_ecam({0xb000'0000, 256_MiB});
    std::mt19937_64 random(11);
    std::vector<Function*> all;
    board.root.bus().for_each([&](Function& f) { all.push_back(&f); });
    for (unsigned i = 0; i < 100'000; ++i) {
        Function& f = *all[random() % all.size()];
        const unsigned size = 1u << random() % 3;
        const unsigned offset = static_cast<unsigned>(align_down(random() % (random() % 4 ? 0x40 : 0x200), size));
        switch (random() % 5) {
        case 0: // by routing id: only what is reachable
            board.root.config_write(static_cast<u16>(random() % 0x400), offset, size, static_cast<u32>(random()));
            break;
        case 1:
            f.config_write(offset, size, static_cast<u32>(random() % 2 ? random() : random() % 8));
            break;
        case 2: {
            u8 data[16]{};
            static_cast<void>(
                f.dma_write(DeviceAddress{random() % 3 ? random() % 0x10000 : random() % (1ull << 33)}, data));
            break;
        }
        case 3:
            f.set_intx(random() & 1);
            break;
        default:
            board.read32(0xb000'0000 + align_down(random() % 256_MiB, 4));
            f.message(0xfee0'0000, static_cast<u32>(random()));
        }
    }
    board.root.bus().for_each([&](Function& f) { f.reset(Reset::cold); });
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    EXPECT_EQ(board.read32(bar(deep)), 0x5a5a0000u);
    EXPECT_FALSE(board.root.pirq_level(0) || board.root.pirq_level(6));
}

TEST_F(Tree, StateOfATreeRoundTrips) {
    ASSERT_TRUE(assign(board.root, address_space(), irqs).ok());
    Tape tape;
    board.root.bus().for_each([&](Function& f) { f.state(tape); });
    const u64 at = bar(deep);
    board.root.bus().for_each([&](Function& f) { f.reset(Reset::cold); });
    EXPECT_EQ(board.read32(at), 0xffffffffu);
    Tape back(tape.data);
    board.root.bus().for_each([&](Function& f) { f.state(back); });
    EXPECT_EQ(back.refused, "");
    EXPECT_EQ(board.read32(at), 0x5a5a0000u);
    EXPECT_EQ(board.root.find(0x0300), &deep);
}
