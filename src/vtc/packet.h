// SPDX-License-Identifier: Apache-2.0
// What an adapter sees of a frame: addresses, VLAN tag, IP and transport headers; checksums, and the hash of receive-side scaling.
#pragma once

#include "words/integers.h"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace vitrine::vtc {

using Mac = u64; ///< the first byte on the wire is bits 47:40

inline constexpr u8 protocol_tcp = 6, protocol_udp = 17, protocol_sctp = 132;

inline constexpr Mac broadcast = 0xffff'ffff'ffff;
constexpr bool is_group(Mac mac) { return mac >> 40 & 1; }

/// As receive address registers hold it: the first byte on the wire is the lowest.
constexpr u32 mac_low(Mac mac) { return __builtin_bswap32(static_cast<u32>(mac >> 16)); }
constexpr u32 mac_high(Mac mac) { return __builtin_bswap16(static_cast<u16>(mac)); }

std::string mac_text(Mac mac);

enum class L4 : u8 { none, tcp, udp, sctp, other };

/// Offsets are from the start of the frame; they are inside it whenever the flag or kind before them says that the header is there.
struct Packet {
    explicit Packet(std::span<const u8> frame);

    std::span<const u8> frame;
    Mac destination = 0, source = 0;
    bool tagged = false;
    u16 tag = 0; ///< priority, CFI and VLAN id
    u16 type = 0;
    unsigned l3 = 0, l4 = 0, end = 0; ///< `end`: behind the IP packet, which padding may follow
    bool ipv4 = false, ipv6 = false, ip_options = false, fragment = false;
    u8 protocol = 0; ///< IP's number of what follows the headers that are understood
    L4 transport = L4::none;
    unsigned l4_header = 0; ///< its length

    u16 vlan() const { return tag & 0xfff; }
    bool group() const { return is_group(destination); }
    /// Right; only for ipv4.
    bool ip_checksum_right() const;
    /// Right, or a UDP checksum that was left out; only for whole TCP, UDP and SCTP packets.
    bool l4_checksum_right() const;
    u16 source_port() const;
    u16 destination_port() const;
};

/// The Internet checksum's sum, not complemented, folded to 16 bits. A last odd byte counts as the upper half of a word.
u32 sum(std::span<const u8> data, u32 start = 0);
u16 fold(u32 sum);
u32 crc32c(std::span<const u8> data);
/// The pseudo header's sum, for a transport packet of `length` bytes.
u32 pseudo_sum(std::span<const u8> frame, unsigned l3, bool ipv6, u8 protocol, u32 length);

/// Toeplitz over `data` with a 40-byte key.
u32 toeplitz(std::span<const u8, 40> key, std::span<const u8> data);

inline u16 get16(std::span<const u8> d, std::size_t at) { return static_cast<u16>(d[at] << 8 | d[at + 1]); }
inline u32 get32(std::span<const u8> d, std::size_t at) { return static_cast<u32>(get16(d, at)) << 16 | get16(d, at + 2); }
inline void put16(std::span<u8> d, std::size_t at, u16 v) { d[at] = static_cast<u8>(v >> 8), d[at + 1] = static_cast<u8>(v); }
inline void put32(std::span<u8> d, std::size_t at, u32 v) {
    put16(d, at, static_cast<u16>(v >> 16));
    put16(d, at + 2, static_cast<u16>(v));
}

} // namespace vitrine::vtc
