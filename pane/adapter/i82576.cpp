// SPDX-License-Identifier: Apache-2.0
// The 82576: 8 pools of two queues, of which one is used; a copper PHY. (82576 datasheet, Programming Interface,
// Virtualization.)
#include "vtc/spec/i82576.h"

#include "pane/adapter/port.h"
#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"

namespace vitrine::pane {

namespace {

using namespace vtc::i82576;

constexpr u64 reset_time = 20'000, read_time = 1'000; ///< microseconds
constexpr u32 all_causes = ~0u;
constexpr u32 tctl_pad_short = 8;
constexpr u32 gpie_pending_in_bar = 1u << 31, gpie_nonselective_clear = 1;
constexpr u32 mrqc_pools = 3; ///< VMDq by address and VLAN, no receive-side scaling
constexpr u32 vt_default_off = 1u << 29, vt_replication = 1u << 30;
constexpr u32 switch_loopback = 1u << 31;
constexpr u32 dtxctl = 0x3590, dtxctl_vlan_inserted = 0x10;
constexpr u32 address_pools = 18; ///< RAH's bits 25:18
constexpr u32 vlvf_pools = 12;
constexpr u32 mdic_read = 2u << 26, mdic_write = 1u << 26, mdic_phy = 1u << 21;
constexpr u16 phy_autonegotiation = 0x1000;

bool reset(Port& p) {
    const auto master_enable = static_cast<u32>(status_bits.master_enable.mask());
    p.write(imc, all_causes);
    p.write(eimc, all_causes);
    p.write(rctl, 0);
    p.write(tctl, tctl_pad_short);
    p.change(ctrl, static_cast<u32>(ctrl_bits.master_disable.mask()));
    if (!p.wait(status, master_enable, 0, reset_time))
        say("pane: the adapter's requests do not come to an end; it is reset all the same");
    p.change(ctrl, vtc::ctrl_reset);
    wait_microseconds(1000);
    if (!p.wait(eecd, eecd_auto_read_done, eecd_auto_read_done, reset_time))
        return false;
    p.write(imc, all_causes);
    p.write(eimc, all_causes);
    static_cast<void>(p.read(icr));
    return true;
}

/// A register of the PHY; all ones when it does not answer.
u16 phy(Port& p, unsigned number) {
    p.write(mdic, mdic_read | mdic_phy | number << 16);
    return p.wait(mdic, mdic_ready, mdic_ready, read_time) && !(p.read(mdic) & mdic_error)
               ? static_cast<u16>(p.read(mdic))
               : 0xffff;
}

void start_link(Port& p) {
    p.change(ctrl, static_cast<u32>(ctrl_bits.slu.mask()));
    const u16 control = phy(p, phy_control);
    if (control == 0xffff) {
        say("pane: the adapter's PHY does not answer");
        return;
    }
    if (phy(p, phy_status) & phy_link)
        return; // the reset has left it alone
    const u32 value = (control & ~u32{phy_power_down}) | phy_autonegotiation | phy_restart;
    p.write(mdic, mdic_write | mdic_phy | u32{phy_control} << 16 | value);
    static_cast<void>(p.wait(mdic, mdic_ready, mdic_ready, read_time));
}

void start(Port& p) {
    p.write(vfre, 0);
    p.write(vfte, 0);
    for (unsigned n = 0; n < pools; ++n)
        p.write(vmolr + 4 * n, 0);
    for (unsigned n = 0; n < 128; ++n) {
        p.write(mta + 4 * n, 0);
        p.write(vfta + 4 * n, 0);
    }
    p.write(mrqc, mrqc_pools);
    p.write(vt_ctl, p.first_pool % pools << 7 | vt_default_off | vt_replication);
    p.write(dtxswc, switch_loopback);
    p.change(dtxctl, dtxctl_vlan_inserted);
    p.write(rctl, rctl_enable | rctl_bam | rctl_secrc | rctl_vfe);
    p.change(tctl, tctl_enable | tctl_pad_short);
}

bool link(Port& p) {
    return p.read(status) & status_bits.lu.mask();
}

PortEvents events(Port& p) {
    const u32 cause = p.read(icr);
    return {.mailbox = (cause & cause_vmmb) != 0, .link = (cause & cause_lsc) != 0};
}

void route(Port& p, unsigned queue, unsigned receive_vector, int transmit_vector) {
    const unsigned shift = queue < 8 ? 0 : 16;
    const u32 entry = (receive_vector | vtc::ivar_valid) |
                      (transmit_vector < 0 ? 0 : (static_cast<u32>(transmit_vector) | vtc::ivar_valid) << 8);
    p.change(ivar + 4 * (queue & 7), entry << shift, 0xffffu << shift);
}

void open_vectors(Port& p, unsigned count) {
    const auto all = static_cast<u32>(low_mask(count));
    p.write(gpie, gpie_multiple | gpie_eiame | gpie_pending_in_bar | gpie_nonselective_clear);
    p.write(ivar_misc, vtc::ivar_valid << 8); // vector 0
    p.write(eiac, all);
    p.write(eims, all);
    p.write(mbvfimr, 0xff);
    p.write(ims, cause_lsc | cause_vmmb);
}

void hear_functions(Port& p, bool on) {
    p.write(on ? ims : imc, cause_vmmb);
}

u32 interval(unsigned us) {
    return us << 2;
}

void set_address(Port& p, unsigned n, u32 low, u32 high, u64 in_pools) {
    const u32 at = n < 16 ? ra + 8 * n : ra2 + 8 * (n - 16);
    p.write(at + 4, 0); // never half of one
    p.write(at, low);
    p.write(at + 4, high | static_cast<u32>(in_pools) << address_pools);
}

u64 vlan_entry_pools(Port& p, unsigned n) {
    return p.read(vlvf + 4 * n) >> vlvf_pools & 0xff;
}

void set_vlan_entry(Port& p, unsigned n, u32 vlan, u64 in_pools) {
    p.write(vlvf + 4 * n, vlan | static_cast<u32>(in_pools) << vlvf_pools);
}

void drop_when_full(Port& p, unsigned queue) {
    p.change(qde, 1u << queue);
}

u64 take_resets(Port& p) {
    const u32 all = p.read(vflre);
    p.write(vflre, all);
    return all;
}

u64 take_spoofers(Port& p) {
    return p.read(wvbr) & 0xff;
}

} // namespace

constinit const Chip chip_82576{
    .name = "82576",
    .device = 0x10c9,
    .virtual_device = 0x10ca,
    .pools = pools,
    .virtual_functions = virtual_functions,
    .vectors = vectors,
    .queues_a_pool = 1, // and another eight further on, which is not used
    .addresses = 24,
    .vlans = 32,
    .speed = "1 Gb/s",
    .receive_rings = rx_rings,
    .receive_rings_from_64 = 0,
    .transmit_rings = tx_rings,
    .split_receive_control = 0x0c,
    .split_drop = static_cast<u32>(vtc::srrctl.drop.mask()),
    .receive_dca = 0x14,
    .transmit_dca = 0x14,
    .vlan_strip = 0,
    .check_context = 0,
    .frame_errors = 0x9700'0000, // RXE, CXE, SEQ, SE, CE
    .pool_receive_enable = vfre,
    .pool_transmit_enable = vfte,
    .pool_control = vmolr,
    .pool_vlan = vmvir,
    .anti_spoofing = dtxswc,
    .multicast_table = mta,
    .vlan_table = vfta,
    .vlan_pools = vlvf,
    .mailbox_memory = vmbmem,
    .mailbox_control = p2vmailbox,
    .mailbox_cause = mbvficr,
    .mailbox_mask = mbvfimr,
    .throttle = eitr,
    .reset = reset,
    .start = start,
    .link = link,
    .start_link = start_link,
    .hear_functions = hear_functions,
    .events = events,
    .route = route,
    .open_vectors = open_vectors,
    .interval = interval,
    .set_address = set_address,
    .vlan_entry_pools = vlan_entry_pools,
    .set_vlan_entry = set_vlan_entry,
    .drop_when_full = drop_when_full,
    .take_resets = take_resets,
    .take_spoofers = take_spoofers,
    .spoof_counter = 0x41a0,
    .missed_counter = mpc,
    .vf_received = {"VFGPRC", 0x0f10, 0},
    .vf_received_bytes = {"VFGORC", 0x0f18, 0},
    .vf_sent = {"VFGPTC", 0x0f14, 0},
    .vf_sent_bytes = {"VFGOTC", 0x0f34, 0},
    .vf_multicast = {"VFMPRC", 0x0f3c, 0},
};

} // namespace vitrine::pane
