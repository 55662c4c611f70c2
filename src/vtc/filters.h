// SPDX-License-Identifier: Apache-2.0
// Filters that give a frame's flow a queue before receive-side scaling may: by Ethertype, five-tuple, SYN and VLAN priority. Both chips
// have them in registers of their own; here they are in one form. (82576 datasheet, Receive Queuing; 82599 datasheet, Rx Queues
// Assignment.)
#pragma once

#include "vtc/packet.h"

#include <optional>
#include <vector>

namespace vitrine::vtc {

/// Whatever is absent is not compared.
struct EthertypeFilter {
    u8 index = 0; ///< among the chip's; the descriptor tells it
    u16 type = 0;
    std::optional<u8> pool{}, priority{};
    std::optional<u8> queue{};
    bool stamped = false; ///< may hold a PTP message
};

/// IPv4 only, as in the chips; those that look for PTP take IPv6 too.
struct TupleFilter {
    std::optional<u32> source{}, destination{}; ///< addresses as numbers
    std::optional<u16> source_port{}, destination_port{};
    std::optional<u8> protocol{}; ///< IP's number; other_protocol for all but TCP, UDP and SCTP
    std::optional<u8> pool{};
    std::optional<u8> queue{};
    unsigned rank = 0;    ///< the highest wins, then the first
    bool stamped = false; ///< may hold a PTP message
};

inline constexpr u8 other_protocol = 0xff;

/// What a table of flows says of a frame.
struct FlowMatch {
    bool drop = false;
    std::optional<u8> queue{};
    std::optional<u32> report{}; ///< in the descriptor's place of the hash
};

struct SynFilter {
    bool on = false, first = false; ///< `first`: before five-tuples
    u8 queue = 0;
};

struct Filters {
    std::vector<EthertypeFilter> types{};
    std::vector<TupleFilter> tuples{}; ///< highest rank first
    SynFilter syn{};
    std::vector<std::pair<u8, u8>> priorities{}; ///< of a VLAN tag, and their queues

    bool empty() const { return types.empty() && tuples.empty() && !syn.on && priorities.empty(); }
    /// `rank` has been given; puts the tuples into their order.
    void order();

    const EthertypeFilter* type_of(const Packet& p, unsigned pool) const;
    /// The first that matches and satisfies `wanted`.
    template <class Wanted> const TupleFilter* tuple_of(const Packet& p, unsigned pool, Wanted wanted) const {
        for (const TupleFilter& f : tuples)
            if (wanted(f) && matches(f, p, pool))
                return &f;
        return nullptr;
    }

    struct Found {
        unsigned queue = 0;
        const char* why = "";
    };
    std::optional<Found> queue_of(const Packet& p, unsigned pool) const;

    static bool matches(const TupleFilter& f, const Packet& p, unsigned pool);
};

} // namespace vitrine::vtc
