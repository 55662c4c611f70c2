// SPDX-License-Identifier: Apache-2.0
// The 82599: what its registers say about filters, pools and queues. (82599 datasheet, Receive and Transmit Functionality, Virtualization.)
#include "vtc/i82599.h"

#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"
#include "vtc/spec/i82599.h"

#include <algorithm>

namespace vitrine::vtc {

using namespace i82599;

bool I82599::pools_on() const { return reg(vt_ctl) & 1; }

unsigned I82599::queues_a_pool() const {
    switch (reg(gcr_ext) & 3) {
    case 1:
        return 8;
    case 2:
        return 4;
    default:
        return 2;
    }
}

PortRules I82599::port_rules() const {
    const u32 f = reg(fctrl), vt = reg(vt_ctl), mac = reg(hlreg0);
    PortRules rules;
    rules.receives = reg(rxctrl) & rxctrl_enable;
    rules.transmits = reg(dmatxctl) & dmatxctl_enable && !ctrl_bits.master_disable(reg(ctrl));
    rules.all_unicast = f & fctrl_upe;
    rules.all_multicast = f & fctrl_mpe;
    rules.broadcasts = f & fctrl_bam;
    rules.vlan_filter = reg(vlnctrl) & vlnctrl_vfe;
    rules.longest = mac & hlreg0_jumbo ? reg(maxfrs) >> 16 : 1518;
    rules.pools = pools_on();
    rules.default_pool = vt >> 7 & 63;
    rules.default_off = vt >> 29 & 1;
    rules.replication = vt >> 30 & 1;
    rules.loopback = reg(dtxgswc) & 1;
    rules.receive_pools = rules.pools ? static_cast<u64>(reg(vfre + 4)) << 32 | reg(vfre) : 1;
    rules.transmit_pools = rules.pools ? static_cast<u64>(reg(vfte + 4)) << 32 | reg(vfte) : ~0ull;
    rules.loops_back = mac & hlreg0_loopback;
    rules.fcs_kept = !(mac & hlreg0_crc_strip);
    rules.ip_checksum = rules.l4_checksum = true;
    return rules;
}

PoolRules I82599::pool_rules(unsigned pool) const {
    const u32 v = reg(vmolr + 4 * pool), spoof = reg(vfspoof + 4 * (pool / 8));
    PoolRules rules;
    rules.untagged = v & vmolr_aupe;
    rules.hashed_multicast = v & vmolr_rompe;
    rules.hashed_unicast = v & vmolr_rope;
    rules.broadcasts = v & vmolr_bam;
    rules.all_multicast = v & vmolr_mpe;
    rules.longest = reg(hlreg0) & hlreg0_jumbo ? reg(maxfrs) >> 16 : 1518;
    rules.mac_antispoof = spoof >> (pool & 7) & 1;
    rules.vlan_antispoof = spoof >> (8 + (pool & 7)) & 1;
    rules.hears_itself = reg(vmtxsw + 4 * (pool / 32)) >> (pool & 31) & 1;
    rules.port_vlan = reg(vmvir + 4 * pool);
    return rules;
}

MirrorRule I82599::mirror_rule(unsigned n) const {
    const u32 control = reg(mrctl + 4 * n);
    // Each rule's pools and VLANs are 64 bits: the upper halves are four registers behind the lower ones.
    return {.on = (control & 0xf) != 0,
            .pools = (control & 1) != 0,
            .uplink = (control & 2) != 0,
            .downlink = (control & 4) != 0,
            .vlans = (control & 8) != 0,
            .to = control >> 8 & 63,
            .from_pools = static_cast<u64>(reg(vmrvm + 4 * (n + 4))) << 32 | reg(vmrvm + 4 * n),
            .vlan_entries = static_cast<u64>(reg(vmrvlan + 4 * (n + 4))) << 32 | reg(vmrvlan + 4 * n)};
}

std::optional<u64> I82599::exact(Mac mac) const {
    std::optional<u64> found;
    for (unsigned n = 0; n < 128; ++n)
        if (reg(ra + 8 * n) == mac_low(mac) && reg(ra + 8 * n + 4) == (rah_valid | mac_high(mac)))
            found = found.value_or(0) | static_cast<u64>(reg(mpsar + 8 * n + 4)) << 32 | reg(mpsar + 8 * n);
    return found;
}

bool I82599::hashed(Mac mac) const {
    return (!is_group(mac) || (reg(mcstctrl) & mcstctrl_mfe)) && in_hash_table(mac, reg(mcstctrl));
}

u64 I82599::vlan_pools(u16 vlan) const {
    u64 found = 0;
    for (unsigned n = 0; n < 64; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (v & vlvf_valid) && (v & vlvf_vlan) == vlan)
            found |= static_cast<u64>(reg(vlvfb + 8 * n + 4)) << 32 | reg(vlvfb + 8 * n);
    return found;
}

unsigned I82599::pool_of(unsigned queue) const { return pools_on() ? vf_of(queue) : 0; }

unsigned I82599::vf_of(unsigned queue) const { return queue / queues_a_pool(); }

namespace {

/// What a value of MRQC's command means.
struct ReceiveMode {
    bool rss = false;     ///< without pools
    bool pool_rss = false;
    u8 classes = 1;
};

// clang-format off
constexpr ReceiveMode receive_modes[16] = {
    {},                              // one queue
    {.rss = true},
    {.classes = 8}, {.classes = 4},
    {.rss = true, .classes = 8}, {.rss = true, .classes = 4},
    {}, {},
    {},                              // pools, a queue each
    {},
    {.pool_rss = true}, {.pool_rss = true},
    {.classes = 8}, {.classes = 4},  // pools, a queue for each class
    {}, {},
};
constexpr u8 first_of_8[] = {0, 32, 64, 80, 96, 104, 112, 120}, first_of_4[] = {0, 64, 96, 112}; ///< queues that send in a class
// clang-format on

u8 class_of(u32 map, unsigned priority, unsigned classes) {
    const u32 found = map >> (3 * priority) & 7;
    return static_cast<u8>(found < classes ? found : 0);
}

} // namespace

unsigned I82599::queue_of(unsigned pool, unsigned traffic_class, unsigned index) const {
    const unsigned each = queues_a_pool(), classes = receive_modes[reg(mrqc) & 15].classes;
    if (pools_on())
        return (pool * each + (classes > 1 ? traffic_class : index) % each) % queues;
    return (traffic_class * (queues / classes) + index) % queues;
}

SpreadRules I82599::spread(unsigned pool, unsigned traffic_class) const {
    const u32 m = reg(mrqc);
    const ReceiveMode& mode = receive_modes[m & 15];
    if (pools_on())
        return {.on = mode.pool_rss, .fields = m >> 16, .queues = std::min(queues_a_pool(), 1u << (reg(psrtype + 4 * pool) >> 29))};
    // RQTC says with how many bits of the table a class's queues are chosen.
    const unsigned bits = std::min(4u, mode.classes > 1 ? reg(rqtc) >> (4 * traffic_class) & 7 : 4u);
    return {.on = mode.rss, .fields = m >> 16, .queues = 1u << bits};
}

ClassRules I82599::class_rules() const {
    ClassRules r;
    r.receive = receive_modes[reg(mrqc) & 15].classes;
    const u32 t = reg(mtqc), layout = t >> 2 & 3;
    if (t & mtqc_classes)
        r.transmit = layout == 3 ? 8 : layout == 2 ? 4 : 1;
    for (unsigned n = 0; n < user_priorities; ++n) {
        r.receive_class[n] = class_of(reg(rtrup2tc), n, r.receive);
        r.transmit_class[n] = class_of(reg(rttup2tc), n, r.transmit);
    }
    u32 left = chip().packet_buffer;
    for (unsigned n = 0; n < r.receive; ++n) {
        r.buffer[n] = std::min(reg(rxpbsize + 4 * n), left);
        left -= r.buffer[n];
    }
    for (unsigned queue = 0; queue < queues; ++queue) {
        unsigned n = 0;
        if (t & mtqc_pools)
            n = queue % r.transmit;
        else if (r.transmit > 1)
            while (n + 1 < r.transmit && queue >= (r.transmit == 8 ? first_of_8 : first_of_4)[n + 1])
                ++n;
        r.queues[n].add(queue);
    }
    // The data plane's arbiter is set up as the descriptor plane's by who sets up both; there is one here.
    r.weighted = (reg(rttdcs) & (rttdcs_weighted | rttdcs_off)) == rttdcs_weighted;
    for (unsigned n = 0; n < most_classes; ++n) {
        const u32 s = reg(rttdt2c + 4 * n);
        r.shares[n] = {.refill = (s & 0x1ff) * credit, .most = (s >> 12 & 0xfff) * credit, .group = static_cast<u8>(s >> 9 & 7), .first_in_group = (s >> 30 & 1) != 0,
                       .first_of_all = (s >> 31) != 0};
    }
    return r;
}

FlowRules I82599::flow_rules() const {
    const u32 receive = reg(mflcn), transmit = reg(fccfg);
    FlowRules r;
    r.heeds_link = receive & mflcn_link;
    r.heeds_priorities = receive & mflcn_priorities;
    r.passes_control = receive & mflcn_pass_control;
    r.keeps_pause = !(receive & mflcn_discard_pause);
    r.sends_link = transmit & fccfg_link;
    r.sends_priorities = !r.sends_link && (transmit & fccfg_priorities);
    r.refresh = static_cast<u16>(reg(fcrtv));
    for (unsigned n = 0; n < most_classes; ++n) {
        const u32 high = reg(fcrth + 4 * n), low = reg(fcrtl + 4 * n);
        r.buffers[n] = {.on = (high & fcrth_on) != 0, .resumes = (low & fcrtl_xon) != 0, .high = high & fc_threshold, .low = low & fc_threshold,
                        .time = static_cast<u16>(reg(fcttv + 4 * (n / 2)) >> (16 * (n & 1)))};
    }
    return r;
}

void I82599::chip_counts_pause(bool sent, const Pause& pause) {
    if (!pause.priorities) {
        const bool on = pause.quanta[0] == 0;
        regs().count(sent ? on ? lxontxc : lxofftxc : on ? lxonrxcnt : lxoffrxcnt);
        return;
    }
    for (unsigned n = 0; n < user_priorities; ++n)
        if (pause.which >> n & 1) {
            const bool on = pause.quanta[n] == 0;
            regs().count((sent ? on ? pxontxc : pxofftxc : on ? pxonrxcnt : pxoffrxcnt) + 4 * n);
        }
}

/// Ports and addresses are kept as a frame has them, the first byte lowest.
Filters I82599::filter_rules() const {
    Filters f;
    for (unsigned n = 0; n < 8; ++n) {
        const u32 type = reg(etqf + 4 * n), select = reg(etqs + 4 * n);
        if (type & etqf_enable)
            f.types.push_back({.index = static_cast<u8>(n),
                               .type = static_cast<u16>(type),
                               .pool = type & etqf_has_pool ? std::optional(static_cast<u8>(type >> 20 & 63)) : std::nullopt,
                               .priority = type & etqf_has_priority ? std::optional(static_cast<u8>(type >> 16 & 7)) : std::nullopt,
                               .queue = select & etqs_queue ? std::optional(static_cast<u8>(select >> 16 & 127)) : std::nullopt,
                               .stamped = (type & etqf_ptp) != 0});
    }
    for (unsigned n = 0; n < 128; ++n) {
        static constexpr u8 protocols[] = {protocol_tcp, protocol_udp, protocol_sctp, other_protocol};
        const u32 flow = reg(ftqf + 4 * n);
        if (!(flow & ftqf_enable))
            continue;
        TupleFilter t{.queue = static_cast<u8>(reg(l34t_imir + 4 * n) >> 21 & 127), .rank = flow >> 2 & 7};
        if (!(flow & ftqf_any_protocol))
            t.protocol = protocols[flow & 3];
        if (!(flow & ftqf_any_source))
            t.source = __builtin_bswap32(reg(saqf + 4 * n));
        if (!(flow & ftqf_any_destination))
            t.destination = __builtin_bswap32(reg(daqf + 4 * n));
        if (!(flow & ftqf_any_source_port))
            t.source_port = __builtin_bswap16(static_cast<u16>(reg(sdpqf + 4 * n)));
        if (!(flow & ftqf_any_destination_port))
            t.destination_port = __builtin_bswap16(static_cast<u16>(reg(sdpqf + 4 * n) >> 16));
        if (!(flow & ftqf_any_pool))
            t.pool = static_cast<u8>(flow >> 8 & 63);
        f.tuples.push_back(t);
    }
    const u32 syn = reg(synqf);
    f.syn = {.on = (syn & synqf_enable) != 0, .first = (syn & synqf_first) != 0, .queue = static_cast<u8>(syn >> 1 & 127)};
    f.order();
    // PTP over UDP is known by its port.
    if (const u32 port = reg(rxmtrl) >> 16)
        f.tuples.push_back({.destination_port = static_cast<u16>(port), .protocol = protocol_udp, .stamped = true});
    return f;
}

unsigned I82599::redirection(unsigned hash) const { return reg(reta + (hash & ~3u)) >> (8 * (hash & 3)) & 15; }

bool I82599::strip_vlan(unsigned queue, unsigned) const { return reg(receive_ring(queue) + ring::control) & rxdctl_vlan_strip; }

void I82599::pool_spoofed(unsigned) { regs().count(ssvpc); }

void I82599::chip_missed(unsigned traffic_class) { regs().count(mpc + 4 * traffic_class); }

/// A queue counts in one of sixteen counters.
u32 I82599::counter_of(u32 map, unsigned queue) const { return reg(map + (queue & ~3u)) >> (8 * (queue & 3)) & 15; }

void I82599::chip_counts_receive(unsigned queue, std::size_t bytes) {
    const u32 n = counter_of(rqsmr, queue);
    regs().count(qprc + 0x40 * n);
    regs().count_wide(qprc + 0x40 * n + 4, bytes);
}

void I82599::chip_counts_lost(unsigned queue) { regs().count(qprdc + 0x40 * counter_of(rqsmr, queue)); }

void I82599::chip_counts_transmit(unsigned queue, std::size_t bytes) {
    const u32 n = counter_of(tqsm, queue);
    regs().count(qptc + 0x40 * n);
    regs().count_wide(qbtc + 8 * n, bytes);
}

/// The factor is the link's rate over the wanted one, with 14 bits of fraction.
u64 I82599::rate_time(unsigned queue, std::size_t bytes) const {
    const u32 r = rate(queue);
    return r >> 31 ? bytes * 8 * (r & 0xff'ffff) / 10 >> 14 : 0;
}

} // namespace vitrine::vtc
