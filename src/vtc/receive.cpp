// SPDX-License-Identifier: Apache-2.0
// Receiving: frames from the packet buffer are written to their rings, with what the adapter found out about them.
#include "vtc/adapter.h"
#include "vtc/spec/descriptors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace vitrine::vtc {

namespace {

constexpr unsigned fcs_size = 4, standard_buffer = 2048;
enum class Shape : u8 { legacy = 0, advanced = 1, split = 2, split_always = 5 };

u32 ethernet_fcs(std::span<const u8> frame) {
    u32 c = 0xffff'ffff;
    for (const u8 b : frame) {
        c ^= b;
        for (int k = 0; k < 8; ++k)
            c = c & 1 ? c >> 1 ^ 0xedb8'8320 : c >> 1;
    }
    return ~c;
}

u32 packet_type(const Packet& p) {
    u32 type = 0;
    if (p.ipv4)
        type |= packet_ipv4 | (p.ip_options ? packet_ipv4_options : 0);
    if (p.ipv6)
        type |= packet_ipv6 | (p.ip_options ? packet_ipv6_extensions : 0);
    if (p.transport == L4::tcp)
        type |= packet_tcp;
    if (p.transport == L4::udp)
        type |= packet_udp;
    if (p.transport == L4::sctp)
        type |= packet_sctp;
    return type;
}

} // namespace

void Adapter::drain() {
    QueueSet told;
    const bool outer = std::exchange(working_, true); // transmission to a pool of its own comes here too
    // A frame that waits stops those of its class, and no others.
    for (Buffer& buffer : buffers_)
        while (!buffer.frames.empty()) {
            const Arrived& a = buffer.frames.front();
            const Stored stored = write_to_ring(a);
            if (stored == Stored::waits)
                break;
            if (stored == Stored::lost) {
                ++queue_counters_[a.queue].rx_lost;
                glass().tell(Topic::vtc, "lost", {{"adapter", name()}, {"pool", a.pool}, {"queue", a.queue}});
            }
            if (stored == Stored::done)
                told.add(a.queue);
            buffer.bytes -= a.frame.size();
            buffer.frames.pop_front();
        }
    working_ = outer;
    for (; told.any(); told.remove(told.next_from(0)))
        queue_event(told.next_from(0), false);
    for (unsigned n = 0; n < most_classes; ++n)
        watch_level(n);
}

Adapter::Stored Adapter::write_to_ring(const Arrived& a) {
    const u32 at = receive_ring(a.queue);
    PoolCounters& counters = pools_[a.pool];
    if (!(reg(at + ring::control) & queue_enabled)) {
        ++counters.not_enabled;
        return Stored::lost;
    }
    const Ring r = ring_at(at);
    if (!ring_runs(at, r)) {
        ++counters.not_enabled;
        return Stored::lost;
    }
    const PortRules& rules = rules_now();
    Packet p(a.frame);
    const u16 tag = p.tag;
    const bool strip = p.tagged && strip_vlan(a.queue, a.pool);
    std::vector<u8> changed; // only if it is not as it came
    if (strip || rules.fcs_kept)
        changed = a.frame;
    if (strip)
        changed.erase(changed.begin() + 12, changed.begin() + 16);
    if (rules.fcs_kept) {
        const u32 fcs = ethernet_fcs(a.frame);
        for (unsigned i = 0; i < fcs_size; ++i)
            changed.push_back(static_cast<u8>(fcs >> (8 * i)));
    }
    const std::span<const u8> frame(changed.empty() ? a.frame : changed);
    const u32 split = reg(at + chip_.split_control);
    const Shape shape = static_cast<Shape>(srrctl.type(split));
    unsigned buffer = static_cast<unsigned>(srrctl.packet_size(split)) * 1024;
    if (buffer == 0)
        buffer = standard_buffer;
    std::size_t header = 0;
    if (shape == Shape::split || shape == Shape::split_always) {
        // The header's length has ten bits in the descriptor.
        const unsigned room = std::min(1023u, static_cast<unsigned>(srrctl.header_size(split)) * 64);
        header = p.l4_header ? p.l4 + p.l4_header : p.ipv4 || p.ipv6 ? p.l4 : 0;
        if (strip && header)
            header -= 4;
        if (shape == Shape::split_always && !header)
            header = std::min<std::size_t>(room, frame.size());
        if (header > room || header > frame.size())
            header = 0;
    }
    const unsigned need = static_cast<unsigned>(std::max<std::size_t>(1, (frame.size() - header + buffer - 1) / buffer));
    const unsigned have = (r.tail + r.size - r.head) % r.size;
    if (need > r.size - 1) {
        ++counters.too_long;
        return Stored::lost;
    }
    if (need > have) {
        if (!(split & chip_.split_drop) && !queue_drops(a.queue))
            return Stored::waits;
        ++counters.no_descriptor;
        chip_counts_lost(a.queue);
        explain("dropped", p, Detail{"pool", a.pool}, Detail{"queue", a.queue}, Detail{"why", "no descriptor"});
        return Stored::lost;
    }

    u32 status = rx_done | a.status | (a.looped ? chip_.rx_loopback : 0) | (strip ? rx_vlan_packet : 0);
    const u32 type = a.type_filter != Arrived::none ? packet_by_type | a.type_filter : packet_type(p);
    if (rules.ip_checksum && p.ipv4)
        status |= rx_ip_checksum | (p.ip_checksum_right() ? 0 : chip_.rx_error_ip);
    const bool whole = p.transport == L4::tcp || p.transport == L4::udp || p.transport == L4::sctp;
    const bool no_sum = p.transport == L4::udp && get16(a.frame, p.l4 + 6) == 0;
    if (rules.l4_checksum && whole && !no_sum)
        status |= rx_l4_checksum | (p.l4_checksum_right() ? 0 : chip_.rx_error_l4) | (p.transport == L4::udp ? rx_udp_checksum : 0);

    pci::Function& function = owner(a.queue);
    std::span<const u8> rest(frame);
    u32 head = r.head;
    u64 first = 0; ///< where the frame begins, as the device addresses memory
    for (unsigned n = 0; n < need; ++n) {
        const DeviceAddress place{r.base + u64{head} * descriptor_size};
        std::array<u8, descriptor_size> raw{};
        std::array<u64, 2> addresses{};
        if (!function.dma_read(place, raw)) {
            glass().odd(Topic::vtc, "descriptor.unreadable", {{"adapter", name()}, {"queue", a.queue}});
            ++counters.bad_descriptor;
            regs_.at(at + ring::control) &= ~queue_enabled;
            return Stored::lost;
        }
        std::memcpy(addresses.data(), raw.data(), descriptor_size);
        bool good = true;
        if (n == 0)
            first = header ? addresses[1] & ~1ull : addresses[0] & ~(shape == Shape::legacy ? 0ull : 1ull);
        if (n == 0 && header) {
            good &= function.dma_write(DeviceAddress{addresses[1] & ~1ull}, rest.first(header));
            rest = rest.subspan(header);
        }
        const auto piece = rest.first(std::min<std::size_t>(rest.size(), buffer));
        rest = rest.subspan(piece.size());
        if (!piece.empty())
            good &= function.dma_write(DeviceAddress{addresses[0] & ~(shape == Shape::legacy ? 0ull : 1ull)}, piece);
        if (!good)
            ++counters.bad_descriptor;
        const bool last = n + 1 == need;
        u32 d[4];
        if (shape == Shape::legacy) {
            d[0] = static_cast<u32>(addresses[0]);
            d[1] = static_cast<u32>(addresses[0] >> 32);
            d[2] = static_cast<u32>(piece.size()) | static_cast<u32>(fold(sum(frame))) << 16;
            // Status and errors lie side by side; the upper bits of the advanced form are left out.
            d[3] = (status & 0xff) | (last ? rx_end_of_packet : 0) | (status & chip_.rx_error_ip ? 0x4000 : 0) |
                   (status & chip_.rx_error_l4 ? 0x2000 : 0) | (strip ? static_cast<u32>(tag) << 16 : 0);
        } else {
            d[0] = a.hash_type | type << 4 | (header && n == 0 ? rx_split_header | static_cast<u32>(header) << rx_header_shift : 0);
            d[1] = a.hash;
            d[2] = last ? status | rx_end_of_packet : rx_done;
            d[3] = static_cast<u32>(piece.size()) | (strip ? static_cast<u32>(tag) << 16 : 0);
        }
        std::memcpy(raw.data(), d, sizeof d);
        static_cast<void>(function.dma_write(place, raw));
        head = head + 1 == r.size ? 0 : head + 1;
    }
    regs_.at(at + ring::head) = head;
    if (glass().on(Topic::vtc)) [[unlikely]]
        glass().tell(Topic::vtc, "stored", {{"adapter", name()}, {"function", function.name()}, {"requester", function.requester_id()}, {"pool", a.pool}, {"queue", a.queue},
                                        {"descriptor", r.head}, {"address", first}, {"size", frame.size()}});
    ++counters.rx_frames;
    counters.rx_bytes += a.frame.size();
    counters.rx_multicast += p.group() && p.destination != broadcast;
    ++queue_counters_[a.queue].rx_frames;
    queue_counters_[a.queue].rx_bytes += a.frame.size();
    chip_counts_receive(a.queue, a.frame.size());
    return Stored::done;
}

// ---- the port's statistics: the same registers in both chips ----------------------------------------------------------------

namespace {

namespace stat {
constexpr u32 rx_by_size = 0x405c, rx_good = 0x4074, rx_broadcast = 0x4078, rx_multicast = 0x407c, tx_good = 0x4080, rx_octets = 0x4088,
              tx_octets = 0x4090, rx_all_octets = 0x40c0, tx_all_octets = 0x40c8, rx_all = 0x40d0, tx_all = 0x40d4, tx_by_size = 0x40d8, tx_multicast = 0x40f0,
              tx_broadcast = 0x40f4, segmentations = 0x40f8;
} // namespace stat

u32 size_class(std::size_t bytes) {
    static constexpr std::size_t ends[] = {64, 127, 255, 511, 1023};
    u32 n = 0;
    while (n < 5 && bytes > ends[n])
        ++n;
    return 4 * n;
}

} // namespace

/// Whether a filter wants it or not.
void Adapter::count_seen(const Packet& p) {
    regs_.count(stat::rx_all);
    if (regs_.find(stat::rx_all_octets).row)
        regs_.count_wide(stat::rx_all_octets, p.frame.size() + fcs_size);
}

void Adapter::count_segmented() {
    if (regs_.find(stat::segmentations).row)
        regs_.count(stat::segmentations);
}

void Adapter::count_received(const Packet& p) {
    const std::size_t bytes = p.frame.size() + fcs_size;
    regs_.count(stat::rx_by_size + size_class(bytes));
    regs_.count(stat::rx_good);
    if (p.destination == broadcast)
        regs_.count(stat::rx_broadcast);
    else if (p.group())
        regs_.count(stat::rx_multicast);
    regs_.count_wide(stat::rx_octets, bytes);
}

void Adapter::count_sent(const Packet& p) {
    const std::size_t bytes = p.frame.size() + fcs_size;
    regs_.count(stat::tx_by_size + size_class(bytes));
    regs_.count(stat::tx_good);
    regs_.count(stat::tx_all);
    if (p.destination == broadcast)
        regs_.count(stat::tx_broadcast);
    else if (p.group())
        regs_.count(stat::tx_multicast);
    regs_.count_wide(stat::tx_octets, bytes);
    if (regs_.find(stat::tx_all_octets).row)
        regs_.count_wide(stat::tx_all_octets, bytes);
}

} // namespace vitrine::vtc
