// SPDX-License-Identifier: Apache-2.0
// Descriptors, which the 82576 and the 82599 share but for a few bits. Each is 16 bytes: four dwords. (82576 datasheet, Receive
// Descriptors, Transmit Descriptors; 82599 datasheet, Receive Descriptors, Transmit Functionality.)
#pragma once

#include "words/bits.h"

namespace vitrine::vtc {

inline constexpr unsigned descriptor_size = 16;

// Transmit, legacy and advanced: dword 2
inline constexpr u32 tx_end_of_packet = 1u << 24;
inline constexpr u32 tx_insert_fcs = 1u << 25;
inline constexpr u32 tx_legacy_insert_checksum = 1u << 26;
inline constexpr u32 tx_report_status = 1u << 27;
inline constexpr u32 tx_extension = 1u << 29;
inline constexpr u32 tx_vlan_enable = 1u << 30;
inline constexpr u32 tx_segmentation = 1u << 31;
inline constexpr u32 tx_timestamp = 1u << 19;
enum class TxType : u8 { context = 2, data = 3 }; ///< DTYP, bits 23:20
// Transmit: dword 3
inline constexpr u32 tx_done = 1;
inline constexpr u32 tx_context_index = 1u << 4;
inline constexpr u32 tx_ip_checksum = 1u << 8, tx_l4_checksum = 1u << 9;
inline constexpr unsigned tx_payload_shift = 14;

/// A context descriptor as four dwords.
struct TxContextLayout {
    Field ip_length{8, 0, ro, "IPLEN", "length of the IP header"};
    Field mac_length{15, 9, ro, "MACLEN", "length of the MAC header"};
    Field vlan{31, 16, ro, "VLAN", "VLAN tag"};
} inline constexpr tx_context0;
struct TxContextCommand {
    Field ipv4{10, ro, "IPV4", "IPv4, not IPv6"};
    Field l4_type{12, 11, ro, "L4T", "0 UDP, 1 TCP, 2 SCTP"};
} inline constexpr tx_context2;
struct TxContextSizes {
    Field index{4, ro, "IDX", "which of the queue's two contexts"};
    Field l4_length{15, 8, ro, "L4LEN", "length of the TCP or UDP header"};
    Field mss{31, 16, ro, "MSS", "maximum segment size"};
} inline constexpr tx_context3;

// Receive, advanced write-back: status, dword 2
inline constexpr u32 rx_done = 1, rx_end_of_packet = 2, rx_vlan_packet = 8, rx_udp_checksum = 0x10, rx_l4_checksum = 0x20, rx_ip_checksum = 0x40,
                     rx_passed_inexact = 0x80, rx_flow_match = 4, rx_stamped = 0x10000;
// packet type, dword 0 from bit 4
inline constexpr u32 packet_ipv4 = 1, packet_ipv4_options = 2, packet_ipv6 = 4, packet_ipv6_extensions = 8, packet_tcp = 16, packet_udp = 32,
                     packet_sctp = 64;
inline constexpr u32 packet_by_type = 1u << 11; ///< an Ethertype filter matched, whose number is in 2:0
inline constexpr u32 rx_hash_flow = 15;          ///< the hash is a flow director's
inline constexpr u32 rx_split_header = 1u << 31; ///< SPH in dword 0
inline constexpr unsigned rx_header_shift = 21;  ///< HDR_LEN in dword 0
// Receive, legacy write-back: status and errors in dword 2
inline constexpr u32 legacy_ignore_checksum = 4;

// SRRCTL
struct SplitReceiveControl {
    Field packet_size{6, 0, rw, "BSIZEPACKET", "size of a packet buffer in KiB"};
    Field header_size{13, 8, rw, "BSIZEHEADER", "size of a header buffer in 64 bytes"};
    Field type{27, 25, rw, "DESCTYPE", "0 legacy, 1 advanced, 2 split, 5 split always"};
    Field drop{31, rw, "DROP_EN", "drop when there is no descriptor"};
} inline constexpr srrctl;
inline constexpr u32 srrctl_drop_82599 = 1u << 28;

inline constexpr u32 queue_enabled = 1u << 25; ///< RXDCTL.ENABLE, TXDCTL.ENABLE

} // namespace vitrine::vtc
