// SPDX-License-Identifier: Apache-2.0
// What an adapter's registers say about the switch now, in one form for both chips.
#pragma once

#include "words/integers.h"

namespace vitrine::vtc {

/// For the whole port.
struct PortRules {
    bool receives = false, transmits = false;
    bool all_unicast = false, all_multicast = false, broadcasts = false;
    bool vlan_filter = false;
    unsigned longest = 1522; ///< received frame with FCS and tag
    // Pools: with them off there is one, number 0.
    bool pools = false;
    unsigned default_pool = 0;
    bool default_off = false; ///< frames that no pool claims are dropped
    bool replication = false; ///< one frame may go to several pools
    bool loopback = false;    ///< what is sent is switched to the port's own pools
    u64 receive_pools = ~0ull, transmit_pools = ~0ull;
    bool loops_back = false;  ///< what is sent to the wire comes back; the wire is cut off
    bool fcs_kept = false; ///< received frames keep room for their FCS
    // Checksums that are looked at on reception
    bool ip_checksum = false, l4_checksum = false;
};

/// For one pool.
struct PoolRules {
    bool untagged = true;           ///< AUPE
    bool hashed_multicast = false;  ///< ROMPE
    bool hashed_unicast = false;    ///< ROPE
    bool broadcasts = false;        ///< BAM
    bool all_multicast = false;     ///< MPE
    bool all_unicast = false;       ///< UPE
    bool all_vlans = false;         ///< VPE
    unsigned longest = 1522;
    bool mac_antispoof = false, vlan_antispoof = false;
    bool hears_itself = true;       ///< local loopback enable
    u32 port_vlan = 0;              ///< VMVIR: tag 15:0, action 31:30
};

inline constexpr u32 port_vlan_always = 1, port_vlan_never = 2;

/// Sends copies of a pool's or the port's traffic to another pool.
struct MirrorRule {
    bool on = false;
    bool pools = false, uplink = false, downlink = false, vlans = false;
    unsigned to = 0;
    u64 from_pools = 0;
    u64 vlan_entries = 0; ///< of VLVF
};

/// How a pool's frames are spread over its queues.
struct SpreadRules {
    bool on = false;
    u32 fields = 0; ///< MRQC's upper half: which packet types are hashed over what
    unsigned queues = 1; ///< the redirection table's result is taken modulo this
};

} // namespace vitrine::vtc
