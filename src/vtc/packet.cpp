// SPDX-License-Identifier: Apache-2.0
// Frames: parsing that never reads behind their end, and sums over them.
#include "vtc/packet.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace vitrine::vtc {

namespace {

constexpr u16 type_vlan = 0x8100, type_ipv4 = 0x0800, type_ipv6 = 0x86dd;

Mac mac_at(std::span<const u8> d, unsigned at) {
    Mac mac = 0;
    for (unsigned i = 0; i < 6; ++i)
        mac = mac << 8 | d[at + i];
    return mac;
}

} // namespace

std::string mac_text(Mac mac) {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac >> 40 & 0xff, mac >> 32 & 0xff, mac >> 24 & 0xff, mac >> 16 & 0xff,
                       mac >> 8 & 0xff, mac & 0xff);
}

Packet::Packet(std::span<const u8> f) : frame(f) {
    end = static_cast<unsigned>(f.size());
    if (f.size() < 14)
        return;
    destination = mac_at(f, 0);
    source = mac_at(f, 6);
    type = get16(f, 12);
    l3 = 14;
    if (type == type_vlan && f.size() >= 18) {
        tagged = true;
        tag = get16(f, 14);
        type = get16(f, 16);
        l3 = 18;
    }
    if (type == type_ipv4 && f.size() >= l3 + 20 && f[l3] >> 4 == 4) {
        const unsigned length = (f[l3] & 15) * 4u, total = get16(f, l3 + 2);
        if (length < 20 || total < length || l3 + total > f.size())
            return;
        ipv4 = true;
        ip_options = length > 20;
        fragment = get16(f, l3 + 6) & 0x3fff;
        l4 = l3 + length;
        end = l3 + total;
        protocol = f[l3 + 9];
    } else if (type == type_ipv6 && f.size() >= l3 + 40 && f[l3] >> 4 == 6) {
        const unsigned total = 40u + get16(f, l3 + 4);
        if (l3 + total > f.size())
            return;
        ipv6 = true;
        l4 = l3 + 40;
        end = l3 + total;
        protocol = f[l3 + 6];
        // Hop-by-hop options, routing and destination options have a length; a fragment header ends what is looked at.
        for (unsigned n = 0; n < 8 && (protocol == 0 || protocol == 43 || protocol == 60) && l4 + 8 <= end; ++n) {
            ip_options = true;
            protocol = f[l4];
            l4 += (f[l4 + 1] + 1u) * 8;
        }
        fragment = protocol == 44;
        if (l4 > end) {
            l4 = end;
            return;
        }
    } else {
        return;
    }
    transport = L4::other;
    if (fragment)
        return;
    const unsigned left = end - l4;
    if (protocol == protocol_tcp && left >= 20 && (f[l4 + 12] >> 4) * 4u >= 20 && (f[l4 + 12] >> 4) * 4u <= left) {
        transport = L4::tcp;
        l4_header = (f[l4 + 12] >> 4) * 4u;
    } else if (protocol == protocol_udp && left >= 8) {
        transport = L4::udp;
        l4_header = 8;
    } else if (protocol == protocol_sctp && left >= 12) {
        transport = L4::sctp;
        l4_header = 12;
    }
}

u16 Packet::source_port() const { return l4_header ? get16(frame, l4) : u16{0}; }

u16 Packet::destination_port() const { return l4_header ? get16(frame, l4 + 2) : u16{0}; }

bool Packet::ip_checksum_right() const { return fold(sum(frame.subspan(l3, l4 - l3))) == 0xffff; }

bool Packet::l4_checksum_right() const {
    const auto body = frame.subspan(l4, end - l4);
    if (transport == L4::sctp) {
        std::vector<u8> copy(body.begin(), body.end());
        const u32 given = static_cast<u32>(copy[8] | copy[9] << 8 | copy[10] << 16) | static_cast<u32>(copy[11]) << 24;
        std::fill(copy.begin() + 8, copy.begin() + 12, u8{0});
        return crc32c(copy) == given;
    }
    if (transport == L4::udp && get16(frame, l4 + 6) == 0)
        return true;
    const u8 protocol = transport == L4::tcp ? protocol_tcp : protocol_udp;
    return fold(sum(body, pseudo_sum(frame, l3, ipv6, protocol, static_cast<u32>(body.size())))) == 0xffff;
}

// The sum does not depend on the order of bytes but for the order of its own two: words are summed as the host has them.
u32 sum(std::span<const u8> data, u32 start) {
    u64 total = 0;
    std::size_t i = 0;
    for (; i + 4 <= data.size(); i += 4) {
        u32 word;
        std::memcpy(&word, data.data() + i, 4);
        total += word;
    }
    for (; i < data.size(); ++i)
        total += static_cast<u64>(data[i]) << (8 * (i & 1));
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (start & 0xffff) + (start >> 16) + __builtin_bswap16(static_cast<u16>(total));
}

u16 fold(u32 s) {
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return static_cast<u16>(s);
}

u32 pseudo_sum(std::span<const u8> frame, unsigned l3, bool ipv6, u8 protocol, u32 length) {
    const auto addresses = ipv6 ? frame.subspan(l3 + 8, 32) : frame.subspan(l3 + 12, 8);
    return fold(sum(addresses)) + protocol + fold(length);
}

u32 crc32c(std::span<const u8> data) {
    static constexpr auto table = [] {
        std::array<u32, 256> t{};
        for (u32 n = 0; n < 256; ++n) {
            u32 c = n;
            for (int k = 0; k < 8; ++k)
                c = c & 1 ? c >> 1 ^ 0x82f6'3b78 : c >> 1;
            t[n] = c;
        }
        return t;
    }();
    u32 c = 0xffff'ffff;
    for (const u8 b : data)
        c = c >> 8 ^ table[(c ^ b) & 0xff];
    return ~c;
}

u32 toeplitz(std::span<const u8, 40> key, std::span<const u8> data) {
    u32 result = 0;
    u64 window = static_cast<u64>(get32(key, 0)) << 32 | get32(key, 4);
    for (std::size_t i = 0; i < data.size(); ++i) {
        for (int b = 7; b >= 0; --b) {
            if (data[i] >> b & 1)
                result ^= static_cast<u32>(window >> 32);
            window <<= 1;
        }
        window |= i + 8 < key.size() ? key[i + 8] : 0;
    }
    return result;
}

} // namespace vitrine::vtc
