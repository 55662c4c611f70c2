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

unsigned I82599::queue_of(unsigned pool, unsigned index) const {
    const unsigned each = queues_a_pool();
    return pools_on() ? (pool * each + index % each) % queues : index % queues;
}

SpreadRules I82599::spread(unsigned pool) const {
    const u32 m = reg(mrqc), mode = m & 15;
    if (pools_on())
        return {.on = mode == 10 || mode == 11, .fields = m >> 16, .queues = std::min(queues_a_pool(), 1u << (reg(psrtype + 4 * pool) >> 29))};
    return {.on = mode == 1 || mode == 4 || mode == 5, .fields = m >> 16, .queues = 16};
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

void I82599::chip_missed() { regs().count(mpc); }

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
