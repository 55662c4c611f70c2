// SPDX-License-Identifier: Apache-2.0
// Which filter a frame meets first.
#include "vtc/filters.h"

#include <algorithm>

namespace vitrine::vtc {

namespace {

constexpr u8 tcp_syn = 2;

template <class T, class U> bool agrees(const std::optional<T>& wanted, U is) { return !wanted || *wanted == is; }

bool protocol_agrees(std::optional<u8> wanted, u8 is) {
    if (!wanted)
        return true;
    if (*wanted == other_protocol)
        return is != protocol_tcp && is != protocol_udp && is != protocol_sctp;
    return *wanted == is;
}

bool is_syn(const Packet& p) { return p.transport == L4::tcp && (p.frame[p.l4 + 13] & tcp_syn); }

} // namespace

void Filters::order() {
    std::stable_sort(tuples.begin(), tuples.end(), [](const TupleFilter& a, const TupleFilter& b) { return a.rank > b.rank; });
}

const EthertypeFilter* Filters::type_of(const Packet& p, unsigned pool) const {
    for (const EthertypeFilter& f : types)
        if (f.type == p.type && agrees(f.pool, pool) && (!f.priority || (p.tagged && *f.priority == p.tag >> 13)))
            return &f;
    return nullptr;
}

bool Filters::matches(const TupleFilter& f, const Packet& p, unsigned pool) {
    if (!(p.ipv4 || (p.ipv6 && f.stamped)) || !agrees(f.pool, pool) || !protocol_agrees(f.protocol, p.protocol))
        return false;
    if (p.ipv4 && (!agrees(f.source, get32(p.frame, p.l3 + 12)) || !agrees(f.destination, get32(p.frame, p.l3 + 16))))
        return false;
    if (!f.source_port && !f.destination_port)
        return true;
    return p.l4_header && agrees(f.source_port, p.source_port()) && agrees(f.destination_port, p.destination_port());
}

std::optional<Filters::Found> Filters::queue_of(const Packet& p, unsigned pool) const {
    if (const EthertypeFilter* f = type_of(p, pool); f && f->queue)
        return Found{*f->queue, "Ethertype filter"};
    if (syn.on && syn.first && is_syn(p))
        return Found{syn.queue, "SYN filter"};
    if (const TupleFilter* f = tuple_of(p, pool, [](const TupleFilter& t) { return t.queue.has_value(); }))
        return Found{*f->queue, "five-tuple filter"};
    if (syn.on && is_syn(p))
        return Found{syn.queue, "SYN filter"};
    if (p.tagged)
        for (const auto& [priority, queue] : priorities)
            if (priority == p.tag >> 13)
                return Found{queue, "VLAN priority filter"};
    return std::nullopt;
}

} // namespace vitrine::vtc
