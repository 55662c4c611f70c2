// SPDX-License-Identifier: Apache-2.0
// Tests of bad input, by name: descriptors, rings, frames and guests that ask for what there is not. Contained, counted, told.
#include "vtc/adapter.h"

#include "pci/test_board.h"
#include "vtc/port_of.h"
#include "vtc/virtual_function.h"

#include <gtest/gtest.h>

#include <random>

namespace vitrine::vtc {
namespace {

constexpr u64 registers_at = 0xc000'0000, msix_at = 0xc010'0000, vf_registers_at = 0xc020'0000, vf_msix_at = 0xc040'0000, vf_bar = 16_KiB;
constexpr u64 ram = 16_MiB;
constexpr u32 entries = 16, sriov = 0x160, msix = 0x70;
constexpr Mac mac = 0x0200'0000'0000, outsider = 0x0200'0000'7777;

std::vector<u8> frame_of(Mac to, Mac from, std::size_t size = 64, std::initializer_list<u8> rest = {0x88, 0xb5}) {
    std::vector<u8> f(size);
    for (unsigned i = 0; i < 6; ++i) {
        f[i] = static_cast<u8>(to >> (40 - 8 * i));
        f[6 + i] = static_cast<u8>(from >> (40 - 8 * i));
    }
    std::copy(rest.begin(), rest.end(), f.begin() + 12);
    return f;
}

/// A port with pools 0 to 2 on two virtual functions and the physical function, each with a pair of rings.
template <class T> struct Port : ::testing::Test {
    using At = PortOf<T>;

    Port() {
        board.glass.enable(Topic::vtc);
        board.glass.set_sink([this](std::string_view line) { told.emplace_back(line); });
        nic.connect(&wire);
        board.root.bus().attach(nic, 1);
        nic.attach_virtual_functions(board.root.bus());
        nic.reset(Reset::cold);
        nic.config_write(pci::bar0, 4, registers_at);
        nic.config_write(pci::bar0 + 12, 4, msix_at);
        nic.config_write(pci::command_offset, 2, 6);
        board.pass(10'000'000); // the link comes
        enable_vfs(2);
        open();
    }

    void open() {
        At::open([this](u32 offset, u32 value) { set(offset, value); }, true, mac);
        for (unsigned pool = 0; pool < 3; ++pool)
            rings(pool);
        told.clear();
    }

    void enable_vfs(unsigned count) {
        nic.config_write(sriov + pci::sriov_num_vfs, 2, count);
        nic.config_write(sriov + pci::sriov_vf_bar0, 4, vf_registers_at);
        nic.config_write(sriov + pci::sriov_vf_bar0 + 12, 4, vf_msix_at);
        nic.config_write(sriov + pci::sriov_control.offset, 2, count ? 0x19 : 0);
        for (unsigned n = 0; n < count; ++n)
            vf(n).config_write(pci::command_offset, 2, 4);
    }

    pci::Function& vf(unsigned n) {
        for (pci::Function* f : board.root.bus().functions())
            if (f->name() == "nic0vf" + std::to_string(n))
                return *f;
        throw 0;
    }

    void set(u32 offset, u32 value) { board.write32(registers_at + offset, value); }
    u32 get(u32 offset) { return board.read32(registers_at + offset); }
    void put(u64 at, std::span<const u8> data) { board.space->write(Physical{at}, data, Requester::from_cpu(0)); }
    std::vector<u8> take(u64 at, std::size_t n) {
        std::vector<u8> data(n);
        board.space->read(Physical{at}, data, Requester::from_cpu(0));
        return data;
    }

    static unsigned queue(unsigned pool) { return At::first_queue(pool); }
    static u32 rx(unsigned pool) { return At::rx(queue(pool)); }
    static u32 tx(unsigned pool) { return At::tx(queue(pool)); }
    static u64 rx_ring(unsigned pool) { return 0x10000 + pool * 0x2000; }
    static u64 tx_ring(unsigned pool) { return 0x11000 + pool * 0x2000; }
    static u64 rx_buffers(unsigned pool) { return 0x100000 + pool * 0x10000; }
    static constexpr u64 tx_buffer = 0x200000;

    void rings(unsigned pool) {
        for (u32 n = 0; n < entries; ++n) {
            board.write64(rx_ring(pool) + 16 * n, rx_buffers(pool) + 2048 * n);
            board.write64(rx_ring(pool) + 16 * n + 8, 0);
        }
        ring_at(rx(pool), rx_ring(pool));
        set(rx(pool) + nic.chip().split_control, 2 | 1u << 25);
        set(rx(pool) + ring::control, queue_enabled);
        set(rx(pool) + ring::tail, entries - 1);
        ring_at(tx(pool), tx_ring(pool));
        set(tx(pool) + ring::control, queue_enabled);
    }
    void ring_at(u32 at, u64 base) {
        set(at + ring::control, 0);
        set(at + ring::base_low, static_cast<u32>(base));
        set(at + ring::base_high, static_cast<u32>(base >> 32));
        set(at + ring::length, 16 * entries);
        set(at + ring::tail, 0);
    }

    static constexpr u32 data = tx_extension | 3u << 20, whole = data | tx_end_of_packet | tx_report_status, context = tx_extension | 2u << 20;

    void describe(unsigned pool, u64 address, u32 command, u32 options = 0) {
        const u32 tail = get(tx(pool) + ring::tail);
        board.write64(tx_ring(pool) + 16 * tail, address);
        board.write32(tx_ring(pool) + 16 * tail + 8, command);
        board.write32(tx_ring(pool) + 16 * tail + 12, options);
        set(tx(pool) + ring::tail, (tail + 1) % entries);
    }
    void go() { board.pass(1'000'000); }

    /// A good frame goes through: the queue still works.
    bool sends(unsigned pool) {
        const u64 before = wire.frames;
        put(tx_buffer, frame_of(outsider, mac + pool));
        describe(pool, tx_buffer, whole | 64);
        go();
        return wire.frames == before + 1;
    }
    bool receives(unsigned pool) {
        const u64 before = nic.counters(pool).rx_frames;
        nic.receive(frame_of(mac + pool, outsider));
        return nic.counters(pool).rx_frames == before + 1;
    }
    bool was_told(std::string_view what) const {
        return std::any_of(told.begin(), told.end(), [&](const std::string& line) { return line.find(what) != line.npos; });
    }
    u64 counted(const std::string& name) {
        nic.publish_counters();
        const auto found = board.glass.counters().find(name);
        return found == board.glass.counters().end() ? 0 : found->second;
    }

    struct Wire : FrameSink {
        void receive(std::span<const u8> frame) override { ++frames, longest = std::max(longest, frame.size()); }
        u64 frames = 0;
        std::size_t longest = 0;
    };

    pci::TestBoard board{ram};
    Wire wire;
    T nic{board.platform, board.clock, Options{.name = "nic0", .mac = mac}};
    std::vector<std::string> told;
};

template <class T> class BadInput : public Port<T> {};
using Chips = ::testing::Types<I82576, I82599>;
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

// ---- a guest with a virtual function ----------------------------------------------------------------------------------------

/// Every register of the physical function's that a virtual function's writes must not change.
template <class T> std::map<std::string, u32> others_of(Port<T>& p, unsigned own_queue) {
    std::map<std::string, u32> all;
    for (const RegisterRow& row : p.nic.chip().registers) {
        for (u32 n = 0; n < row.count; ++n) {
            const u32 at = row.offset + row.stride * n;
            u32 value = p.nic.peek(at);
            switch (row.effect) {
            case Effect::counter: case Effect::cause: case Effect::mailbox_cause: case Effect::reset_cause: case Effect::free_running:
                continue; // it may ask and be counted
            case Effect::pool_enable:
                value &= ~1u; // it may reset itself
                break;
            case Effect::queue: {
                bool own = false;
                for (const unsigned queue : {own_queue, own_queue + PortOf<T>::queue_step})
                    for (const u32 base : {PortOf<T>::rx(queue), PortOf<T>::tx(queue)})
                        own |= at >= base && at < base + ring::size;
                if (own)
                    continue;
                break;
            }
            default:
                break;
            }
            all[std::string(row.name) + "[" + std::to_string(n) + "]"] = value;
        }
    }
    return all;
}

TYPED_TEST(BadInput, AVirtualFunctionReachesItsOwnAlone) {
    const auto before = others_of<TypeParam>(*this, this->queue(0));
    const u64 link_changes = this->nic.link_changes();
    this->board.write32(vf_registers_at + vf_bar + TestFixture::At::vf_message, 0x600d'600d); // its neighbour's mailbox
    for (const u32 value : {0xffff'ffffu, 0u, 0xa5a5'a5a5u, 0x0400'0000u})
        for (const u64 base : {vf_registers_at, vf_msix_at})
            for (u64 offset = 0; offset < vf_bar; offset += 4)
                this->board.write32(base + offset, value);
    this->go();
    for (const auto& [name, value] : others_of<TypeParam>(*this, this->queue(0)))
        EXPECT_EQ(value, before.at(name)) << name;
    EXPECT_EQ(this->board.read32(vf_registers_at + vf_bar + TestFixture::At::vf_message), 0x600d'600du);
    EXPECT_EQ(this->nic.link_changes(), link_changes);
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_TRUE(this->receives(1)) << "the neighbour does not notice";
    EXPECT_TRUE(this->sends(1));
    EXPECT_TRUE(this->receives(2));
    EXPECT_TRUE(this->sends(2));
}

TYPED_TEST(BadInput, AVirtualFunctionsMessagesAreNoWayToRegisters) {
    // Its vector's message is a write to the physical function's control register (reset), to the MSI-X table there, and to a neighbour's mailbox.
    this->vf(0).config_write(msix + 2, 2, 0x8000);
    const u64 targets[] = {registers_at, msix_at, vf_registers_at + vf_bar + TestFixture::At::vf_message};
    for (unsigned n = 0; n < 3; ++n) {
        this->board.write32(vf_msix_at + 16 * n, static_cast<u32>(targets[n]));
        this->board.write32(vf_msix_at + 16 * n + 8, 0x0400'0000);
        this->board.write32(vf_msix_at + 16 * n + 12, 0);
    }
    const auto before = others_of<TypeParam>(*this, this->queue(0));
    this->board.write32(vf_registers_at + TestFixture::At::vf_interrupt_set + 4, 7); // the mask set lies behind the cause set in both chips
    this->board.write32(vf_registers_at + TestFixture::At::vf_interrupt_set, 7);
    this->go();
    EXPECT_EQ(this->board.glass.counter("msi-to-memory"), 3u);
    EXPECT_EQ(this->board.glass.counter("dma.own-registers"), 3u);
    for (const auto& [name, value] : others_of<TypeParam>(*this, this->queue(0)))
        EXPECT_EQ(value, before.at(name)) << name;
    EXPECT_EQ(this->board.read32(msix_at), 0u);
    EXPECT_EQ(this->board.read32(targets[2]), 0u);
    EXPECT_TRUE(this->receives(2)) << "the adapter was not reset";
}

TYPED_TEST(BadInput, FramesAreNoWayToRegisters) {
    const u64 targets[] = {registers_at, msix_at, vf_registers_at, vf_registers_at + vf_bar, vf_msix_at};
    const auto before = others_of<TypeParam>(*this, 1000);
    for (unsigned pool = 0; pool < 3; ++pool) {
        for (u32 n = 0; n < std::size(targets); ++n) {
            this->board.write64(this->rx_ring(pool) + 16 * n, targets[n]);
            this->nic.receive(frame_of(mac + pool, outsider));
        }
        for (const u64 target : targets) // and no way from them
            this->describe(pool, target, this->whole | 64);
        this->set(this->tx(pool) + ring::write_back_low, static_cast<u32>(registers_at) | 1);
        this->go();
        EXPECT_EQ(this->nic.counters(pool).bad_descriptor, 2 * std::size(targets));
    }
    EXPECT_EQ(this->wire.frames, 0u);
    EXPECT_GE(this->board.glass.counter("dma.own-registers"), 3 * 2 * std::size(targets));
    for (const auto& [name, value] : others_of<TypeParam>(*this, 1000))
        if (name.find("RD") != 0 && name.find("TD") != 0) {
            EXPECT_EQ(value, before.at(name)) << name;
        }
    EXPECT_TRUE(this->receives(2));
}

TYPED_TEST(BadInput, AMailboxIsNotItsGuestsToRule) {
    constexpr u64 mail = vf_registers_at;
    const u32 at = TestFixture::At::vf_mailbox;
    (void)this->board.read32(mail + at);
    this->board.write32(mail + at, mailbox::pf_status | mailbox::pf_acknowledge | mailbox::reset_done);
    EXPECT_FALSE(this->board.read32(mail + at) & (mailbox::pf_status | mailbox::pf_acknowledge | mailbox::reset_done)) << "only the physical function says so";
    const u32 pf_mailbox = std::is_same_v<TypeParam, I82576> ? u32{i82576::p2vmailbox} : u32{i82599::pfmailbox};
    this->set(pf_mailbox, mailbox::pf_own_in_use);
    this->board.write32(mail + at, mailbox::vf_in_use);
    EXPECT_FALSE(this->board.read32(mail + at) & mailbox::vf_in_use) << "the other side has it";
    this->board.write32(mail + at, 0);
    EXPECT_TRUE(this->get(pf_mailbox) & mailbox::pf_own_in_use) << "and keeps it";
    this->set(pf_mailbox, 0);
    this->board.write32(mail + at, mailbox::vf_in_use);
    EXPECT_TRUE(this->board.read32(mail + at) & mailbox::vf_in_use);
    this->set(pf_mailbox, mailbox::pf_free_vf);
    EXPECT_FALSE(this->board.read32(mail + at) & mailbox::vf_in_use) << "one that does not let go is made to";
    // A storm of requests is one cause, and counted.
    for (unsigned n = 0; n < 1000; ++n)
        this->board.write32(mail + at, mailbox::vf_request);
    EXPECT_TRUE(this->nic.describe_vf(0).find("1000 requests") != std::string::npos) << this->nic.describe_vf(0);
    EXPECT_TRUE(this->nic.describe_vf(1).find(" 0 requests") != std::string::npos);
}

TYPED_TEST(BadInput, StormsOfVirtualFunctions) {
    u64 offered = 0;
    for (unsigned round = 0; round < 100; ++round) {
        // Frames on their way in both directions, half of them for functions that are about to go.
        for (unsigned pool = 0; pool < 3; ++pool) {
            this->put(TestFixture::tx_buffer, frame_of(pool == 2 ? broadcast : mac + 2, mac + pool));
            this->describe(pool, TestFixture::tx_buffer, this->whole | 64);
            this->nic.receive(frame_of(round % 2 ? broadcast : mac + pool, outsider));
            ++offered;
        }
        if (round % 3)
            this->board.pass(round * 50);
        this->enable_vfs(0);
        this->board.pass(round * 10);
        EXPECT_EQ(this->board.read32(vf_registers_at), ~0u) << "nobody is there";
        this->enable_vfs(1 + round % this->nic.chip().vfs);
        this->open();
    }
    this->enable_vfs(0);
    this->enable_vfs(2);
    this->open();
    this->go();
    const PortCounters& port = this->nic.port_counters();
    EXPECT_EQ(port.rx_frames + port.no_filter + port.pool_off, offered) << "each is accounted for";
    for (unsigned pool = 0; pool < 3; ++pool) {
        EXPECT_TRUE(this->receives(pool)) << pool;
        EXPECT_TRUE(this->sends(pool)) << pool;
    }
    EXPECT_EQ(this->board.clock.next_due(), never);
}

/// A saved state whose vectors wait for interrupts that a virtual function does not have.
TYPED_TEST(BadInput, AStateThatSomebodyWrote) {
    std::vector<u8> saved = pci::save(this->nic);
    unsigned refused = 0;
    std::mt19937_64 random(7);
    for (unsigned n = 0; n < 300; ++n) {
        std::vector<u8> changed = saved;
        for (unsigned i = 0; i < 16; ++i)
            changed[random() % changed.size()] = static_cast<u8>(random());
        refused += !pci::load(this->nic, changed).empty();
        this->nic.receive(frame_of(broadcast, outsider));
        this->board.pass(10'000);
        (void)this->nic.describe_pools();
    }
    EXPECT_EQ(pci::load(this->nic, saved), "");
    EXPECT_EQ(pci::save(this->nic), saved);
    EXPECT_LT(refused, 300u) << "hardly anything was tried";
}

} // namespace
} // namespace vitrine::vtc
