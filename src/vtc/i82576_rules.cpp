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

unsigned I82576::queue_of(unsigned pool, unsigned index) const { return pools_on() ? pool + 8 * (index & 1) : index % queues; }

SpreadRules I82576::spread(unsigned pool) const {
    const u32 m = reg(mrqc);
    if (pools_on())
        return {.on = (m & 7) == 5 && (reg(vmolr + 4 * pool) & vmolr_rsse), .fields = m >> 16, .queues = 2};
    return {.on = (m & 7) == 2, .fields = m >> 16, .queues = queues};
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

void I82576::chip_missed() { regs().count(mpc); }

/// The factor is a link rate over the wanted one, with 14 bits of fraction.
u64 I82576::rate_time(unsigned queue, std::size_t bytes) const {
    const u32 r = rate(queue);
    return r >> 31 ? bytes * 8 * (r & 0xff'ffff) >> 14 : 0;
}

} // namespace vitrine::vtc
