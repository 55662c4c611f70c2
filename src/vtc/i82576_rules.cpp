// SPDX-License-Identifier: Apache-2.0
// The 82576: what its registers say about filters, pools and queues. (82576 datasheet, Receive and Transmit Function, Virtualization.)
#include "vtc/i82576.h"

#include "vtc/spec/common.h"
#include "vtc/spec/i82576.h"

namespace vitrine::vtc {

using namespace i82576;

bool I82576::pools_on() const { return (reg(mrqc) & 7) == 3 || (reg(mrqc) & 7) == 5; }

PortRules I82576::port_rules() const {
    const u32 r = reg(rctl), vt = reg(vt_ctl), sum = reg(rxcsum);
    PortRules rules;
    rules.receives = r & rctl_enable;
    rules.transmits = reg(tctl) & tctl_enable && !ctrl_bits.master_disable(reg(ctrl));
    rules.all_unicast = r & rctl_upe;
    rules.all_multicast = r & rctl_mpe;
    rules.broadcasts = r & rctl_bam;
    rules.vlan_filter = r & rctl_vfe;
    rules.longest = r & rctl_lpe ? reg(rlpml) : 1522;
    rules.pools = pools_on();
    rules.default_pool = vt >> 7 & 7;
    rules.default_off = vt >> 29 & 1;
    rules.replication = vt >> 30 & 1;
    rules.loopback = reg(dtxswc) >> 31 & 1;
    rules.receive_pools = rules.pools ? reg(vfre) : 1;
    rules.transmit_pools = rules.pools ? reg(vfte) : ~0ull;
    // By the MAC, or by the PHY that is told so.
    rules.loops_back = (r & rctl_loopback) == rctl_loopback_mac || phy_[phy_control] & phy_loopback;
    rules.fcs_kept = !(r & rctl_secrc);
    rules.ip_checksum = sum & 0x100;
    rules.l4_checksum = sum & 0x200;
    return rules;
}

PoolRules I82576::pool_rules(unsigned pool) const {
    const u32 v = reg(vmolr + 4 * pool), d = reg(dtxswc);
    PoolRules rules;
    rules.untagged = v & vmolr_aupe;
    rules.hashed_multicast = v & vmolr_rompe;
    rules.hashed_unicast = v & vmolr_rope;
    rules.broadcasts = v & vmolr_bam;
    rules.all_multicast = v & vmolr_mpme;
    rules.all_unicast = v & vmolr_upe;
    rules.all_vlans = v & vmolr_vpe;
    rules.longest = v & vmolr_lpe ? v & 0x3fff : 1522;
    rules.mac_antispoof = d >> pool & 1;
    rules.vlan_antispoof = d >> (8 + pool) & 1;
    rules.hears_itself = d >> (16 + pool) & 1;
    rules.port_vlan = reg(vmvir + 4 * pool);
    return rules;
}

MirrorRule I82576::mirror_rule(unsigned n) const {
    const u32 control = reg(vmrctl + 4 * n);
    return {.on = (control & 0xf) != 0,
            .pools = (control & 1) != 0,
            .uplink = (control & 2) != 0,
            .downlink = (control & 4) != 0,
            .vlans = (control & 8) != 0,
            .to = control >> 8 & 7,
            .from_pools = reg(vmrvm + 4 * n),
            .vlan_entries = reg(vmrvlan + 4 * n)};
}

std::optional<u64> I82576::exact(Mac mac) const {
    std::optional<u64> found;
    const auto look = [&](u32 at) {
        const u32 h = reg(at + 4);
        if ((h & rah_valid) && reg(at) == mac_low(mac) && (h & 0xffff) == mac_high(mac))
            found = found.value_or(0) | (h >> 18 & 0xff);
    };
    for (unsigned n = 0; n < 16; ++n)
        look(ra + 8 * n);
    for (unsigned n = 0; n < 8; ++n)
        look(ra2 + 8 * n);
    return found;
}

bool I82576::hashed(Mac mac) const { return in_hash_table(mac, reg(rctl) >> 12); }

u64 I82576::vlan_pools(u16 vlan) const {
    u64 found = 0;
    for (unsigned n = 0; n < 32; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (v & vlvf_valid) && (v & vlvf_vlan) == vlan)
            found |= v >> 12 & 0xff;
    return found;
}

unsigned I82576::pool_of(unsigned queue) const { return pools_on() ? vf_of(queue) : 0; }

unsigned I82576::vf_of(unsigned queue) const { return queue & 7; }

unsigned I82576::queue_of(unsigned pool, unsigned, unsigned index) const { return pools_on() ? pool + 8 * (index & 1) : index % queues; }

SpreadRules I82576::spread(unsigned pool, unsigned) const {
    const u32 m = reg(mrqc);
    if (pools_on())
        return {.on = (m & 7) == 5 && (reg(vmolr + 4 * pool) & vmolr_rsse), .fields = m >> 16, .queues = 2};
    return {.on = (m & 7) == 2, .fields = m >> 16, .queues = queues};
}

/// Ports and addresses are kept as a frame has them, the first byte lowest.
Filters I82576::filter_rules() const {
    Filters f;
    for (unsigned n = 0; n < 8; ++n) {
        const u32 type = reg(etqf + 4 * n);
        if (type & etqf_enable)
            f.types.push_back({.index = static_cast<u8>(n),
                               .type = static_cast<u16>(type),
                               .queue = type & etqf_queue ? std::optional(static_cast<u8>(type >> 16 & 7)) : std::nullopt,
                               .stamped = (type & etqf_ptp) != 0});
        const u32 flow = reg(ftqf + 4 * n), port = reg(imir + 4 * n);
        if (!(flow & (ftqf_queue | ftqf_ptp)))
            continue;
        TupleFilter t;
        if (!(flow & ftqf_any_protocol))
            t.protocol = static_cast<u8>(flow);
        if (!(flow & ftqf_any_source))
            t.source = __builtin_bswap32(reg(saqf + 4 * n));
        if (!(flow & ftqf_any_destination))
            t.destination = __builtin_bswap32(reg(daqf + 4 * n));
        if (!(flow & ftqf_any_source_port))
            t.source_port = __builtin_bswap16(static_cast<u16>(reg(spqf + 4 * n)));
        if (!(port & imir_any_port))
            t.destination_port = __builtin_bswap16(static_cast<u16>(port));
        if (!(flow & ftqf_any_pool))
            t.pool = static_cast<u8>(flow >> 12 & 7);
        if (flow & ftqf_queue)
            t.queue = static_cast<u8>(flow >> 16 & 7);
        t.rank = port >> 29;
        t.stamped = flow & ftqf_ptp;
        f.tuples.push_back(t);
    }
    f.syn = {.on = (reg(synqf) & synqf_enable) != 0, .queue = static_cast<u8>(reg(synqf) >> 1 & 7)};
    for (unsigned n = 0; n < 8; ++n)
        if (const u32 entry = reg(vlapqf) >> (4 * n) & 15; entry & 8)
            f.priorities.emplace_back(static_cast<u8>(n), static_cast<u8>(entry & 7));
    f.order();
    return f;
}

/// In pools, an entry's bit 3 says which of the pool's two queues.
unsigned I82576::redirection(unsigned hash) const {
    const unsigned entry = reg(reta + (hash & ~3u)) >> (8 * (hash & 3)) & 15;
    return pools_on() ? entry >> 3 : entry;
}

bool I82576::strip_vlan(unsigned, unsigned pool) const {
    return pools_on() ? reg(vmolr + 4 * pool) & vmolr_strip : static_cast<bool>(ctrl_bits.vme(reg(ctrl)));
}

bool I82576::queue_drops(unsigned queue) const { return reg(qde) >> queue & 1; }

void I82576::pool_spoofed(unsigned pool) {
    regs().at(wvbr) |= static_cast<u32>(bit(pool));
    regs().at(lvmmc) = static_cast<u32>(pool << 13) | 1u << 9; // the last one that misbehaved
    regs().count(0x41a0);
}

void I82576::chip_counts_lost(unsigned queue) { regs().count(receive_ring(queue) + rx_counter_dropped); }

void I82576::chip_missed(unsigned) { regs().count(mpc); }

/// It knows no traffic classes.
ClassRules I82576::class_rules() const {
    ClassRules r;
    r.buffer[0] = chip().packet_buffer;
    for (unsigned queue = 0; queue < queues; ++queue)
        r.queues[0].add(queue);
    return r;
}

FlowRules I82576::flow_rules() const {
    const u32 control = reg(ctrl), low = reg(fcrtl);
    FlowRules r;
    r.heeds_link = ctrl_bits.rfce(control);
    r.sends_link = ctrl_bits.tfce(control);
    r.passes_control = reg(rctl) & rctl_pmcf;
    r.keeps_pause = !(reg(rctl) & rctl_dpf);
    r.refresh = static_cast<u16>(reg(fcrtv));
    r.buffers[0] = {.on = reg(fcrth) != 0, .resumes = (low & fcrtl_xon) != 0, .high = reg(fcrth) & 0xfff0, .low = low & 0xfff0, .time = static_cast<u16>(reg(fcttv))};
    return r;
}

void I82576::chip_counts_pause(bool sent, const Pause& pause) {
    const bool on = pause.quanta[0] == 0;
    regs().count(sent ? on ? xontxc : xofftxc : on ? xonrxc : xoffrxc);
}

/// The factor is a link rate over the wanted one, with 14 bits of fraction.
u64 I82576::rate_time(unsigned queue, std::size_t bytes) const {
    const u32 r = rate(queue);
    return r >> 31 ? bytes * 8 * (r & 0xff'ffff) >> 14 : 0;
}

} // namespace vitrine::vtc
