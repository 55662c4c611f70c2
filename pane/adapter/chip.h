// SPDX-License-Identifier: Apache-2.0
// What distinguishes the 82576 from the 82599 for this driver: a table of places, and the few things that are done in
// other ways.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Port;

/// What has happened besides frames.
struct PortEvents {
    bool mailbox = false, link = false;
};

/// A statistics register of a virtual function; `high` is the upper half of one that has 36 bits or more, 0 when there
/// is none.
struct VfStatistic {
    const char* name;
    u32 low, high;
};

/// Offsets are of registers in BAR 0. Where a register has an element for each pool or virtual function, their places
/// follow one rule for both chips: words of 32, pairs of halves of 16, or one register each.
struct Chip {
    const char* name;
    u16 device, virtual_device;
    unsigned pools, virtual_functions, vectors;
    unsigned queues_a_pool; ///< numbers of queues from one pool to the next
    unsigned addresses;     ///< exact ones
    unsigned vlans;         ///< entries of VLVF
    const char* speed;

    // A ring's registers, which begin with base, length, head and tail
    u32 receive_rings, receive_rings_from_64, transmit_rings;
    u32 split_receive_control, split_drop; ///< SRRCTL among them, and its drop bit
    u32 receive_dca, transmit_dca;         ///< DCA control among them
    u32 vlan_strip;                        ///< RXDCTL's bit; 0: VMOLR has it
    u32 check_context;                     ///< of a transmit descriptor: the switch wants a context
    u32 frame_errors;                      ///< of a receive descriptor's status

    // Pools
    u32 pool_receive_enable, pool_transmit_enable; ///< VFRE, VFTE: 32 pools each
    u32 pool_control;                              ///< VMOLR
    u32 pool_vlan;                                 ///< VMVIR
    u32 anti_spoofing;                             ///< eight pools each: by address 7:0, by VLAN 15:8
    u32 multicast_table, vlan_table;               ///< MTA, VFTA
    u32 vlan_pools;                                ///< VLVF

    // Mailboxes and resets of virtual functions
    u32 mailbox_memory, mailbox_control, mailbox_cause, mailbox_mask;

    u32 throttle; ///< EITR of vector 0

    /// Stops everything, and begins anew. False: it does not come back.
    bool (*reset)(Port& port);
    /// The port as a switch: pools, loopback, filters; sending and receiving on.
    void (*start)(Port& port);
    bool (*link)(Port& port);
    /// The physical layer, so that the link can come.
    void (*start_link)(Port& port);
    /// Whether mailboxes and resets of virtual functions interrupt.
    void (*hear_functions)(Port& port, bool on);
    /// What has happened since the last call.
    PortEvents (*events)(Port& port);
    /// Which vectors a queue's frames raise; `transmit_vector` under zero: none.
    void (*route)(Port& port, unsigned queue, unsigned receive_vector, int transmit_vector);
    /// Interrupts of the vectors 0 to `count` - 1, of which 0 is for all events but frames.
    void (*open_vectors)(Port& port, unsigned count);
    u32 (*interval)(unsigned microseconds);
    /// Entry `n` of the exact addresses: `low` and `high` as the registers hold them, and the pools that it is for.
    void (*set_address)(Port& port, unsigned n, u32 low, u32 high, u64 pools);
    u64 (*vlan_entry_pools)(Port& port, unsigned n);
    void (*set_vlan_entry)(Port& port, unsigned n, u32 vlan, u64 pools);
    /// Queues that lose a frame when they have no descriptor, instead of stopping the port.
    void (*drop_when_full)(Port& port, unsigned queue);
    /// Virtual functions that were reset since the last call.
    u64 (*take_resets)(Port& port);
    /// Pools that were refused a frame since the last call; 0 where the chip only counts.
    u64 (*take_spoofers)(Port& port);
    u32 spoof_counter, missed_counter;

    VfStatistic vf_received, vf_received_bytes, vf_sent, vf_sent_bytes, vf_multicast;
};

extern const Chip chip_82576, chip_82599;

} // namespace vitrine::pane
