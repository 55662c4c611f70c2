// SPDX-License-Identifier: Apache-2.0
// Both adapters on a small board: frames through rings, the switch between pools, the mailbox's locks, and drivers that mean no good.
#include "vtc/adapter.h"

#include "vtc/test_bench.h"
#include "vtc/virtual_function.h"

#include <gtest/gtest.h>

#include <random>

namespace vitrine::vtc {
namespace {

template <class T> class Both : public ::testing::Test {
public:
    Bench<T> b;
    static constexpr u32 rx = PortOf<T>::rx(0), tx = PortOf<T>::tx(0);
};
using Chips = ::testing::Types<I82576, I82599>;
TYPED_TEST_SUITE(Both, Chips);

TYPED_TEST(Both, SendsWhatTheDescriptorsName) {
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    const auto frame = counting_frame(other, own, 100);
    this->b.send(TestFixture::tx, frame);
    ASSERT_EQ(this->b.wire.frames.size(), 1u);
    EXPECT_EQ(this->b.wire.frames[0], frame);
    EXPECT_EQ(this->b.get(TestFixture::tx + ring::head), 1u);
    EXPECT_TRUE(this->b.board.read32(tx_ring + 12) & tx_done);
}

TYPED_TEST(Both, ReceivesItsOwnAddressAndBroadcasts) {
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    this->b.nic.receive(counting_frame(other, 0x0200'0000'0009));
    EXPECT_EQ(this->b.get(TestFixture::rx + ring::head), 0u) << "for somebody else";
    const auto frame = counting_frame(own, other, 77);
    this->b.nic.receive(frame);
    this->b.nic.receive(counting_frame(broadcast, other));
    EXPECT_EQ(this->b.get(TestFixture::rx + ring::head), 2u);
    EXPECT_EQ(this->b.take(rx_buffers, frame.size()), frame);
    EXPECT_EQ(this->b.board.read32(rx_ring + 8) & 3, rx_done | rx_end_of_packet);
    EXPECT_EQ(this->b.board.read32(rx_ring + 12) & 0xffff, frame.size());
    EXPECT_EQ(this->b.get(0x4074), 2u) << "GPRC";
    EXPECT_EQ(this->b.get(0x4074), 0u) << "cleared by reading";
}

TYPED_TEST(Both, KeepsFramesUntilThereAreDescriptors) {
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    for (unsigned n = 0; n < ring_entries + 3; ++n)
        this->b.nic.receive(counting_frame(own, other));
    EXPECT_EQ(this->b.get(TestFixture::rx + ring::head), ring_entries - 1);
    this->b.set(TestFixture::rx + ring::tail, 4);
    this->b.board.pass(10'000);
    EXPECT_EQ(this->b.get(TestFixture::rx + ring::head), 3u);
}

template <class T> void loop_back(Bench<T>& b, bool on) {
    if constexpr (std::is_same_v<T, I82576>)
        b.set(i82576::rctl, (b.get(i82576::rctl) & ~i82576::rctl_loopback) | (on ? i82576::rctl_loopback_mac : 0));
    else
        b.set(i82599::hlreg0, (b.get(i82599::hlreg0) & ~i82599::hlreg0_loopback) | (on ? i82599::hlreg0_loopback : 0));
}

TYPED_TEST(Both, LoopsBackWithoutTheWire) {
    auto& b = this->b;
    b.open();
    b.rings(TestFixture::rx, TestFixture::tx);
    loop_back(b, true);
    b.send(TestFixture::tx, counting_frame(broadcast, own));
    EXPECT_TRUE(b.wire.frames.empty());
    EXPECT_EQ(b.get(TestFixture::rx + ring::head), 1u);
    b.nic.receive(counting_frame(own, other));
    EXPECT_EQ(b.get(TestFixture::rx + ring::head), 1u) << "the wire is cut off";
    loop_back(b, false);
    b.send(TestFixture::tx, counting_frame(broadcast, own));
    EXPECT_EQ(b.wire.frames.size(), 1u);
    EXPECT_EQ(b.get(TestFixture::rx + ring::head), 1u);
}

/// A PTP message of version 2 in an Ethernet frame.
std::vector<u8> ptp(u8 id) {
    auto f = counting_frame(own, other, 64);
    f[12] = 0x88, f[13] = 0xf7;
    f[14] = id, f[15] = 2;
    return f;
}

TYPED_TEST(Both, StampsOneMessageAtATime) {
    auto& b = this->b;
    const Chip& chip = b.nic.chip();
    b.open();
    b.rings(TestFixture::rx, TestFixture::tx);
    constexpr bool gigabit = std::is_same_v<TypeParam, I82576>;
    b.set(gigabit ? u32{i82576::etqf} + 12 : u32{i82599::etqf} + 12,
          gigabit ? i82576::etqf_enable | i82576::etqf_ptp | 0x88f7 : i82599::etqf_enable | i82599::etqf_ptp | 0x88f7);
    b.set(chip.time_increment, 1u << 24 | 16);
    b.set(chip.receive_stamp_control, stamp_enabled | 5 << 1);
    b.board.pass(1'000);
    const auto status = [&](unsigned n) { return b.board.read32(rx_ring + 16 * n + 8); };
    b.nic.receive(ptp(11)); // an announcement is no event
    EXPECT_FALSE(status(0) & rx_stamped);
    b.nic.receive(ptp(0));
    EXPECT_TRUE(status(1) & rx_stamped);
    EXPECT_TRUE(b.get(chip.receive_stamp_control) & stamp_valid);
    EXPECT_EQ(b.board.read32(rx_ring + 16) & 0xffff, 0x8030u) << "the number of the Ethertype filter";
    const u32 first = b.get(chip.receive_stamp_low);
    EXPECT_NE(first, 0u);
    b.board.pass(1'000'000);
    b.nic.receive(ptp(1));
    EXPECT_FALSE(status(2) & rx_stamped) << "the first has not been fetched";
    EXPECT_EQ(b.get(chip.receive_stamp_low), first);
    b.get(chip.receive_stamp_high);
    EXPECT_FALSE(b.get(chip.receive_stamp_control) & stamp_valid);
    b.nic.receive(ptp(1));
    EXPECT_TRUE(status(3) & rx_stamped);
    EXPECT_NE(b.get(chip.receive_stamp_low), first);
}

TYPED_TEST(Both, StateIsComplete) {
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    for (unsigned n = 0; n < ring_entries + 3; ++n)
        this->b.nic.receive(counting_frame(own, other));
    const std::vector<u8> saved = pci::save(this->b.nic);
    Bench<TypeParam> again;
    EXPECT_EQ(pci::load(again.nic, saved), "");
    EXPECT_EQ(pci::save(again.nic), saved);
}

TYPED_TEST(Both, ImpossibleRingsStopTheirQueues) {
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    this->b.set(TestFixture::tx + ring::tail, 60'000);
    this->b.set(TestFixture::rx + ring::tail, 60'000);
    this->b.board.pass(1'000'000);
    this->b.nic.receive(counting_frame(own, other));
    this->b.board.pass(1'000'000);
    EXPECT_FALSE(this->b.get(TestFixture::tx + ring::control) & queue_enabled);
    EXPECT_FALSE(this->b.get(TestFixture::rx + ring::control) & queue_enabled);
    EXPECT_TRUE(this->b.wire.frames.empty());
}

/// Everything that can be written, written at random; nothing but the machine's own RAM is reached, and each doorbell's work ends.
TYPED_TEST(Both, SurvivesADriverThatWritesAnything) {
    std::mt19937_64 random(1);
    this->b.open();
    this->b.rings(TestFixture::rx, TestFixture::tx);
    this->b.nic.config_write(0x160 + pci::sriov_num_vfs, 2, 4);
    this->b.nic.config_write(0x160 + 8, 2, 0x19);
    this->b.nic.config_write(0x160 + pci::sriov_vf_bar0, 4, vf_registers_at);
    this->b.nic.config_write(0x160 + pci::sriov_vf_bar0 + 12, 4, vf_msix_at);
    for (unsigned n = 0; n < 20'000; ++n) {
        const u32 value = static_cast<u32>(random());
        switch (random() % 8) {
        case 0:
            this->b.board.write64(random() % (1_MiB / 8) * 8, random() % 3 ? random() % 1_MiB : random());
            break;
        case 1:
            this->b.nic.receive(counting_frame(random() % 2 ? own : random() & ~(1ull << 40) & low_mask(48), other, 14 + random() % 2000));
            break;
        case 2:
            this->b.board.pass(random() % 100'000);
            break;
        case 3:
            this->b.board.write32(vf_registers_at + random() % (4 * 16_KiB / 4) * 4, value);
            break;
        case 4:
            this->b.set((random() % 2 ? TestFixture::rx : TestFixture::tx) + static_cast<u32>(random() % 16 * 4), value & (random() % 2 ? 0xff : ~0u));
            break;
        case 5:
            static_cast<void>(this->b.get(static_cast<u32>(random() % (128_KiB / 4) * 4)));
            break;
        case 6:
            if (random() % 16 == 0)
                this->b.nic.config_write(0x160 + 8, 2, value & 0x19);
            break;
        default:
            this->b.set(static_cast<u32>(random() % (128_KiB / 4) * 4), value);
        }
    }
    this->b.board.pass(10'000'000);
    EXPECT_LE(this->b.nic.counters(0).rx_frames, 20'000u);
}

// ---- pools and virtual functions of the 82576 -------------------------------------------------------------------------------

struct Pools : ::testing::Test {
    Pools() {
        b.open();
        b.nic.config_write(0x160 + pci::sriov_num_vfs, 2, 2);
        b.nic.config_write(0x160 + 8, 2, 0x19);
        b.nic.config_write(0x160 + pci::sriov_vf_bar0, 4, vf_registers_at);
        b.nic.config_write(0x160 + pci::sriov_vf_bar0 + 12, 4, vf_msix_at);
        b.set(i82576::mrqc, 3);
        b.set(i82576::dtxswc, 1u << 31 | 0x3); // loopback; pools 0 and 1 may not spoof
        b.set(i82576::vt_ctl, 2u << 7 | 1u << 30);
        for (unsigned pool = 0; pool < 3; ++pool)
            b.set(i82576::vmolr + 4 * pool, i82576::vmolr_aupe | i82576::vmolr_bam);
        b.set(i82576::vfre, 7);
        b.set(i82576::vfte, 7);
        for (unsigned n = 0; n < 3; ++n) {
            b.set(i82576::ra + 8 * (n + 1), 0x00000002);
            b.set(i82576::ra + 8 * (n + 1) + 4, rah_valid | (0x10 + n) << 8 | 1u << (18 + n));
            b.rings(i82576::rx_rings + n * ring::size, i82576::tx_rings + n * ring::size, 0x4000 * n + (n ? 0x300000 : 0));
        }
        vf(0).config_write(pci::command_offset, 2, 4);
        vf(1).config_write(pci::command_offset, 2, 4);
    }

    pci::Function& vf(unsigned n) {
        for (pci::Function* f : b.board.root.bus().functions())
            if (f->name() == "nic0vf" + std::to_string(n))
                return *f;
        throw 0;
    }

    static Mac mac(unsigned n) { return 0x0200'0000'0010 + n; }
    static u64 shift(unsigned n) { return 0x4000 * n + (n ? 0x300000 : 0); }
    static u32 rx(unsigned n) { return i82576::rx_rings + n * ring::size; }
    static u32 tx(unsigned n) { return i82576::tx_rings + n * ring::size; }

    Bench<I82576> b;
};

TEST_F(Pools, FramesBetweenPoolsDoNotLeave) {
    b.send(tx(0), counting_frame(mac(1), mac(0)), shift(0));
    EXPECT_EQ(b.get(rx(1) + ring::head), 1u);
    EXPECT_EQ(b.get(rx(2) + ring::head), 0u);
    EXPECT_TRUE(b.wire.frames.empty());
    EXPECT_TRUE(b.board.read32(rx_ring + shift(1) + 8) & 1u << 18) << "LB";
}

TEST_F(Pools, BroadcastsGoEverywhereButBack) {
    b.send(tx(0), counting_frame(broadcast, mac(0)), shift(0));
    EXPECT_EQ(b.get(rx(0) + ring::head), 0u);
    EXPECT_EQ(b.get(rx(1) + ring::head), 1u);
    EXPECT_EQ(b.get(rx(2) + ring::head), 1u);
    EXPECT_EQ(b.wire.frames.size(), 1u);
}

TEST_F(Pools, UnknownAddressesGoToTheDefaultPool) {
    b.nic.receive(counting_frame(0x0200'0000'00ee, other));
    EXPECT_EQ(b.get(rx(2) + ring::head), 1u);
    b.set(i82576::vt_ctl, 2u << 7 | 1u << 29);
    b.nic.receive(counting_frame(0x0200'0000'00ee, other));
    EXPECT_EQ(b.get(rx(2) + ring::head), 1u);
}

TEST_F(Pools, SpoofedAddressesAreRefusedAndCounted) {
    b.send(tx(0), counting_frame(mac(1), mac(2)), shift(0));
    EXPECT_EQ(b.get(rx(1) + ring::head), 0u);
    EXPECT_TRUE(b.wire.frames.empty());
    EXPECT_EQ(b.nic.counters(0).spoofed, 1u);
    EXPECT_EQ(b.get(i82576::wvbr), 1u);
}

TEST_F(Pools, DmaDoesNotComeBackToTheRegisters) {
    // The second function's buffer is the adapter's BAR; its address's fourth byte is CTRL.RST there.
    b.set(i82576::ra + 16, 0x0400'0002);
    b.board.write64(rx_ring + shift(1), registers_at);
    b.send(tx(0), counting_frame(mac(1) | 0x04'0000, mac(0)), shift(0));
    EXPECT_EQ(b.get(rx(1) + ring::head), 1u);
    EXPECT_TRUE(b.get(i82576::rctl) & i82576::rctl_enable) << "the adapter was reset";
    EXPECT_GT(b.board.glass.counter("dma.own-registers"), 0u);
}

TEST_F(Pools, AQueueIsItsFunctionsWhateverThePortDoes) {
    b.set(i82576::mrqc, 0);
    vf(0).config_write(pci::command_offset, 2, 0); // no bus master
    b.send(tx(0), counting_frame(other, mac(0)), shift(0));
    EXPECT_TRUE(b.wire.frames.empty());
    b.send(tx(2), counting_frame(other, mac(2)), shift(2));
    EXPECT_EQ(b.wire.frames.size(), 1u);
}

TEST_F(Pools, VlansOfPools) {
    b.set(i82576::rctl, b.get(i82576::rctl) | i82576::rctl_vfe);
    b.set(i82576::vfta + 4 * (5 >> 5), 1u << 5);
    b.set(i82576::vlvf, 1u << 31 | 5 | 1u << (12 + 1));
    auto tagged = counting_frame(mac(1), other);
    const u8 tag[] = {0x81, 0, 0, 5};
    tagged.insert(tagged.begin() + 12, tag, tag + 4);
    b.nic.receive(tagged);
    EXPECT_EQ(b.get(rx(1) + ring::head), 1u);
    tagged[5] = 0x10; // pool 0, which is not in the VLAN: nobody else gets it but the default pool
    b.nic.receive(tagged);
    EXPECT_EQ(b.get(rx(0) + ring::head), 0u);
}

TEST_F(Pools, MirrorsCopy) {
    b.set(i82576::vmrctl, 1 | 2 << 8);
    b.set(i82576::vmrvm, 1 << 1);
    b.nic.receive(counting_frame(mac(1), other));
    EXPECT_EQ(b.get(rx(1) + ring::head), 1u);
    EXPECT_EQ(b.get(rx(2) + ring::head), 1u);
}

TEST_F(Pools, AVirtualFunctionsDmaIsItsOwn) {
    vf(1).config_write(pci::command_offset, 2, 0); // no bus master
    b.nic.receive(counting_frame(mac(1), other));
    EXPECT_EQ(b.nic.counters(1).rx_frames, 0u);
    EXPECT_EQ(b.nic.counters(1).bad_descriptor, 1u);
}

TEST_F(Pools, VirtualFunctionsComeAndGo) {
    EXPECT_NE(b.board.root.find(vf(0).requester_id()), nullptr);
    EXPECT_EQ(b.board.read32(vf_registers_at + 8) & 2, 2u) << "link";
    b.nic.config_write(0x160 + 8, 2, 0);
    EXPECT_EQ(b.board.root.find(vf(0).requester_id()), nullptr);
    EXPECT_EQ(b.board.read32(vf_registers_at + 8), ~0u);
    EXPECT_FALSE(b.get(rx(0) + ring::control) & queue_enabled);
}

TEST_F(Pools, TheMailboxIsOneSidesAtATime) {
    constexpr u64 mail = vf_registers_at + 0xc40;
    b.set(i82576::ctrl_ext, ctrl_ext_pfrstd);
    EXPECT_TRUE(b.board.read32(mail) & mailbox::reset_done);
    EXPECT_FALSE(b.board.read32(mail) & mailbox::reset_done) << "cleared by reading";
    b.board.write32(mail, mailbox::vf_in_use);
    EXPECT_TRUE(b.board.read32(mail) & mailbox::vf_in_use);
    b.set(i82576::p2vmailbox, mailbox::pf_own_in_use);
    EXPECT_FALSE(b.get(i82576::p2vmailbox) & mailbox::pf_own_in_use) << "the VF has it";
    b.board.write32(vf_registers_at + 0x800, 0x1234'5678);
    b.board.write32(mail, mailbox::vf_request);
    EXPECT_EQ(b.get(i82576::mbvficr), 1u);
    EXPECT_EQ(b.get(i82576::vmbmem), 0x1234'5678u);
    b.set(i82576::mbvficr, 1);
    EXPECT_EQ(b.get(i82576::mbvficr), 0u);
    b.set(i82576::p2vmailbox, mailbox::pf_send);
    EXPECT_TRUE(b.board.read32(mail) & mailbox::pf_status);
    EXPECT_FALSE(b.board.read32(mail) & mailbox::pf_status);
}

/// The vector of causes that are no queue's is throttled as all are; its masks are the causes' own.
TEST(I82599Test, OtherCausesAreThrottled) {
    Bench<I82599> b;
    using namespace i82599;
    constexpr u32 vector = 3, message = 0xfee0'0000, period = 20; // microseconds
    b.board.write32(msix_at + 16 * vector, message);
    b.board.write32(msix_at + 16 * vector + 12, 0);
    b.nic.config_write(0x70 + 2, 2, 0x8000);
    b.set(ivar_misc, (ivar_valid | vector) << 8);
    b.set(eitr + 4 * vector, period / 2 << 3);
    b.set(eims, cause_mailbox);
    const u64 before = b.nic.interrupts();
    const auto raise = [&] { b.set(eics, cause_mailbox); };
    raise();
    EXPECT_EQ(b.nic.interrupts(), before + 1);
    raise();
    raise();
    EXPECT_EQ(b.nic.interrupts(), before + 1) << "the interval is not over";
    b.board.pass(period * 1024 + 1000);
    EXPECT_EQ(b.nic.interrupts(), before + 2);
    b.set(eimc, cause_mailbox);
    b.board.pass(period * 1024 + 1000);
    raise();
    EXPECT_EQ(b.nic.interrupts(), before + 2) << "the cause is masked";
}

TEST(Nvm, SumsAreRight) {
    const Nvm one = make_nvm_82576(own);
    u16 sum = 0;
    for (unsigned n = 0; n < 0x40; ++n)
        sum = static_cast<u16>(sum + one[n]);
    EXPECT_EQ(sum, 0xbaba);
    EXPECT_EQ(one[0], 0x0002) << "the first byte on the wire is the lowest";
}

TEST(PacketTest, KnownChecksumsAndHash) {
    // The verification suite of Microsoft's receive-side scaling: 66.9.149.187:2794 to 161.142.100.80:1766.
    constexpr std::array<u8, 40> key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                        0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
    constexpr std::array<u8, 12> input = {66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6};
    EXPECT_EQ(toeplitz(key, input), 0x51cc'c178u);
    EXPECT_EQ(toeplitz(key, std::span(input).first(8)), 0x323e'8fc2u);
    const std::string digits = "123456789";
    EXPECT_EQ(crc32c({reinterpret_cast<const u8*>(digits.data()), digits.size()}), 0xe306'9283u);
}

} // namespace
} // namespace vitrine::vtc
