// SPDX-License-Identifier: Apache-2.0
// Tests of bad input, by name: descriptors, rings and frames that make no sense. Contained, counted, told.
#include "vtc/bad_input.h"

#include <random>

namespace vitrine::vtc::test {
namespace {

template <class T> class BadInput : public Port<T> {};
TYPED_TEST_SUITE(BadInput, Chips);

// ---- descriptors --------------------------------------------------------------------------------------------------------------

TYPED_TEST(BadInput, BuffersWhereNothingIs) {
    const u64 wild[] = {~0ull - 63, ram, ram - 4, 0xfee0'0000, 1ull << 46, 0xc080'0000};
    for (const u64 address : wild)
        this->describe(2, address, this->whole | 64);
    this->go();
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_EQ(this->nic.counters(2).bad_descriptor, std::size(wild));
    EXPECT_EQ(this->counted("vtc.nic0.pool2.dropped.bad-descriptor"), std::size(wild));
    EXPECT_EQ(this->counted("vtc.nic0.queue" + std::to_string(this->queue(2)) + ".dropped.tx"), std::size(wild));
    EXPECT_TRUE(this->was_told("vtc transmit.refused adapter=nic0 queue=" ));
    EXPECT_TRUE(this->was_told("why=a buffer could not be read, or the frame is too long"));
    EXPECT_EQ(this->get(this->tx(2) + ring::head), std::size(wild)) << "each is done";
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadInput, FramesOfWildLengths) {
    this->describe(2, TestFixture::tx_buffer, this->whole | 13); // no header
    this->describe(2, TestFixture::tx_buffer, this->whole);      // nothing
    this->describe(2, TestFixture::tx_buffer, this->whole | 0xffff);
    for (unsigned n = 0; n < 6; ++n) // more than an adapter gathers
        this->describe(2, TestFixture::tx_buffer, this->data | 0xffff);
    this->describe(2, TestFixture::tx_buffer, this->whole | 64);
    this->go();
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_EQ(this->nic.counters(2).bad_descriptor, 4u);
    EXPECT_TRUE(this->was_told("why=shorter than an Ethernet header"));
    EXPECT_TRUE(this->was_told("why=longer than a frame may be"));
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadInput, AFrameWithoutEnd) {
    for (unsigned n = 0; n + 1 < entries; ++n)
        this->describe(2, TestFixture::tx_buffer, this->data | 64);
    this->go();
    EXPECT_EQ(this->get(this->tx(2) + ring::head), entries - 1) << "the ring bounds the work";
    EXPECT_EQ(this->board.clock.next_due(), never) << "and then there is peace";
    EXPECT_EQ(this->wire.frames, 0u);
    this->describe(2, TestFixture::tx_buffer, this->whole | 64); // the end comes after all
    this->go();
    EXPECT_EQ(this->wire.frames + this->nic.counters(2).spoofed, 1u);
}

TYPED_TEST(BadInput, DescriptorsOfUnknownTypes) {
    for (const u32 type : {0u, 1u, 4u, 15u})
        this->describe(2, TestFixture::tx_buffer, tx_extension | type << 20 | tx_end_of_packet | 64);
    this->go();
    EXPECT_EQ(this->nic.counters(2).bad_descriptor, 4u);
    EXPECT_TRUE(this->was_told("descriptor.unknown-type"));
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadInput, SegmentationOfNonsense) {
    constexpr u32 tcp4 = 1u << 11 | 1u << 10;
    struct Case {
        u32 mac_length, ip_length, l4_length, mss, command, size;
    };
    constexpr Case cases[] = {
        {0, 20, 20, 500, tcp4, 2000},     // no Ethernet header
        {14, 0, 20, 500, tcp4, 2000},     // no IP header
        {14, 511, 20, 500, tcp4, 400},    // an IP header longer than the frame
        {127, 511, 255, 500, tcp4, 700},  // headers that just do not fit
        {14, 20, 0, 500, tcp4, 2000},     // no TCP header
        {14, 20, 255, 500, tcp4, 200},    // a TCP header behind the end
        {14, 20, 20, 0, tcp4, 2000},      // segments of nothing
        {14, 20, 20, 15, tcp4, 2000},     // segments of hardly anything
        {14, 20, 20, 0xffff, tcp4, 40'000}, // segments longer than frames
        {14, 20, 20, 500, 3u << 11 | 1u << 10, 2000}, // a transport that there is not
        {14, 20, 20, 500, 2u << 11 | 1u << 10, 2000}, // SCTP is not cut
        {14, 20, 20, 500, 1u << 11, 2000}, // IPv6 with a header of 20 bytes
    };
    for (const Case& c : cases) {
        const u64 before = this->nic.counters(2).bad_descriptor;
        this->describe(2, c.ip_length | c.mac_length << 9, this->context | c.command, c.l4_length << 8 | c.mss << 16);
        this->describe(2, TestFixture::tx_buffer, this->whole | tx_segmentation | c.size, tx_ip_checksum | tx_l4_checksum);
        this->go();
        EXPECT_EQ(this->nic.counters(2).bad_descriptor, before + 1) << "MACLEN " << c.mac_length << ", IPLEN " << c.ip_length << ", MSS " << c.mss;
    }
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_TRUE(this->was_told("why=segmentation with impossible headers"));
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadInput, ChecksumsOutsideTheFrame) {
    this->describe(2, 511 | 127u << 9, this->context, 0);
    this->describe(2, TestFixture::tx_buffer, this->whole | 64, tx_ip_checksum);
    this->describe(2, TestFixture::tx_buffer, this->whole | 64, tx_l4_checksum);
    constexpr u32 legacy = tx_end_of_packet | tx_legacy_insert_checksum;
    this->describe(2, TestFixture::tx_buffer, legacy | 64 | 10 << 16, 64 << 8); // begins behind the end
    this->describe(2, TestFixture::tx_buffer, legacy | 64 | 63 << 16, 14 << 8); // is put half behind the end
    this->go();
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_EQ(this->nic.counters(2).bad_descriptor, 4u);
    EXPECT_TRUE(this->was_told("why=a checksum outside the frame"));
    EXPECT_TRUE(this->sends(2));
}

// ---- rings --------------------------------------------------------------------------------------------------------------------

TYPED_TEST(BadInput, RingsThatCannotBe) {
    for (const auto& [place, value] : {std::pair<u32, u32>{ring::tail, entries}, {ring::tail, 0xffff}, {ring::length, 0}, {ring::length, 127}}) {
        for (const bool transmit : {false, true}) {
            this->open();
            const u32 at = transmit ? this->tx(2) : this->rx(2);
            const u64 lost = this->nic.counters(2).not_enabled;
            this->set(at + place, value);
            if (transmit && place == ring::length)
                this->set(at + ring::tail, 5);
            if (!transmit)
                this->nic.receive(frame_of(mac + 2, outsider));
            this->go();
            EXPECT_FALSE(this->get(at + ring::control) & queue_enabled) << "register " << place << " = " << value;
            EXPECT_TRUE(this->was_told("ring.impossible"));
            EXPECT_EQ(this->nic.counters(2).not_enabled, lost + !transmit);
            this->open();
            EXPECT_TRUE(transmit ? this->sends(2) : this->receives(2)) << "enabled anew it works";
        }
    }
}

TYPED_TEST(BadInput, ABaseIsAligned) {
    this->set(this->tx(2) + ring::base_low, 0x1234'567f);
    EXPECT_EQ(this->get(this->tx(2) + ring::base_low), 0x1234'5600u);
    this->set(this->rx(2) + ring::length, 0xffff'ffff);
    EXPECT_EQ(this->get(this->rx(2) + ring::length) & ~127u, 0x000f'ff80u);
}

TYPED_TEST(BadInput, RingsWhereNothingIs) {
    for (const u64 base : {u64{0xffff'ff80}, u64{0xffff'ffff'ffff'ff80}, ram, registers_at, vf_registers_at + vf_bar}) {
        this->open();
        this->ring_at(this->tx(2), base);
        this->set(this->tx(2) + ring::control, queue_enabled);
        this->set(this->tx(2) + ring::tail, 4);
        this->ring_at(this->rx(2), base);
        this->set(this->rx(2) + ring::control, queue_enabled);
        this->set(this->rx(2) + ring::tail, 4);
        const u64 before = this->nic.counters(2).bad_descriptor;
        this->nic.receive(frame_of(mac + 2, outsider));
        this->go();
        EXPECT_EQ(this->nic.counters(2).bad_descriptor, before + 2);
        EXPECT_FALSE(this->get(this->tx(2) + ring::control) & queue_enabled);
        EXPECT_FALSE(this->get(this->rx(2) + ring::control) & queue_enabled);
        EXPECT_TRUE(this->was_told("descriptor.unreadable"));
    }
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_TRUE(this->receives(1)) << "the neighbours' rings go on";
    EXPECT_TRUE(this->sends(1));
}

TYPED_TEST(BadInput, ReceiveBuffersWhereNothingIs) {
    const u64 wild[] = {~0ull - 63, ram - 4, 1ull << 46};
    for (u32 n = 0; n < std::size(wild); ++n)
        this->board.write64(this->rx_ring(2) + 16 * n, wild[n]);
    for (u32 n = 0; n < std::size(wild); ++n)
        this->nic.receive(frame_of(mac + 2, outsider));
    EXPECT_EQ(this->nic.counters(2).bad_descriptor, std::size(wild));
    EXPECT_TRUE(this->receives(2)) << "a write that nobody takes is nothing to an adapter";
}

// ---- frames -------------------------------------------------------------------------------------------------------------------

TYPED_TEST(BadInput, FramesThatAreNone) {
    const std::vector<u8> frame = frame_of(mac + 2, outsider);
    for (const std::size_t size : {0, 1, 12, 13})
        this->nic.receive(std::span(frame).first(size));
    EXPECT_EQ(this->counted("vtc.nic0.dropped.runt"), 4u);
    EXPECT_TRUE(this->was_told("why=shorter than an Ethernet header"));
    this->nic.receive(frame_of(mac + 2, outsider, 9000));
    EXPECT_EQ(this->counted("vtc.nic0.dropped.too-long"), 1u);
    EXPECT_TRUE(this->was_told("why=longer than the port takes"));
    EXPECT_EQ(this->nic.counters(2).rx_frames, 0u);
    EXPECT_TRUE(this->receives(2));
}

TYPED_TEST(BadInput, HeadersThatPromiseMore) {
    struct Case {
        std::size_t size;
        std::initializer_list<u8> from_type;
    };
    const Case cases[] = {
        {14, {0x81, 0x00}},                                     // a tag that is not there
        {17, {0x81, 0x00, 0, 5, 8}},                            // half a type behind it
        {18, {0x81, 0x00, 0, 5, 8, 0}},                         // IPv4 without a header
        {40, {0x08, 0x00, 0x4f, 0, 0, 26}},                     // options longer than the packet
        {40, {0x08, 0x00, 0x41, 0, 0, 26}},                     // a header shorter than one
        {60, {0x08, 0x00, 0x45, 0, 0xff, 0xff}},                // a packet longer than the frame
        {60, {0x08, 0x00, 0x45, 0, 0, 21, 0, 0, 0, 0, 64, 6}},  // TCP of one byte
        {54, {0x86, 0xdd, 0x60, 0, 0, 0, 0xff, 0xff, 0}},       // IPv6 longer than the frame
        {62, {0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 0}},             // hop-by-hop options of which only the length is there
    };
    for (const Case& c : cases) {
        const u64 before = this->nic.counters(2).rx_frames;
        std::vector<u8> frame = frame_of(mac + 2, outsider, c.size, c.from_type);
        if (c.size == 62)
            frame[55] = 0xff; // their length
        this->nic.receive(frame);
        const unsigned n = static_cast<unsigned>(before);
        EXPECT_EQ(this->nic.counters(2).rx_frames, before + 1) << "a frame is a frame, whatever it holds";
        EXPECT_EQ(this->board.read32(this->rx_ring(2) + 16 * n + 12) & 0xffff, c.size);
        EXPECT_EQ(this->take(this->rx_buffers(2) + 2048 * n, c.size), frame);
        EXPECT_FALSE(this->board.read32(this->rx_ring(2) + 16 * n) >> 4 & (packet_tcp | packet_udp | packet_sctp)) << "nothing that there is not is seen in it";
    }
}

TYPED_TEST(BadInput, TagsOfUnknownNetworks) {
    if constexpr (std::is_same_v<TypeParam, I82576>)
        this->set(i82576::rctl, this->get(i82576::rctl) | i82576::rctl_vfe);
    else
        this->set(i82599::vlnctrl, i82599::vlnctrl_vfe);
    auto tagged = frame_of(mac + 2, outsider, 64, {0x81, 0x00, 0x0f, 0xff, 8, 0});
    this->nic.receive(tagged);
    EXPECT_EQ(this->counted("vtc.nic0.dropped.vlan"), 1u);
    EXPECT_TRUE(this->was_told("why=VLAN is not in the filter table"));
    EXPECT_EQ(this->nic.counters(2).rx_frames, 0u);
    EXPECT_TRUE(this->receives(2)) << "untagged frames are another matter";
}

TYPED_TEST(BadInput, EveryLossHasItsCounterAndItsReason) {
    this->nic.receive(frame_of(0x0100'5e11'2233, outsider)); // nobody listens
    EXPECT_EQ(this->counted("vtc.nic0.dropped.no-filter"), 1u);
    EXPECT_TRUE(this->was_told("vtc dropped adapter=nic0 frame=02:00:00:00:77:77 > 01:00:5e:11:22:33 type 88b5, 64 bytes why=no filter matches"));
    for (unsigned n = 0; n < entries + 1; ++n) // one more than there are descriptors: it waits, unless the queue drops
        this->nic.receive(frame_of(mac + 2, outsider));
    EXPECT_EQ(this->nic.counters(2).rx_frames, entries - 1);
    this->set(this->rx(2) + this->nic.chip().split_control, 2 | 1u << 25 | this->nic.chip().split_drop);
    this->nic.receive(frame_of(mac + 2, outsider));
    EXPECT_EQ(this->counted("vtc.nic0.pool2.dropped.no-descriptor"), 3u);
    EXPECT_TRUE(this->was_told("pool=2 queue=" ));
    EXPECT_TRUE(this->was_told("why=no descriptor"));
    this->set(this->rx(1) + ring::control, 0);
    this->nic.receive(frame_of(mac + 1, outsider));
    EXPECT_EQ(this->counted("vtc.nic0.pool1.dropped.queue-off"), 1u);
    EXPECT_EQ(this->counted("vtc.nic0.queue" + std::to_string(this->queue(1)) + ".dropped.rx"), 1u);
    // A frame in another's name.
    this->put(TestFixture::tx_buffer, frame_of(mac + 2, mac + 1));
    this->describe(0, TestFixture::tx_buffer, this->whole | 64);
    this->go();
    EXPECT_EQ(this->counted("vtc.nic0.pool0.dropped.spoofed"), 1u);
    EXPECT_TRUE(this->was_told("vtc spoofed adapter=nic0 frame=02:00:00:00:00:01 > 02:00:00:00:00:02 type 88b5, 64 bytes pool=0 why=source address is not the pool's"));
    EXPECT_EQ(this->counted("vtc.nic0.pool0.tx-frames"), 0u);
}

} // namespace
} // namespace vitrine::vtc::test
