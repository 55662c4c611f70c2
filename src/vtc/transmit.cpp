// SPDX-License-Identifier: Apache-2.0
// Sending: descriptors are fetched, frames gathered, checksums and segments made, and each frame given to the switch.
#include "vtc/adapter.h"
#include "vtc/spec/descriptors.h"

#include <algorithm>
#include <cstring>

namespace vitrine::vtc {

namespace {

constexpr unsigned least_frame = 60, overhead = 24; ///< without FCS; FCS, preamble and gap
constexpr std::size_t longest_frame = 16383;        ///< whatever the driver wants to receive
constexpr unsigned least_segment = 16;              ///< a smaller MSS is nobody's wish
constexpr unsigned descriptors_a_turn = 64;
constexpr u8 tcp_fin = 1, tcp_push = 8, tcp_cwr = 0x80;

/// Where the headers lie, as a context descriptor says; checked against the frame's size.
struct Headers {
    unsigned l3, l4, payload;
    bool ipv4;
    unsigned l4_type;

    bool fits(std::size_t size, bool l4_wanted) const {
        return l3 >= 14 && l4 >= l3 + (ipv4 ? 20 : 40) && l4 <= size && (!l4_wanted || l4 + (l4_type == 1 ? 20u : l4_type == 2 ? 12u : 8u) <= size);
    }
};

Headers headers_of(const u32 (&c)[4]) {
    Headers h{};
    h.l3 = static_cast<unsigned>(tx_context0.mac_length(c[0]));
    h.l4 = h.l3 + static_cast<unsigned>(tx_context0.ip_length(c[0]));
    h.payload = h.l4 + static_cast<unsigned>(tx_context3.l4_length(c[3]));
    h.ipv4 = tx_context2.ipv4(c[2]);
    h.l4_type = static_cast<unsigned>(tx_context2.l4_type(c[2]));
    return h;
}

void put_ip_checksum(std::span<u8> frame, const Headers& h) {
    put16(frame, h.l3 + 10, 0);
    put16(frame, h.l3 + 10, static_cast<u16>(~fold(sum(frame.subspan(h.l3, h.l4 - h.l3)))));
}

unsigned checksum_place(const Headers& h) { return h.l4 + (h.l4_type == 1 ? 16 : 6); }

/// The driver has put the pseudo header's sum into the field, or zero where there is none.
void put_l4_checksum(std::span<u8> frame, const Headers& h) {
    const auto body = frame.subspan(h.l4);
    if (h.l4_type == 2) {
        std::fill_n(body.begin() + 8, 4, u8{0});
        const u32 crc = crc32c(body);
        for (unsigned i = 0; i < 4; ++i)
            body[8 + i] = static_cast<u8>(crc >> (8 * i));
        return;
    }
    const u16 result = static_cast<u16>(~fold(sum(body)));
    // A UDP checksum of zero would mean that there is none.
    put16(frame, checksum_place(h), result == 0 && h.l4_type == 0 ? u16{0xffff} : result);
}

} // namespace

void Adapter::transmit_work() {
    const PortRules rules = rules_now();
    if (!rules.transmits)
        return;
    Turn turn{.now = clock_.now(), .next = never, .left = burst_descriptors, .waiting = rung_};
    while (const u8 ready = ready_classes(turn)) {
        if (!turn.left || turn.used >= burst_time * 10) {
            turn.next = std::min(turn.next, std::max(std::max(wire_free_, turn.now) + turn.used / 10, turn.now + 1));
            break;
        }
        const unsigned traffic_class = arbiter_.next(ready, classes_now());
        const unsigned queue = (turn.waiting & classes_now().queues[traffic_class]).next_from(next_queue_[traffic_class]);
        next_queue_[traffic_class] = static_cast<u8>((queue + 1) % chip_.queues);
        const u64 before = turn.used;
        queue_turn(queue, turn);
        arbiter_.sent((turn.used - before) / chip_.byte_time);
    }
    wire_free_ = std::max(wire_free_, turn.now) + turn.used / 10;
    // A partner that lets it go on may have come in the middle.
    transmit_timer_.arm(std::min(turn.next, transmit_timer_.due()));
}

u8 Adapter::ready_classes(Turn& turn) const {
    const ClassRules& classes = classes_now();
    u8 ready = 0;
    for (unsigned n = 0; n < classes.transmit; ++n)
        if ((turn.waiting & classes.queues[n]).any()) {
            if (const u64 paused = flow_.paused_until(n); paused > turn.now)
                turn.next = std::min(turn.next, paused);
            else
                ready |= static_cast<u8>(1u << n);
        }
    return ready;
}

void Adapter::queue_turn(unsigned queue, Turn& turn) {
    const PortRules& rules = rules_now();
    const u32 at = transmit_ring(queue);
    if (!(reg(at + ring::control) & queue_enabled) || reg(at + ring::head) == reg(at + ring::tail)) {
        rung_.remove(queue);
        turn.waiting.remove(queue);
        return;
    }
    Ring r = ring_at(at);
    TransmitQueue& q = transmit_[queue];
    if (!ring_runs(at, r) || (rules.pools && !(rules.transmit_pools >> pool_of(queue) & 1)) || q.allowed > turn.now) {
        if (q.allowed > turn.now)
            turn.next = std::min(turn.next, q.allowed);
        turn.waiting.remove(queue);
        return;
    }
    bool reported = false;
    working_ = true;
    for (unsigned n = 0; n < descriptors_a_turn && turn.left && r.head != r.tail; ++n, --turn.left) {
        u8 raw[descriptor_size];
        if (!owner(queue).dma_read(DeviceAddress{r.base + u64{r.head} * descriptor_size}, raw)) {
            glass().odd(Topic::vtc, "descriptor.unreadable", {{"adapter", name()}, {"queue", queue}});
            ++pools_[pool_of(queue)].bad_descriptor;
            regs_.at(at + ring::control) &= ~queue_enabled;
            break;
        }
        u32 d[4];
        std::memcpy(d, raw, sizeof d);
        const u64 time = transmit_descriptor(queue, d);
        turn.used += time;
        const u32 index = r.head;
        r.head = r.head + 1 == r.size ? 0 : r.head + 1;
        regs_.at(at + ring::head) = r.head;
        if (d[2] & tx_report_status) {
            report_done(queue, at, index, d[3], true);
            reported = true;
        }
        if (!q.begun && time)
            break; // the next queue's turn
    }
    working_ = false;
    if (reported)
        queue_event(queue, true);
}

/// The descriptor's DD bit, or the head where the driver asked for that.
void Adapter::report_done(unsigned queue, u32 at, u32 index, u32 dword3, bool) {
    const u32 low = reg(at + ring::write_back_low);
    u8 bytes[4];
    if (low & 1) {
        const u32 head = reg(at + ring::head);
        std::memcpy(bytes, &head, 4);
        static_cast<void>(owner(queue).dma_write(DeviceAddress{(low & ~3u) | static_cast<u64>(reg(at + ring::write_back_high)) << 32}, bytes));
        return;
    }
    const Ring r = ring_at(at);
    const u32 done = dword3 | tx_done;
    std::memcpy(bytes, &done, 4);
    static_cast<void>(owner(queue).dma_write(DeviceAddress{r.base + u64{index} * descriptor_size + 12}, bytes));
}

u64 Adapter::transmit_descriptor(unsigned queue, const u32 (&d)[4]) {
    TransmitQueue& q = transmit_[queue];
    const u64 address = d[0] | static_cast<u64>(d[1]) << 32;
    const bool advanced = d[2] & tx_extension;
    if (advanced && static_cast<TxType>(d[2] >> 20 & 15) == TxType::context) {
        std::copy(std::begin(d), std::end(d), std::begin(q.contexts[tx_context3.index(d[3])].word));
        return 0;
    }
    if (advanced && static_cast<TxType>(d[2] >> 20 & 15) != TxType::data) {
        glass().odd(Topic::vtc, "descriptor.unknown-type", {{"adapter", name()}, {"queue", queue}, {"dword", d[2]}});
        ++pools_[pool_of(queue)].bad_descriptor;
        return 0;
    }
    if (!q.begun) {
        q.begun = true;
        q.bad = false;
        q.data.clear();
        q.command = d[2];
        q.options = d[3];
    }
    gather(queue, q, address, d[2] & 0xffff);
    if (!(d[2] & tx_end_of_packet))
        return 0;
    if (!advanced) { // the last descriptor's fields count
        q.command = d[2];
        q.options = d[3];
    }
    q.begun = false;
    const u64 used = send_gathered(queue, q);
    q.data.clear();
    return used ? used : 1;
}

void Adapter::gather(unsigned queue, TransmitQueue& q, u64 address, u32 length) {
    if (q.bad)
        return;
    if (q.data.size() + length > largest_send) {
        q.bad = true;
        q.data.clear();
        return;
    }
    const std::size_t before = q.data.size();
    q.data.resize(before + length);
    if (length && !owner(queue).dma_read(DeviceAddress{address}, std::span(q.data).subspan(before)))
        q.bad = true;
}

u64 Adapter::send_gathered(unsigned queue, TransmitQueue& q) {
    PoolCounters& counters = pools_[pool_of(queue)];
    const bool advanced = q.command & tx_extension;
    const auto refuse = [&](std::string_view why) {
        glass().odd(Topic::vtc, "transmit.refused", {{"adapter", name()}, {"queue", queue}, {"why", why}, {"bytes", q.data.size()}});
        ++counters.bad_descriptor;
        ++queue_counters_[queue].tx_refused;
        return u64{0};
    };
    if (q.bad)
        return refuse("a buffer could not be read, or the frame is too long");
    if (q.data.size() < 14)
        return refuse("shorter than an Ethernet header");
    const Context& c = q.contexts[q.options / tx_context_index & 1];
    if (advanced && (q.command & tx_segmentation))
        return send_segments(queue, q, c);
    if (q.data.size() > longest_frame)
        return refuse("longer than a frame may be");
    if (!advanced) {
        const unsigned start = q.options >> 8 & 0xff, at = q.command >> 16 & 0xff;
        if (q.command & tx_legacy_insert_checksum) {
            if (start >= q.data.size() || at + 2u > q.data.size())
                return refuse("a checksum outside the frame");
            put16(q.data, at, static_cast<u16>(~fold(sum(std::span(q.data).subspan(start)))));
        }
        return send_frame(queue, q.data, q.options >> 16, q.command & tx_vlan_enable);
    }
    const bool ip = q.options & tx_ip_checksum, l4 = q.options & tx_l4_checksum;
    if (ip || l4) {
        const Headers h = headers_of(c.word);
        // An IP length of zero is no IP header: only the transport's sum is asked for.
        if (!(ip ? h.fits(q.data.size(), l4) : h.l3 >= 14 && h.l4 + (h.l4_type == 1 ? 18u : 8u) <= q.data.size()))
            return refuse("a checksum outside the frame");
        if (ip && h.ipv4)
            put_ip_checksum(q.data, h);
        if (l4 && (h.l4_type != 2 || h.l4 + 12 <= q.data.size()))
            put_l4_checksum(q.data, h);
    }
    if (q.command & tx_timestamp)
        stamp_sent();
    return send_frame(queue, q.data, static_cast<u32>(tx_context0.vlan(c.word[0])), q.command & tx_vlan_enable);
}

u64 Adapter::send_segments(unsigned queue, TransmitQueue& q, const Context& c) {
    PoolCounters& counters = pools_[pool_of(queue)];
    const Headers h = headers_of(c.word);
    const unsigned mss = static_cast<unsigned>(tx_context3.mss(c.word[3]));
    if (!h.fits(q.data.size(), true) || h.l4_type > 1 || h.payload < h.l4 + (h.l4_type == 1 ? 20u : 8u) || h.payload > q.data.size() ||
        mss < least_segment || h.payload + std::min<std::size_t>(mss, q.data.size() - h.payload) > longest_frame) {
        glass().odd(Topic::vtc, "transmit.refused",
                    {{"adapter", name()}, {"queue", queue}, {"why", "segmentation with impossible headers"}, {"bytes", q.data.size()}});
        ++counters.bad_descriptor;
        ++queue_counters_[queue].tx_refused;
        return 0;
    }
    const std::span<const u8> header(q.data.data(), h.payload);
    std::span<const u8> rest(q.data.data() + h.payload, q.data.size() - h.payload);
    count_segmented();
    const u16 id = h.ipv4 ? get16(header, h.l3 + 4) : u16{0};
    const bool tcp = h.l4_type == 1;
    const u32 sequence = tcp ? get32(header, h.l4 + 4) : 0;
    u64 used = 0;
    u32 done = 0;
    for (unsigned n = 0; n == 0 || !rest.empty(); ++n) {
        const auto piece = rest.first(std::min<std::size_t>(mss, rest.size()));
        rest = rest.subspan(piece.size());
        std::vector<u8> frame(header.begin(), header.end());
        frame.insert(frame.end(), piece.begin(), piece.end());
        const u32 l4_bytes = static_cast<u32>(frame.size() - h.l4);
        if (h.ipv4) {
            put16(frame, h.l3 + 2, static_cast<u16>(frame.size() - h.l3));
            put16(frame, h.l3 + 4, static_cast<u16>(id + n));
            put_ip_checksum(frame, h);
        } else {
            put16(frame, h.l3 + 4, static_cast<u16>(frame.size() - h.l3 - 40));
        }
        if (tcp) {
            put32(frame, h.l4 + 4, sequence + done);
            if (!rest.empty())
                frame[h.l4 + 13] &= static_cast<u8>(~(tcp_fin | tcp_push));
            if (n > 0)
                frame[h.l4 + 13] &= static_cast<u8>(~tcp_cwr);
        } else {
            put16(frame, h.l4 + 4, static_cast<u16>(l4_bytes));
        }
        put16(frame, checksum_place(h), 0);
        const u16 check = static_cast<u16>(
            ~fold(sum(std::span(frame).subspan(h.l4), pseudo_sum(frame, h.l3, !h.ipv4, tcp ? protocol_tcp : protocol_udp, l4_bytes))));
        put16(frame, checksum_place(h), check == 0 && !tcp ? u16{0xffff} : check);
        done += static_cast<u32>(piece.size());
        used += send_frame(queue, frame, static_cast<u32>(tx_context0.vlan(c.word[0])), q.command & tx_vlan_enable);
    }
    return used;
}

u64 Adapter::send_frame(unsigned queue, std::vector<u8>& frame, u32 tag, bool tagged) {
    const unsigned pool = pool_of(queue);
    const PortRules rules = rules_now();
    if (rules.pools) {
        const u32 port_vlan = rules_of(pool).port_vlan;
        if (port_vlan >> 30 == port_vlan_always) {
            tag = port_vlan;
            tagged = true;
        } else if (port_vlan >> 30 == port_vlan_never) {
            tagged = false;
        }
    }
    if (tagged) {
        const u8 bytes[] = {0x81, 0x00, static_cast<u8>(tag >> 8), static_cast<u8>(tag)};
        frame.insert(frame.begin() + 12, bytes, bytes + 4);
    }
    if (frame.size() < least_frame)
        frame.resize(least_frame);
    const u64 used = (frame.size() + overhead) * chip_.byte_time;
    if (const u64 slow = rate_time(queue, frame.size() + overhead))
        transmit_[queue].allowed = std::max(transmit_[queue].allowed, clock_.now()) + slow;
    const Packet p(frame);
    if (rules.pools && spoofed(p, pool)) {
        ++queue_counters_[queue].tx_refused;
        return used;
    }
    PoolCounters& counters = pools_[pool];
    ++counters.tx_frames;
    counters.tx_bytes += frame.size();
    ++queue_counters_[queue].tx_frames;
    queue_counters_[queue].tx_bytes += frame.size();
    chip_counts_transmit(queue, frame.size());
    if (options_.pool_capture)
        if (FrameWitness* witness = options_.pool_capture(pool))
            witness->passed(clock_.now(), frame);
    switch_frame(frame, pool);
    return used;
}

} // namespace vitrine::vtc
