// SPDX-License-Identifier: Apache-2.0
// The switch inside the port: which pools and queues a frame goes to and why, what may be sent, mirrors, and what leaves by the wire.
// (82576 datasheet, Virtual Machine Device Queues; 82599 datasheet, VMDq and Virtualization.)
#include "vtc/adapter.h"
#include "vtc/spec/descriptors.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace vitrine::vtc {

namespace {

constexpr unsigned fcs = 4, tag_size = 4, mirror_rules = 4;
constexpr std::size_t shortest = 14; ///< two addresses and a type

// MRQC's upper half: what is hashed; and the types that a descriptor tells.
constexpr u32 hash_tcp4 = 0x01, hash_ip4 = 0x02, hash_ip6 = 0x10, hash_tcp6 = 0x20, hash_udp4 = 0x40, hash_udp6 = 0x80;
constexpr u32 type_tcp4 = 1, type_ip4 = 2, type_tcp6 = 3, type_ip6 = 5, type_udp4 = 7, type_udp6 = 8;

/// The hash's input is as the frame has it: both addresses, then both ports.
u32 hash_of(const Packet& p, u32 fields, const std::array<u8, 40>& key, u32& type) {
    type = 0;
    if (!p.ipv4 && !p.ipv6)
        return 0;
    const bool tcp = p.transport == L4::tcp, udp = p.transport == L4::udp;
    bool ports = true;
    if (tcp && (fields & (p.ipv4 ? hash_tcp4 : hash_tcp6)))
        type = p.ipv4 ? type_tcp4 : type_tcp6;
    else if (udp && (fields & (p.ipv4 ? hash_udp4 : hash_udp6)))
        type = p.ipv4 ? type_udp4 : type_udp6;
    else if (fields & (p.ipv4 ? hash_ip4 : hash_ip6)) {
        type = p.ipv4 ? type_ip4 : type_ip6;
        ports = false;
    } else {
        return 0;
    }
    std::array<u8, 36> input{};
    const std::size_t addresses = p.ipv4 ? 8 : 32;
    std::copy_n(p.frame.begin() + p.l3 + (p.ipv4 ? 12 : 8), addresses, input.begin());
    if (ports)
        std::copy_n(p.frame.begin() + p.l4, 4, input.begin() + static_cast<long>(addresses));
    return toeplitz(key, std::span(input).first(addresses + (ports ? 4 : 0)));
}

} // namespace

/// The frame in words.
std::string Adapter::text_of(const Packet& p) {
    std::string text = fmt::format("{} > {} type {:04x}, {} bytes", mac_text(p.source), mac_text(p.destination), p.type, p.frame.size());
    if (p.tagged)
        text += fmt::format(", VLAN {}", p.vlan());
    return text;
}

// ---- reception --------------------------------------------------------------------------------------------------------------

Adapter::Choice Adapter::choose_pools(const Packet& p, const PortRules& rules, bool local) const {
    const auto with = [&](auto&& wish) {
        Pools pools = 0;
        for (unsigned n = 0; n < chip_.pools; ++n)
            if (wish(rules_of(n)))
                pools |= bit(n);
        return pools;
    };
    const bool group = p.group(), every = p.destination == broadcast;
    Choice c;
    if (every) {
        c = {rules.pools ? with([](const PoolRules& r) { return r.broadcasts; }) : Pools{rules.broadcasts}, "broadcast"};
    } else {
        if (const auto pools = exact_pools(p.destination))
            c = {rules.pools ? *pools : 1, group ? "exact multicast address" : "exact address"};
        else if (hashed(p.destination))
            c = {rules.pools ? with([&](const PoolRules& r) { return group ? r.hashed_multicast : r.hashed_unicast; }) : 1, "hash of the address",
                 true};
        if (rules.pools) {
            const Pools all = with([&](const PoolRules& r) { return group ? r.all_multicast : r.all_unicast; });
            if (all & ~c.pools)
                c = {c.pools | all, c.pools ? c.why : "promiscuous pool", c.inexact || !c.pools};
        } else if (!c.pools && (group ? rules.all_multicast : rules.all_unicast)) {
            c = {1, "promiscuous", true};
        }
    }
    if (!rules.pools && !c.pools && group && rules.all_multicast)
        c = {1, "all multicast", true};
    if (rules.vlan_filter && c.pools) {
        Pools allowed = rules.pools ? 0 : 1;
        if (p.tagged && !vlan_known(p.vlan()) && !(rules.pools && with([](const PoolRules& r) { return r.all_vlans; })))
            return {0, "VLAN is not in the filter table", false, &PortCounters::vlan};
        if (rules.pools && p.tagged)
            allowed = vlan_pools(p.vlan()) | with([](const PoolRules& r) { return r.all_vlans; });
        else if (rules.pools)
            allowed = with([](const PoolRules& r) { return r.untagged; });
        if (!(c.pools & allowed))
            c = {0, p.tagged ? "no pool that the address is for has the VLAN" : "no pool that the address is for takes untagged frames", false,
                 &PortCounters::vlan};
        else
            c.pools &= allowed;
    }
    if (rules.pools && !local && !group && !c.pools && (!rules.default_off || rules.all_unicast))
        c = {bit(rules.default_pool), "default pool", true};
    if (rules.pools && group && !rules.replication && std::popcount(c.pools) > 1)
        c = {bit(rules.default_pool), "default pool, without replication", c.inexact};
    if (rules.pools && c.pools && !(c.pools & rules.receive_pools))
        return {0, "the pool does not receive", false, &PortCounters::pool_off};
    c.pools &= rules.receive_pools;
    if (!c.pools && !*c.why)
        c.why = "no filter matches";
    return c;
}

void Adapter::drop(u64 PortCounters::*counter, const Packet& p, std::string_view why) {
    ++(port_.*counter);
    explain("dropped", p, Detail{"why", why});
}

void Adapter::receive(std::span<const u8> frame) {
    const PortRules rules = rules_now();
    if (frame.size() < shortest)
        return drop(&PortCounters::runt, Packet(frame), "shorter than an Ethernet header");
    if (!is_link_up())
        return drop(&PortCounters::link_down, Packet(frame), "there is no link");
    if (rules.loops_back)
        return drop(&PortCounters::deaf, Packet(frame), "the port hears itself only");
    if (rules.receives && options_.capture)
        options_.capture->passed(clock_.now(), frame);
    received(frame, rules);
}

void Adapter::received(std::span<const u8> frame, const PortRules& rules) {
    const Packet p(frame);
    if (!rules.receives)
        return drop(&PortCounters::receiver_off, p, "the receiver is off");
    count_seen(p);
    if (p.type == mac_control_type && take_control_frame(p))
        return;
    const Choice c = choose_pools(p, rules, false);
    if (!c.pools)
        return drop(c.drop, p, c.why);
    // The wire's limit is the port's; a tag does not count.
    if (frame.size() + fcs > rules.longest + (p.tagged ? tag_size : 0))
        return drop(&PortCounters::too_long, p, "longer than the port takes");
    ++port_.rx_frames;
    port_.rx_bytes += frame.size();
    count_received(p);
    deliver(frame, p, rules, c, false, -1, stamp_received(p, c) ? rx_stamped : 0);
    drain();
}

void Adapter::mirror(std::span<const u8> frame, const Packet& p, const PortRules& rules, Pools pools, bool looped, int from,
                     Pools& targets) const {
    static_cast<void>(frame);
    if (!rules.pools)
        return;
    for (unsigned n = 0; n < mirror_rules; ++n) {
        const MirrorRule m = mirror_rule(n);
        const Pools concerned = pools | (from >= 0 ? bit(static_cast<unsigned>(from)) : 0);
        if (m.on && m.to < chip_.pools && (rules.receive_pools >> m.to & 1) &&
            ((m.pools && (m.from_pools & concerned)) || (m.uplink && !looped && from < 0) || (m.downlink && from >= 0) ||
             (m.vlans && p.tagged && vlan_in_entries(p.vlan(), m.vlan_entries))))
            targets |= bit(m.to);
    }
}

void Adapter::deliver(std::span<const u8> frame, const Packet& p, const PortRules& rules, Choice choice, bool looped, int from, u32 status) {
    Pools copies = 0;
    mirror(frame, p, rules, choice.pools, looped, from, copies);
    copies &= ~choice.pools;
    for (Pools left = choice.pools | copies; left; left &= left - 1) {
        const unsigned pool = static_cast<unsigned>(std::countr_zero(left));
        const bool copy = copies >> pool & 1;
        if (rules.pools && frame.size() + fcs > rules_of(pool).longest + (p.tagged ? tag_size : 0u)) {
            ++pools_[pool].too_long;
            explain("dropped", p, Detail{"pool", pool}, Detail{"why", "longer than the pool takes"});
            continue;
        }
        const unsigned traffic_class = classes_now().receive_class[p.tagged ? p.tag >> 13 : 0];
        const Steering s = steer(p, pool, traffic_class);
        if (s.drop) {
            ++pools_[pool].unwanted;
            explain("dropped", p, Detail{"pool", pool}, Detail{"why", s.why});
            continue;
        }
        explain(looped ? "looped" : "received", p, Detail{"pool", pool}, Detail{"queue", s.queue}, Detail{"why", copy ? "mirror" : choice.why},
                Detail{"queue_by", s.why ? s.why : s.hash_type ? "hash" : "first queue"});
        // A filter may give a frame to another pool's queue.
        store(frame, rules.pools ? pool_of(s.queue) : pool, traffic_class, s, looped, status | (choice.inexact || copy ? rx_passed_inexact : 0));
    }
}

Adapter::Steering Adapter::steer(const Packet& p, unsigned pool, unsigned traffic_class) {
    Steering to;
    const SpreadRules s = spread(pool, traffic_class);
    to.hash = s.on ? hash_of(p, s.fields, hash_key_now(), to.hash_type) : 0;
    if (!filters_.empty()) {
        if (const EthertypeFilter* f = filters_.type_of(p, pool))
            to.type_filter = f->index;
        if (const auto found = filters_.queue_of(p, pool)) {
            to.queue = found->queue;
            to.why = found->why;
            return to;
        }
    }
    if (const auto flow = flow_match(p, pool)) {
        to.status |= rx_flow_match;
        to.drop = flow->drop;
        if (flow->report) {
            to.hash = *flow->report;
            to.hash_type = rx_hash_flow;
        }
        if (flow->queue || flow->drop) {
            to.queue = flow->queue.value_or(u8{0});
            to.why = "flow director";
            return to;
        }
    }
    to.queue = queue_of(pool, traffic_class, s.on && to.hash_type ? redirection(to.hash & 127) % std::max(1u, s.queues) : 0);
    return to;
}

void Adapter::store(std::span<const u8> frame, unsigned pool, unsigned traffic_class, const Steering& s, bool looped, u32 status) {
    if (frame.size() > room_of(traffic_class)) {
        ++port_.no_room;
        ++queue_counters_[s.queue].rx_lost;
        chip_missed(traffic_class);
        glass().tell(Topic::vtc, "missed", {{"adapter", name()}, {"pool", pool}, {"queue", s.queue}});
        return;
    }
    if (options_.pool_capture)
        if (FrameWitness* witness = options_.pool_capture(pool))
            witness->passed(clock_.now(), frame);
    Buffer& buffer = buffers_[traffic_class];
    buffer.bytes += frame.size();
    buffer.frames.push_back({{frame.begin(), frame.end()}, static_cast<u16>(s.queue), static_cast<u8>(pool), looped, s.hash, s.hash_type, status | s.status,
                             s.type_filter});
}

// ---- sending ----------------------------------------------------------------------------------------------------------------

bool Adapter::spoofed(const Packet& p, unsigned pool) {
    const PoolRules& rules = rules_of(pool);
    const char* why = nullptr;
    if (rules.mac_antispoof) {
        const auto pools = exact_pools(p.source);
        if (!pools || !(*pools >> pool & 1))
            why = "source address is not the pool's";
    }
    if (!why && rules.vlan_antispoof && p.tagged && !(vlan_pools(p.vlan()) >> pool & 1))
        why = "VLAN is not the pool's";
    if (!why)
        return false;
    ++pools_[pool].spoofed;
    pool_spoofed(pool);
    explain("spoofed", p, Detail{"pool", pool}, Detail{"why", why});
    return true;
}

u64 Adapter::switch_frame(std::span<const u8> frame, unsigned pool) {
    const PortRules rules = rules_now();
    const Packet p(frame);
    if (rules.pools && rules.loopback) {
        Choice c = choose_pools(p, rules, true);
        if (!rules_of(pool).hears_itself)
            c.pools &= ~bit(pool);
        deliver(frame, p, rules, c, true, static_cast<int>(pool));
        if (c.pools) {
            ++pools_[pool].looped;
            drain();
        }
        if (c.pools && !p.group()) {
            ++pools_[pool].stayed;
            explain("sent", p, Detail{"pool", pool}, Detail{"to", "the port's own pools only"});
            return 0;
        }
    } else if (rules.pools) {
        Pools copies = 0;
        mirror(frame, p, rules, 0, false, static_cast<int>(pool), copies);
        if (copies) {
            deliver(frame, p, rules, {0, ""}, true, static_cast<int>(pool));
            drain();
        }
    }
    explain("sent", p, Detail{"pool", pool}, Detail{"to", "the wire"});
    count_sent(p);
    if (rules.loops_back) {
        ++port_.looped_back;
        received(frame, rules);
    } else {
        to_wire(frame);
    }
    return 0;
}

void Adapter::to_wire(std::span<const u8> frame) {
    if (options_.capture)
        options_.capture->passed(clock_.now(), frame);
    if (!is_link_up()) {
        ++port_.tx_link_down;
        return;
    }
    ++port_.tx_frames;
    port_.tx_bytes += frame.size();
    if (wire_)
        wire_->receive(frame);
}

// ---- for people -------------------------------------------------------------------------------------------------------------

std::string Adapter::describe_switch() const {
    const PortRules r = port_rules();
    std::string text =
        fmt::format("{}: pools {}, receiver {}, transmitter {}, VLAN filter {}, longest frame {}\n", name(), r.pools ? "on" : "off",
                    r.receives ? "on" : "off", r.transmits ? "on" : "off", r.vlan_filter ? "on" : "off", r.longest);
    const ClassRules classes = class_rules();
    if (classes.receive > 1 || classes.transmit > 1)
        text += fmt::format("  traffic classes: {} for reception, {} for transmission; of priorities 0 to 7: {} and {}\n", classes.receive, classes.transmit,
                            fmt::join(classes.receive_class, " "), fmt::join(classes.transmit_class, " "));
    std::string lost;
    for (const CounterRow<PortCounters>& row : rows_of(port_))
        if (const std::string_view name = row.name; name.starts_with("dropped.") && port_.*row.value)
            lost += fmt::format("{}{} {}", lost.empty() ? "" : ", ", port_.*row.value, name.substr(8));
    if (!lost.empty())
        text += "  lost at the port: " + lost + '\n';
    if (!r.pools)
        return text;
    text += fmt::format("  frames that no pool claims: {}; replication {}, loopback {}\n",
                        r.default_off ? std::string("dropped") : fmt::format("pool {}", r.default_pool), r.replication ? "on" : "off",
                        r.loopback ? "on" : "off");
    for (unsigned n = 0; n < mirror_rules; ++n)
        if (const MirrorRule m = mirror_rule(n); m.on)
            text += fmt::format("  mirror {}: to pool {}{}{}{}{}\n", n, m.to, m.pools ? fmt::format(", pools {:x}", m.from_pools) : "",
                                m.uplink ? ", what comes from outside" : "", m.downlink ? ", what the pools send" : "", m.vlans ? ", VLANs" : "");
    return text;
}

std::string Adapter::describe_pools() const {
    const PortRules rules = port_rules();
    std::string text = fmt::format("{}: {} pools of {}, {} virtual functions\n"
                                   "pool  on     rx frames      rx bytes  tx frames      tx bytes  looped  lost  what it takes\n",
                                   name(), rules.pools ? chip_.pools : 1, chip_.queues, vf_count_);
    for (unsigned n = 0; n < (rules.pools ? chip_.pools : 1); ++n) {
        const PoolCounters& c = pools_[n];
        const PoolRules r = pool_rules(n);
        const bool on = !rules.pools || (rules.receive_pools >> n & 1) || (rules.transmit_pools >> n & 1);
        if (!on && !c.rx_frames && !c.tx_frames)
            continue;
        std::string takes;
        if (rules.pools)
            for (const auto& [wish, word] : {std::pair{r.untagged, "untagged"},
                                             {r.broadcasts, "broadcast"},
                                             {r.hashed_multicast, "multicast-hash"},
                                             {r.hashed_unicast, "unicast-hash"},
                                             {r.all_multicast, "all-multicast"},
                                             {r.all_unicast, "all-unicast"},
                                             {r.all_vlans, "all-vlans"},
                                             {r.mac_antispoof, "mac-antispoof"},
                                             {r.vlan_antispoof, "vlan-antispoof"}})
                if (wish)
                    takes += std::string(takes.empty() ? "" : " ") + word;
        text += fmt::format("{:4}  {}{}  {:12}  {:12}  {:9}  {:12}  {:6}  {:4}  {}\n", n, !rules.pools || (rules.receive_pools >> n & 1) ? "rx" : "--",
                            !rules.pools || (rules.transmit_pools >> n & 1) ? "tx" : "--", c.rx_frames, c.rx_bytes, c.tx_frames, c.tx_bytes, c.looped,
                            c.no_descriptor + c.not_enabled + c.unwanted + c.spoofed + c.too_long + c.bad_descriptor, takes);
    }
    return text;
}

} // namespace vitrine::vtc
