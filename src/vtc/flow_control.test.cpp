// SPDX-License-Identifier: Apache-2.0
// Pause frames: their form, a port that heeds them, and one whose packet buffer is nearly full.
#include "vtc/flow_control.h"

#include "vtc/test_bench.h"

#include <gtest/gtest.h>

namespace vitrine::vtc {
namespace {

TEST(Pause, IsAFrameAndBack) {
    Pause link;
    link.quanta.fill(0x1234);
    const auto frame = link.frame(other);
    const std::vector<u8> head = {0x01, 0x80, 0xc2, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02, 0x88, 0x08, 0, 1, 0x12, 0x34};
    EXPECT_EQ(std::vector<u8>(frame.begin(), frame.begin() + 18), head);
    EXPECT_EQ(frame.size(), 60u);
    ASSERT_TRUE(Pause::in(Packet(frame)));
    EXPECT_FALSE(Pause::in(Packet(frame))->priorities);
    EXPECT_EQ(Pause::in(Packet(frame))->quanta[0], 0x1234);
    Pause some{.priorities = true, .which = 0b1010, .quanta = {1, 2, 3, 4, 5, 6, 7, 8}};
    const auto found = Pause::in(Packet(some.frame(other)));
    ASSERT_TRUE(found && found->priorities);
    EXPECT_EQ(found->which, 0b1010);
    EXPECT_EQ(found->quanta[1], 2);
    EXPECT_EQ(found->quanta[3], 4);
    EXPECT_EQ(found->quanta[0], 0) << "of a priority that is not in the vector";
    auto shorter = some.frame(other);
    shorter.resize(33);
    EXPECT_FALSE(Pause::in(Packet(shorter)));
    auto elsewhere = frame;
    elsewhere[5] = 2;
    EXPECT_FALSE(Pause::in(Packet(elsewhere)));
}

template <class T> struct Flow;

template <> struct Flow<I82576> {
    static constexpr u64 quantum = 512; ///< nanoseconds
    static void heed(auto& b, bool on) { b.set(i82576::ctrl, (b.get(i82576::ctrl) & ~(1u << 27)) | (on ? 1u << 27 : 0)); }
    static void send(auto& b, u32 high, u32 low, u32 time, u32 refresh) {
        b.set(i82576::ctrl, b.get(i82576::ctrl) | 1u << 28);
        b.set(i82576::fcrth, high), b.set(i82576::fcrtl, low | i82576::fcrtl_xon), b.set(i82576::fcttv, time), b.set(i82576::fcrtv, refresh);
    }
    static constexpr u32 xoff_received = i82576::xoffrxc, xon_received = i82576::xonrxc, xoff_sent = i82576::xofftxc, xon_sent = i82576::xontxc;
};

template <> struct Flow<I82599> {
    static constexpr u64 quantum = 51; ///< and a fifth
    static void heed(auto& b, bool on) { b.set(i82599::mflcn, i82599::mflcn_discard_pause | (on ? i82599::mflcn_link : 0)); }
    static void send(auto& b, u32 high, u32 low, u32 time, u32 refresh) {
        b.set(i82599::fccfg, i82599::fccfg_link);
        b.set(i82599::fcrth, high | i82599::fcrth_on), b.set(i82599::fcrtl, low | i82599::fcrtl_xon), b.set(i82599::fcttv, time), b.set(i82599::fcrtv, refresh);
    }
    static constexpr u32 xoff_received = i82599::lxoffrxcnt, xon_received = i82599::lxonrxcnt, xoff_sent = i82599::lxofftxc, xon_sent = i82599::lxontxc;
};

template <class T> class Flows : public ::testing::Test {
public:
    Bench<T> b;
    static constexpr u32 rx = PortOf<T>::rx(0), tx = PortOf<T>::tx(0);

    void start() {
        b.open();
        b.rings(rx, tx);
    }
    static std::vector<u8> pause(u16 quanta) {
        Pause p;
        p.quanta.fill(quanta);
        return p.frame(other);
    }
};
using Chips = ::testing::Types<I82576, I82599>;
TYPED_TEST_SUITE(Flows, Chips);

TYPED_TEST(Flows, WaitAsLongAsThePartnerSays) {
    auto& b = this->b;
    using F = Flow<TypeParam>;
    this->start();
    F::heed(b, true);
    b.nic.receive(TestFixture::pause(40'000));
    EXPECT_EQ(b.get(TestFixture::rx + ring::head), 0u) << "it is nobody else's business";
    EXPECT_EQ(b.get(F::xoff_received), 1u);
    EXPECT_EQ(b.nic.port_counters().rx_control, 1u);
    b.send(TestFixture::tx, counting_frame(other, own)); // a millisecond
    EXPECT_TRUE(b.wire.frames.empty());
    b.board.pass(40'000 * F::quantum + 40'000);
    EXPECT_EQ(b.wire.frames.size(), 1u) << "the time is over";
    b.nic.receive(TestFixture::pause(40'000));
    b.send(TestFixture::tx, counting_frame(other, own));
    EXPECT_EQ(b.wire.frames.size(), 1u);
    b.nic.receive(TestFixture::pause(0));
    EXPECT_EQ(b.get(F::xon_received), 1u);
    b.board.pass(10'000);
    EXPECT_EQ(b.wire.frames.size(), 2u) << "it may go on";
}

TYPED_TEST(Flows, DoNotWaitWhenTheyNeedNot) {
    auto& b = this->b;
    this->start();
    Flow<TypeParam>::heed(b, false);
    b.nic.receive(TestFixture::pause(0xffff));
    b.send(TestFixture::tx, counting_frame(other, own));
    EXPECT_EQ(b.wire.frames.size(), 1u);
}

TYPED_TEST(Flows, StopAPartnerBeforeFramesAreLost) {
    auto& b = this->b;
    using F = Flow<TypeParam>;
    this->start();
    F::send(b, 4096, 2048, 1000, 400);
    for (unsigned n = 0; n < ring_entries - 1 + 4; ++n) // four wait
        b.nic.receive(counting_frame(own, other, 1000));
    EXPECT_TRUE(b.wire.frames.empty());
    b.nic.receive(counting_frame(own, other, 1000));
    ASSERT_EQ(b.wire.frames.size(), 1u) << "more than 4 KiB wait";
    ASSERT_TRUE(Pause::in(Packet(b.wire.frames[0])));
    EXPECT_EQ(Pause::in(Packet(b.wire.frames[0]))->quanta[0], 1000);
    EXPECT_EQ(Packet(b.wire.frames[0]).source, own);
    b.nic.receive(counting_frame(own, other, 1000));
    EXPECT_EQ(b.wire.frames.size(), 1u) << "it has been told";
    b.board.pass(600 * F::quantum + 1000);
    EXPECT_EQ(b.wire.frames.size(), 2u) << "400 quanta before the end it is told again";
    EXPECT_EQ(b.get(F::xoff_sent), 2u);
    b.set(TestFixture::rx + ring::tail, 4); // descriptors for five of the six
    b.board.pass(10'000);
    ASSERT_EQ(b.wire.frames.size(), 3u);
    EXPECT_EQ(Pause::in(Packet(b.wire.frames[2]))->quanta[0], 0);
    EXPECT_EQ(b.get(F::xon_sent), 1u);
    b.board.pass(1'000'000);
    EXPECT_EQ(b.wire.frames.size(), 3u);
    EXPECT_EQ(b.nic.port_counters().tx_control, 3u);
    EXPECT_EQ(b.nic.port_counters().tx_frames, 0u);
}

TYPED_TEST(Flows, AreState) {
    auto& b = this->b;
    this->start();
    Flow<TypeParam>::send(b, 4096, 2048, 1000, 400);
    Flow<TypeParam>::heed(b, true);
    b.nic.receive(TestFixture::pause(9));
    for (unsigned n = 0; n < ring_entries + 5; ++n)
        b.nic.receive(counting_frame(own, other, 1000));
    const std::vector<u8> saved = pci::save(b.nic);
    Bench<TypeParam> again;
    EXPECT_EQ(pci::load(again.nic, saved), "");
    EXPECT_EQ(pci::save(again.nic), saved);
}

TEST(PriorityPause, StopsItsClassAlone) {
    using namespace i82599;
    Bench<I82599> b;
    b.open();
    b.set(mtqc, 1 | 8);
    b.set(rttup2tc, 1u << (3 * 5)); // priority 5 is class 1, all others are class 0
    b.set(mflcn, mflcn_priorities | mflcn_discard_pause);
    b.rings(PortOf<I82599>::rx(0), PortOf<I82599>::tx(0));
    b.rings(PortOf<I82599>::rx(1), PortOf<I82599>::tx(64), 0x1000);
    Pause p{.priorities = true, .which = 1u << 5};
    p.quanta.fill(60'000);
    b.nic.receive(p.frame(other));
    EXPECT_EQ(b.get(pxoffrxcnt + 4 * 5), 1u);
    b.send(PortOf<I82599>::tx(64), counting_frame(other, own), 0x1000);
    EXPECT_TRUE(b.wire.frames.empty());
    b.send(PortOf<I82599>::tx(0), counting_frame(other, own));
    EXPECT_EQ(b.wire.frames.size(), 1u);
    b.board.pass(60'000 * 52);
    EXPECT_EQ(b.wire.frames.size(), 2u);
}

TEST(PriorityPause, IsSentForThePrioritiesOfTheFullBuffer) {
    using namespace i82599;
    Bench<I82599> b;
    b.open();
    b.set(mrqc, 3);
    b.set(rtrup2tc, 1u << (3 * 5) | 1u << (3 * 6));
    b.set(rxpbsize, 64 << 10), b.set(rxpbsize + 4, 64 << 10);
    b.set(fccfg, fccfg_priorities);
    b.set(fcrth + 4, 2048 | fcrth_on), b.set(fcrtl + 4, 1024 | fcrtl_xon), b.set(fcttv, 0x0777'0000);
    b.rings(PortOf<I82599>::rx(32), PortOf<I82599>::tx(0));
    b.set(PortOf<I82599>::rx(32) + ring::tail, 0);
    auto f = counting_frame(own, other, 1000);
    f[12] = 0x81, f[13] = 0, f[14] = 5 << 5, f[15] = 0;
    for (unsigned n = 0; n < 3; ++n)
        b.nic.receive(f);
    ASSERT_EQ(b.wire.frames.size(), 1u);
    const auto found = Pause::in(Packet(b.wire.frames[0]));
    ASSERT_TRUE(found && found->priorities);
    EXPECT_EQ(found->which, 0b0110'0000);
    EXPECT_EQ(found->quanta[5], 0x777);
    EXPECT_EQ(b.get(pxofftxc + 4 * 5), 1u);
    EXPECT_EQ(b.get(pxofftxc), 0u);
}

} // namespace
} // namespace vitrine::vtc
