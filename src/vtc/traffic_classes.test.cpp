// SPDX-License-Identifier: Apache-2.0
// Traffic classes: the arbiter alone, and an 82599 whose queues, packet buffers and turns are by class.
#include "vtc/traffic_classes.h"

#include "vtc/test_bench.h"

#include <gtest/gtest.h>

#include <map>

namespace vitrine::vtc {
namespace {

using namespace i82599;

// ---- the arbiter

ClassRules weighted(std::initializer_list<ClassShare> shares) {
    ClassRules r;
    r.transmit = most_classes;
    r.weighted = true;
    std::copy(shares.begin(), shares.end(), r.shares.begin());
    return r;
}

/// How often each class has a turn of so many bytes when those in `ready` have something all the time.
std::array<unsigned, most_classes> turns(const ClassRules& rules, u8 ready, unsigned count, u64 bytes = 1000) {
    Arbiter arbiter;
    std::array<unsigned, most_classes> result{};
    for (unsigned n = 0; n < count; ++n) {
        ++result[arbiter.next(ready, rules)];
        arbiter.sent(bytes);
    }
    return result;
}

TEST(Arbiter, SharesTheWireByCredits) {
    const auto found = turns(weighted({{.refill = 2000, .most = 8000}, {.refill = 6000, .most = 24000}}), 0b11, 4000);
    EXPECT_NEAR(found[0], 1000u, 10u);
    EXPECT_NEAR(found[1], 3000u, 10u);
}

TEST(Arbiter, GivesAnIdleClassesShareToTheOthers) {
    const ClassRules rules = weighted({{.refill = 2000, .most = 8000}, {.refill = 6000, .most = 24000}, {.refill = 2000, .most = 8000}});
    const auto found = turns(rules, 0b101, 1000);
    EXPECT_EQ(found[1], 0u);
    EXPECT_NEAR(found[0], 500u, 10u);
}

TEST(Arbiter, LetsStrictClassesGoFirstTheHighestOfAll) {
    ClassRules rules = weighted({{.refill = 6000, .most = 24000}, {.refill = 64, .most = 64, .first_of_all = true}, {.refill = 64, .most = 64, .first_of_all = true}});
    EXPECT_EQ(turns(rules, 0b111, 100)[2], 100u);
    EXPECT_EQ(turns(rules, 0b011, 100)[1], 100u);
    EXPECT_EQ(turns(rules, 0b001, 100)[0], 100u);
}

TEST(Arbiter, LetsAGroupsStrictClassUseTheGroupsCredits) {
    const ClassRules rules = weighted({{.refill = 3000, .most = 9000, .group = 0},
                                       {.refill = 3000, .most = 9000, .group = 1},
                                       {.refill = 3000, .most = 9000, .group = 1, .first_in_group = true}});
    const auto found = turns(rules, 0b111, 3000);
    EXPECT_NEAR(found[0], 1000u, 10u);
    EXPECT_EQ(found[1], 0u);
    EXPECT_NEAR(found[2], 2000u, 10u) << "its own share and that of the class it goes before";
}

TEST(Arbiter, TakesTurnsWithoutWeightsAndNeverStopsWithoutCredits) {
    ClassRules rules = weighted({});
    EXPECT_EQ(turns(rules, 0b1001, 100, 200'000)[3], 50u) << "no credits at all";
    rules.weighted = false;
    EXPECT_EQ(turns(rules, 0b1001, 100)[0], 50u);
}

// ---- queues

struct Classes : ::testing::Test {
    Bench<I82599> b;

    /// Four or eight classes; priority p is in class `map(p)`.
    void start(unsigned classes, auto map, bool pools = false) {
        b.open();
        u32 up = 0;
        for (unsigned p = 0; p < user_priorities; ++p)
            up |= static_cast<u32>(map(p)) << (3 * p);
        b.set(rtrup2tc, up);
        b.set(rttup2tc, up);
        b.set(mrqc, pools ? classes == 8 ? 12 : 13 : classes == 8 ? 2 : 3);
        b.set(mtqc, 1 | (pools ? 2 : 0) | (classes == 8 ? 0xc : 8));
        for (unsigned n = 0; n < most_classes; ++n)
            b.set(rxpbsize + 4 * n, n < classes ? (512 / classes) << 10 : 0);
    }

    static std::vector<u8> tagged(unsigned priority, std::size_t size = 64) {
        auto f = counting_frame(own, other, size);
        f[12] = 0x81, f[13] = 0, f[14] = static_cast<u8>(priority << 5), f[15] = 0;
        f[16] = 0x88, f[17] = 0xb5;
        return f;
    }

    u64 got(unsigned queue) { return b.nic.queue_counters(queue).rx_frames; }
    void pair(unsigned rx, unsigned tx, u64 n) { b.rings(PortOf<I82599>::rx(rx), PortOf<I82599>::tx(tx), n * 0x1000); }
};

TEST_F(Classes, ChooseAQueueByTheTagsPriority) {
    start(8, [](unsigned p) { return 7 - p; });
    for (unsigned p = 0; p < user_priorities; ++p)
        pair(16 * p, p, p);
    for (unsigned p = 0; p < user_priorities; ++p) {
        const u64 before = got(16 * (7 - p));
        b.nic.receive(tagged(p));
        EXPECT_EQ(got(16 * (7 - p)), before + 1) << "priority " << p;
    }
    b.nic.receive(counting_frame(own, other));
    EXPECT_EQ(got(16 * 7), 2u) << "without a tag it has priority 0";
}

TEST_F(Classes, SpreadInsideTheClassByItsBits) {
    start(4, [](unsigned p) { return p / 2; });
    b.set(mrqc, 5 | 1u << 17); // and hashes of IPv4 addresses
    for (unsigned n = 0; n < 32; ++n)
        b.set(reta + 4 * n, 0x07060504); // never queues 0 to 3 of sixteen
    b.set(rqtc, 0x1111);
    b.set(rssrk, 0x01020304), b.set(rssrk + 4, 0xa5a5a5a5), b.set(rssrk + 8, 0x3c3c3c3c);
    for (unsigned n = 0; n < 2; ++n)
        pair(64 + n, n, n);
    for (unsigned n = 0; n < ring_entries - 1; ++n) {
        auto f = tagged(4, 80);
        f[16] = 8, f[17] = 0;
        f[18] = 0x45, f[20] = 0, f[21] = 62, f[27] = 1, f[37] = static_cast<u8>(n);
        b.nic.receive(f);
    }
    EXPECT_EQ(got(64) + got(65), ring_entries - 1) << "class 2 begins at queue 64, and has two";
    EXPECT_GT(got(64), 0u);
    EXPECT_GT(got(65), 0u);
}

TEST_F(Classes, WithPoolsArePoolsQueues) {
    start(4, [](unsigned p) { return p / 2; }, true);
    b.set(gcr_ext, 2); // 32 pools of 4 queues
    b.set(vt_ctl, 1 | 1u << 30);
    b.set(vfre, 0xff);
    b.set(mpsar, 1u << 3); // the port's address is pool 3's
    b.set(vmolr + 4 * 3, vmolr_aupe);
    for (unsigned n = 0; n < 4; ++n)
        pair(12 + n, n, n);
    for (unsigned p = 0; p < user_priorities; ++p)
        b.nic.receive(tagged(p));
    for (unsigned n = 0; n < 4; ++n)
        EXPECT_EQ(got(12 + n), 2u) << "class " << n;
}

TEST_F(Classes, HavePacketBuffersOfTheirOwn) {
    start(4, [](unsigned p) { return p / 2; });
    b.set(rxpbsize + 4, 2 << 10); // class 1 has 2 KiB
    pair(0, 0, 0); // and its queue no descriptors
    b.rings(PortOf<I82599>::rx(32), PortOf<I82599>::tx(1), 0x1000);
    b.set(PortOf<I82599>::rx(32) + ring::tail, 0);
    for (unsigned n = 0; n < 5; ++n)
        b.nic.receive(tagged(2, 1000));
    EXPECT_EQ(b.nic.port_counters().no_room, 3u);
    EXPECT_EQ(b.get(mpc + 4), 3u) << "missed for the second packet buffer";
    EXPECT_EQ(b.get(mpc), 0u);
    EXPECT_LT(b.nic.room(), 1000u);
    b.nic.receive(tagged(0, 1000));
    EXPECT_EQ(got(0), 1u) << "another class does not wait for it";
    b.set(PortOf<I82599>::rx(32) + ring::tail, 4);
    b.board.pass(10'000);
    EXPECT_EQ(got(32), 2u);
}

// ---- transmission

/// The order in which the wire got frames, by the queue's mark in the last byte.
std::string order(const Bench<I82599>& b) {
    std::string text;
    for (const auto& f : b.wire.frames)
        text += static_cast<char>('0' + f.back());
    return text;
}

void offer(Bench<I82599>& b, unsigned queue, u64 shift, u8 mark, unsigned count, std::size_t size) {
    const u32 tx = PortOf<I82599>::tx(queue);
    auto f = counting_frame(other, own, size);
    f.back() = mark;
    b.put(tx_buffer + shift, f);
    for (unsigned n = 0; n < count; ++n) {
        b.board.write64(tx_ring + shift + 16 * n, tx_buffer + shift);
        b.board.write32(tx_ring + shift + 16 * n + 8, static_cast<u32>(size) | tx_end_of_packet | tx_insert_fcs | tx_extension | 3u << 20);
        b.board.write32(tx_ring + shift + 16 * n + 12, static_cast<u32>(size) << tx_payload_shift);
    }
    b.set(tx + ring::tail, count);
}

constexpr u32 share(u32 refill, u32 most, unsigned group, bool strict) { return refill | group << 9 | most << 12 | static_cast<u32>(strict) << 31; }

TEST_F(Classes, SendTheStrictOneFirst) {
    start(4, [](unsigned p) { return p / 2; });
    b.set(rttdcs, 1);
    b.set(rttdt2c, share(24, 96, 0, false));
    b.set(rttdt2c + 8, share(24, 96, 2, true));
    pair(0, 0, 0);
    pair(1, 96, 1); // the first queue of class 2
    offer(b, 0, 0, 1, 8, 1000);
    offer(b, 96, 0x1000, 2, 8, 1000);
    b.board.pass(1'000'000);
    EXPECT_EQ(order(b), "2222222211111111");
}

TEST_F(Classes, SendByTheirShares) {
    start(4, [](unsigned p) { return p / 2; });
    b.set(rttdcs, 1);
    b.set(rttdt2c, share(16, 16, 0, false));      // 1024 bytes
    b.set(rttdt2c + 4, share(48, 48, 1, false));  // thrice that
    pair(0, 0, 0);
    pair(1, 64, 1);
    offer(b, 0, 0, 1, 12, 1000);
    offer(b, 64, 0x1000, 2, 12, 1000);
    b.board.pass(1'000'000);
    const std::string found = order(b);
    EXPECT_EQ(found.size(), 24u);
    EXPECT_EQ(std::count(found.begin(), found.begin() + 12, '2'), 9) << found;
    // Without weights they take turns.
    b.wire.frames.clear();
    b.set(rttdcs, 0);
    pair(0, 0, 0);
    pair(1, 64, 1);
    for (const unsigned queue : {0u, 64u}) {
        b.set(PortOf<I82599>::tx(queue) + ring::control, 0);
        b.set(PortOf<I82599>::tx(queue) + ring::control, queue_enabled);
    }
    offer(b, 0, 0, 1, 4, 1000);
    offer(b, 64, 0x1000, 2, 4, 1000);
    b.board.pass(1'000'000);
    EXPECT_TRUE(order(b) == "12121212" || order(b) == "21212121") << order(b);
}

TEST(QueueSet, GoesRound) {
    QueueSet s;
    EXPECT_FALSE(s.any());
    for (const unsigned q : {3u, 70u, 127u})
        s.add(q);
    EXPECT_EQ(s.next_from(0), 3u);
    EXPECT_EQ(s.next_from(4), 70u);
    EXPECT_EQ(s.next_from(71), 127u);
    s.remove(127);
    EXPECT_EQ(s.next_from(71), 3u);
    s.remove(3);
    EXPECT_EQ(s.next_from(71), 70u);
    EXPECT_TRUE(s.has(70));
    EXPECT_FALSE(s.has(3));
}

} // namespace
} // namespace vitrine::vtc
