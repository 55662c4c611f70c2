// SPDX-License-Identifier: Apache-2.0
// Which pool gets a frame: exact addresses, VLANs, the multicast table that all virtual functions share.
#include "pane/adapter/port.h"

#include "vtc/spec/common.h"

namespace vitrine::pane {

void filter_address(Port& p, unsigned entry, const Mac& mac, u64 pools) {
    const u8* b = mac.bytes;
    const u32 low = b[0] | u32{b[1]} << 8 | u32{b[2]} << 16 | u32{b[3]} << 24;
    p.chip->set_address(p, entry, low, vtc::rah_valid | b[4] | u32{b[5]} << 8, pools);
}

namespace {

u32 vlan_of(Port& p, unsigned entry) {
    const u32 value = p.read(p.chip->vlan_pools + 4 * entry);
    return value & vtc::vlvf_valid ? value & vtc::vlvf_vlan : 0;
}

void set_entry(Port& p, unsigned entry, u16 vlan, u64 pools) {
    const Chip& c = *p.chip;
    c.set_vlan_entry(p, entry, pools ? vtc::vlvf_valid | vlan : 0, pools);
    const u32 known = 1u << (vlan & 31);
    p.change(c.vlan_table + 4 * (vlan >> 5), pools ? known : 0, pools ? 0 : known);
}

} // namespace

bool filter_vlan(Port& p, unsigned pool, u16 vlan, bool on) {
    unsigned found = p.chip->vlans, free = p.chip->vlans;
    for (unsigned n = p.chip->vlans; n-- > 1;) { // entry 0 is for untagged frames in the 82599
        const u32 there = vlan_of(p, n);
        if (there == vlan)
            found = n;
        else if (!there)
            free = n;
    }
    if (found < p.chip->vlans) {
        const u64 pools = p.chip->vlan_entry_pools(p, found);
        set_entry(p, found, vlan, on ? pools | bit(pool) : pools & ~bit(pool));
        return true;
    }
    if (!on)
        return true;
    if (free == p.chip->vlans)
        return false;
    set_entry(p, free, vlan, bit(pool));
    return true;
}

void filter_forget_vlans(Port& p, unsigned pool) {
    for (unsigned n = 1; n < p.chip->vlans; ++n) {
        const u32 vlan = vlan_of(p, n);
        if (const u64 pools = vlan ? p.chip->vlan_entry_pools(p, n) : 0; pools & bit(pool))
            set_entry(p, n, static_cast<u16>(vlan), pools & ~bit(pool));
    }
}

void filter_multicast(Port& p) {
    u32 table[128]{};
    for (unsigned v = 0; v < p.virtual_function_count; ++v)
        for (unsigned n = 0; n < p.virtual_functions[v].hash_count; ++n) {
            const u16 hash = p.virtual_functions[v].hashes[n] & 0xfff;
            table[hash >> 5] |= 1u << (hash & 31);
        }
    for (unsigned n = 0; n < 128; ++n)
        if (table[n] != p.multicast[n])
            p.write(p.chip->multicast_table + 4 * n, p.multicast[n] = table[n]);
}

void pool_enable(Port& p, unsigned pool, bool on) {
    const u32 its = 1u << pool % 32;
    for (const u32 at : {p.chip->pool_receive_enable, p.chip->pool_transmit_enable})
        p.change(at + 4 * (pool / 32), on ? its : 0, on ? 0 : its);
}

} // namespace vitrine::pane
