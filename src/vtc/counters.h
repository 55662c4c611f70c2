// SPDX-License-Identifier: Apache-2.0
// What an adapter counts for people: by port, pool and queue, with each reason for which a frame is lost. A virtual function's own
// counters are made from its pool's. Each set is a table of rows, from which come state, --stats and --json.
#pragma once

#include "base/visitor.h"
#include "glass/glass.h"

#include <span>
#include <string>

namespace vitrine::vtc {

/// One counter of a set: its name in --stats, and its place.
template <class Set> struct CounterRow {
    const char* name;
    u64 Set::*value;
};

/// Of the port: what passes its wire, and what comes from outside and goes to no pool.
struct PortCounters {
    u64 rx_frames = 0, rx_bytes = 0; ///< that some pool was to get
    u64 tx_frames = 0, tx_bytes = 0; ///< on the wire
    u64 looped_back = 0;             ///< sent to itself, as a self-test does
    u64 runt = 0, link_down = 0, deaf = 0, receiver_off = 0, no_filter = 0, vlan = 0, pool_off = 0, too_long = 0;
    u64 no_room = 0;      ///< copies for which the packet buffer had no room
    u64 tx_link_down = 0; ///< sent while there was no link
    u64 resets = 0;       ///< by the driver
    u64 rx_control = 0, tx_control = 0; ///< flow control frames, of which nobody behind the port knows
};

/// Of a pool, or the whole port where there are no pools.
struct PoolCounters {
    u64 rx_frames = 0, rx_bytes = 0, rx_multicast = 0, tx_frames = 0, tx_bytes = 0;
    u64 looped = 0;    ///< sent to pools of the same port
    u64 stayed = 0;    ///< of them, those that did not go to the wire too
    u64 no_descriptor = 0, not_enabled = 0, too_long = 0;
    u64 unwanted = 0;       ///< a filter says that they are to be dropped
    u64 spoofed = 0;        ///< refused by anti-spoofing: frames
    u64 bad_descriptor = 0; ///< that could not be read, lead where DMA is refused, or ask for what is no frame
};

/// Of a queue pair.
struct QueueCounters {
    u64 rx_frames = 0, rx_bytes = 0, tx_frames = 0, tx_bytes = 0;
    u64 rx_lost = 0;    ///< chosen for the queue, and not stored
    u64 tx_refused = 0; ///< spoofed, or no frame
};

std::span<const CounterRow<PortCounters>> rows_of(const PortCounters&);
std::span<const CounterRow<PoolCounters>> rows_of(const PoolCounters&);
std::span<const CounterRow<QueueCounters>> rows_of(const QueueCounters&);

template <class Set> void visit(Visitor& v, std::string_view name, Set& set) {
    v.begin(name);
    for (const CounterRow<Set>& row : rows_of(set))
        v.field(row.name, set.*row.value);
    v.end();
}

/// Those that are not zero go to the glass as "PREFIX.NAME".
template <class Set> void publish(Glass& glass, const std::string& prefix, const Set& set) {
    for (const CounterRow<Set>& row : rows_of(set))
        if (set.*row.value)
            glass.counter(prefix + "." + row.name) = set.*row.value;
}

} // namespace vitrine::vtc
