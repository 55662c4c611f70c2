// SPDX-License-Identifier: Apache-2.0
// Filters for flows: their order, and the flow director's table.
#include "vtc/filters.h"

#include "vtc/flow_director.h"
#include "vtc/spec/i82599.h"

#include "pci/test_board.h"

#include <gtest/gtest.h>

namespace vitrine::vtc {
namespace {

using namespace i82599;

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2.
std::vector<u8> packet(u8 protocol, u16 source, u16 destination, u8 flags = 0, int tag = -1) {
    std::vector<u8> f(12);
    if (tag >= 0)
        f.insert(f.end(), {0x81, 0, static_cast<u8>(tag >> 8), static_cast<u8>(tag)});
    f.insert(f.end(), {0x08, 0x00});
    const std::size_t ip = f.size();
    f.resize(ip + 60);
    f[ip] = 0x45;
    put16(f, ip + 2, 60);
    f[ip + 9] = protocol;
    put32(f, ip + 12, 0x0a00'0001);
    put32(f, ip + 16, 0x0a00'0002);
    put16(f, ip + 20, source);
    put16(f, ip + 22, destination);
    f[ip + 32] = 0x50;
    f[ip + 33] = flags;
    return f;
}

TEST(Filters, TheFirstKindThatMatchesHasTheQueue) {
    Filters f;
    f.tuples.push_back({.protocol = protocol_tcp, .queue = 3, .rank = 1});
    f.tuples.push_back({.destination = 0x0a00'0002, .destination_port = 80, .queue = 4, .rank = 2});
    f.syn = {.on = true, .queue = 5};
    f.priorities.emplace_back(u8{6}, u8{7});
    f.order();
    const auto web = packet(protocol_tcp, 1000, 80, 2), other = packet(protocol_tcp, 1000, 81), udp = packet(protocol_udp, 1, 2, 0, 6 << 13 | 5);
    EXPECT_EQ(f.queue_of(Packet(web), 0)->queue, 4u) << "the higher rank";
    EXPECT_EQ(f.queue_of(Packet(other), 0)->queue, 3u);
    EXPECT_EQ(f.queue_of(Packet(udp), 0)->queue, 7u) << "by the tag's priority";
    f.syn.first = true;
    EXPECT_EQ(f.queue_of(Packet(web), 0)->queue, 5u);
    f.types.push_back({.index = 2, .type = 0x0800, .pool = 1, .queue = 6});
    EXPECT_EQ(f.queue_of(Packet(web), 0)->queue, 5u) << "another pool's Ethertype";
    EXPECT_EQ(f.queue_of(Packet(web), 1)->queue, 6u);
    EXPECT_FALSE(f.queue_of(Packet(packet(protocol_udp, 1, 2)), 0));
}

TEST(Filters, WhatIsNotTcpUdpOrSctpIsOther) {
    Filters f;
    f.tuples.push_back({.protocol = other_protocol, .queue = 1});
    EXPECT_TRUE(f.queue_of(Packet(packet(1, 0, 0)), 0));
    for (const u8 protocol : {protocol_tcp, protocol_udp, protocol_sctp})
        EXPECT_FALSE(f.queue_of(Packet(packet(protocol, 0, 0)), 0));
}

struct Director : ::testing::Test {
    Bank regs{registers, 128 << 10};
    FlowDirector flows{regs};

    void set(u32 offset, u32 value) {
        regs.at(offset) = value;
        if (offset == fdirctrl || offset == fdircmd)
            few |= flows.written(offset, value);
    }
    void start(bool perfect, u32 memory = 1) {
        set(fdirhkey, 0x3dad'14e2); // the keys that drivers use
        set(fdirskey, 0x174d'3614);
        set(fdirctrl, memory | (perfect ? fdirctrl_perfect : 0) | 6 << 16 | 4u << 28);
    }
    void add(u32 hashes, u32 kind, u32 queue) {
        set(fdirhash, hashes);
        set(fdircmd, 1 | fdircmd_update | fdircmd_queue | kind << 5 | queue << 16);
    }
    bool few = false;
};

/// The hash of one bit of the stream is the key from that bit on: what one looks up in the datasheet's drawing.
TEST_F(Director, HashesAreLinearAndFollowTheKey) {
    constexpr u32 key = 0x3dad'14e2;
    EXPECT_EQ(FlowDirector::hash(key, 0, 0), 0u);
    for (unsigned n = 0; n < 32; ++n)
        for (unsigned m = 0; m < 32; ++m)
            EXPECT_EQ(FlowDirector::hash(key, bit(n) ^ bit(m), 0x20005), FlowDirector::hash(key, static_cast<u32>(bit(n)), 0) ^
                                                                             FlowDirector::hash(key, static_cast<u32>(bit(m)), 0x20005));
    // Bit 16 of the folded dword is the stream's first, and its 33rd: only the key's bit 0 can take the first to the hash's bit 0.
    EXPECT_EQ(FlowDirector::hash(1, 1u << 16, 0) & 1, 1u);
    EXPECT_EQ(FlowDirector::hash(2, 1u << 17, 0) & 1, 1u);
    EXPECT_EQ(FlowDirector::hash(1u << 16, 1, 0) & 1, 1u);
}

TEST_F(Director, PerfectFiltersCompareUnderTheMasks) {
    start(true);
    set(fdirm, fdirm_vlan | fdirm_priority | fdirm_pool | fdirm_flex);
    set(fdirsip4m, ~0u); // any source
    set(fdirtcpm, 0x0000'ffff); // any source port
    const auto web = packet(protocol_tcp, 1000, 80), other = packet(protocol_tcp, 1000, 81);
    const u16 bucket = FlowDirector::hash(0x3dad'14e2, 0x0a00'0002 ^ 80, 2 << 16);
    set(fdiripda, __builtin_bswap32(0x0a00'0002));
    set(fdirport, 80u << 16);
    EXPECT_FALSE(flows.match(Packet(web), 0));
    add(bucket | 7u << 16, 2, 9);
    ASSERT_TRUE(flows.match(Packet(web), 0));
    EXPECT_EQ(flows.match(Packet(web), 0)->queue, 9);
    EXPECT_TRUE(flows.match(Packet(packet(protocol_tcp, 2000, 80, 0, 5)), 3)) << "neither VLAN nor pool are compared";
    EXPECT_FALSE(flows.match(Packet(other), 0));
    EXPECT_FALSE(flows.match(Packet(packet(protocol_udp, 1000, 80)), 0));
    EXPECT_EQ(regs.get(fdirmatch), 3u);
    EXPECT_EQ(regs.get(fdirmiss), 3u);
    EXPECT_EQ(regs.get(fdirfree) & 0xffff, 2045u);

    // As a driver removes one: it asks first.
    set(fdirhash, bucket | 7u << 16);
    set(fdircmd, 3);
    EXPECT_TRUE(regs.get(fdircmd) & fdircmd_valid);
    EXPECT_FALSE(regs.get(fdircmd) & fdircmd_command);
    set(fdircmd, 2);
    EXPECT_FALSE(flows.match(Packet(web), 0));
    set(fdircmd, 3);
    EXPECT_FALSE(regs.get(fdircmd) & fdircmd_valid);
    EXPECT_EQ(regs.get(fdirustat), 0x1'0001u);
}

TEST_F(Director, AFilterUnderAnotherHashIsNeverFound) {
    start(true);
    set(fdirm, fdirm_vlan | fdirm_priority | fdirm_pool | fdirm_flex);
    const u16 bucket = FlowDirector::hash(0x3dad'14e2, 0x0a00'0001 ^ 0x0a00'0002 ^ (1000u << 16 | 80), 2 << 16);
    set(fdiripsa, __builtin_bswap32(0x0a00'0001));
    set(fdiripda, __builtin_bswap32(0x0a00'0002));
    set(fdirport, 80u << 16 | 1000);
    add((bucket ^ 1u) | 7u << 16, 2, 9);
    EXPECT_FALSE(flows.match(Packet(packet(protocol_tcp, 1000, 80)), 0));
    add(bucket | 8u << 16, 2, 9);
    EXPECT_TRUE(flows.match(Packet(packet(protocol_tcp, 1000, 80)), 0));
}

TEST_F(Director, FullTablesRefuseAndTellBefore) {
    start(false);
    for (u32 n = 0; n < 8190 - 64 - 1; ++n)
        add(n, 2, 1);
    EXPECT_FALSE(few);
    add(8191, 2, 1);
    EXPECT_TRUE(few);
    for (u32 n = 0; n < 100; ++n)
        add(n | 1u << 16, 2, 1);
    EXPECT_EQ(regs.get(fdirfstat), 36u);
    EXPECT_EQ(regs.get(fdirfree) & 0xffff, 0u);
    set(fdircmd, fdircmd_clear);
    set(fdirctrl, regs.get(fdirctrl) & ~fdirctrl_done);
    EXPECT_EQ(regs.get(fdirfree) & 0xffff, 8190u);
}

TEST_F(Director, ItsStateIsItsFilters) {
    start(false);
    const auto web = packet(protocol_tcp, 1000, 80);
    const u32 folded = 0x0a00'0001 ^ 0x0a00'0002 ^ (1000u << 16 | 80) ^ 0x0800'0000;
    add(FlowDirector::hash(0x3dad'14e2, folded, 2 << 16) | u32{FlowDirector::hash(0x174d'3614, folded, 2 << 16)} << 16, 2, 33);
    ASSERT_TRUE(flows.match(Packet(web), 0));
    pci::Tape saved;
    flows.state(saved);
    FlowDirector again(regs);
    pci::Tape load(saved.data), compare;
    again.state(load);
    EXPECT_EQ(load.refused, "");
    EXPECT_EQ(again.match(Packet(web), 0)->queue, 33);
    again.state(compare);
    EXPECT_EQ(compare.data, saved.data);
}

} // namespace
} // namespace vitrine::vtc
