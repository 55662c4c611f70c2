// SPDX-License-Identifier: Apache-2.0
// The 82599: 64 pools of two queues, of which one is used; an SFP+ cage. (82599 datasheet, Programming Interface, VMDq
// and Virtualization.)
#include "vtc/spec/i82599.h"

#include "pane/adapter/port.h"
#include "pane/adapter/sfp.h"
#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"

namespace vitrine::pane {

namespace {

using namespace vtc::i82599;

constexpr u64 reset_time = 20'000, security_time = 1'000; ///< microseconds
constexpr u32 all_causes = ~0u;
constexpr u32 gpie_own_clear = 1u << 5, gpie_pending_in_bar = 1u << 31, gpie_64_pools = 3u << 14;
constexpr u32 gcr_64_pools = 3, gcr_msix = 1u << 16;
constexpr u32 mrqc_64_pools = 8, mtqc_64_pools = 6; ///< no receive-side scaling
constexpr u32 rttdcs = 0x4900, rttdcs_arbiter_off = 1u << 6;
constexpr u32 vt_on = 1, vt_default_off = 1u << 29, vt_replication = 1u << 30;
constexpr u32 rdrxctl_crc_strip = 2, rdrxctl_ready = 8;
constexpr u32 receive_buffers = 0x3c00, transmit_buffers = 0xcc00, transmit_thresholds = 0x4950;
constexpr u32 receive_buffer_size = 512 << 10, transmit_buffer_size = 160 << 10,
              transmit_threshold = 160 - 10; ///< KiB without the longest frame
constexpr u32 security_receive_off = 2, security_ready = 1;
constexpr u32 fctrl_discard_pause = 1u << 13;
constexpr u32 qde_index = 8, qde_write = 1u << 16;
constexpr u32 check_context = 1u << 7;

bool reset(Port& p) {
    p.write(rxctrl, 0);
    p.write(eimc, all_causes);
    p.write(eimc_ex, all_causes);
    p.write(eimc_ex + 4, all_causes);
    p.change(ctrl, static_cast<u32>(ctrl_bits.master_disable.mask()));
    if (!p.wait(status, status_master_enable, 0, reset_time))
        say("pane: the adapter's requests do not come to an end; it is reset all the same");
    p.change(ctrl, vtc::ctrl_reset);
    if (!p.wait(ctrl, vtc::ctrl_reset, 0, reset_time))
        return false;
    wait_microseconds(50'000);
    if (!p.wait(eec, eec_auto_read_done, eec_auto_read_done, reset_time) ||
        !p.wait(rdrxctl, rdrxctl_ready, rdrxctl_ready, reset_time))
        return false;
    p.write(eimc, all_causes);
    static_cast<void>(p.read(eicr));
    return true;
}

void start_link(Port& p) {
    sfp_start(p);
    p.change(autoc, autoc_restart);
}

/// Receiving is switched while the security block lets nothing through.
void receive_on(Port& p) {
    p.change(secrxctrl, security_receive_off);
    static_cast<void>(p.wait(secrxstat, security_ready, security_ready, security_time));
    p.change(rxctrl, rxctrl_enable);
    p.change(secrxctrl, 0, security_receive_off);
}

void start(Port& p) {
    for (unsigned half = 0; half < 2; ++half) {
        p.write(vfre + 4 * half, 0);
        p.write(vfte + 4 * half, 0);
        p.write(vmtxsw + 4 * half, 0); // nobody hears what it sends itself
    }
    for (unsigned n = 0; n < pools; ++n)
        p.write(vmolr + 4 * n, 0);
    for (unsigned n = 0; n < 128; ++n) {
        p.write(mta + 4 * n, 0);
        p.write(vfta + 4 * n, 0);
        p.write(mpsar + 8 * n, 0);
        p.write(mpsar + 8 * n + 4, 0);
    }
    for (unsigned n = 0; n < 8; ++n) {
        p.write(receive_buffers + 4 * n, n ? 0 : receive_buffer_size);
        p.write(transmit_buffers + 4 * n, n ? 0 : transmit_buffer_size);
        p.write(transmit_thresholds + 4 * n, n ? 0 : transmit_threshold);
    }
    p.change(rttdcs, rttdcs_arbiter_off);
    p.write(mtqc, mtqc_64_pools);
    p.change(rttdcs, 0, rttdcs_arbiter_off);
    p.write(mrqc, mrqc_64_pools);
    p.change(gcr_ext, gcr_64_pools | gcr_msix);
    p.write(gpie, gpie_msix | gpie_eiame | gpie_own_clear | gpie_pending_in_bar | gpie_64_pools);
    p.write(vt_ctl, vt_on | p.first_pool % pools << 7 | vt_default_off | vt_replication);
    p.write(dtxgswc, 1);
    p.change(hlreg0, hlreg0_crc_strip | hlreg0_pad, hlreg0_jumbo);
    p.change(rdrxctl, rdrxctl_crc_strip);
    p.write(fctrl, fctrl_bam | fctrl_discard_pause);
    p.write(mcstctrl, mcstctrl_mfe);
    p.change(vlnctrl, vlnctrl_vfe);
    p.change(dmatxctl, dmatxctl_enable);
    receive_on(p);
}

bool link(Port& p) {
    static_cast<void>(p.read(links)); // the first reading tells of the past
    return p.read(links) & links_up;
}

PortEvents events(Port& p) {
    const u32 cause = p.read(eicr) & ~causes_of_queues;
    p.write(eicr, cause);
    return {.mailbox = (cause & cause_mailbox) != 0, .link = (cause & cause_link) != 0};
}

void route(Port& p, unsigned queue, unsigned receive_vector, int transmit_vector) {
    const unsigned shift = 16 * (queue & 1);
    const u32 entry = (receive_vector | vtc::ivar_valid) |
                      (transmit_vector < 0 ? 0 : (static_cast<u32>(transmit_vector) | vtc::ivar_valid) << 8);
    p.change(ivar + 4 * (queue / 2), entry << shift, 0xffffu << shift);
}

void open_vectors(Port& p, unsigned count) {
    p.write(ivar_misc, vtc::ivar_valid << 8); // vector 0
    p.write(eiac, static_cast<u32>(low_mask(count)) & causes_of_queues & ~1u);
    p.write(eims_ex, static_cast<u32>(low_mask(count)));
    p.write(pfmbimr, all_causes);
    p.write(pfmbimr + 4, all_causes);
    p.write(eims, cause_link | cause_mailbox | (static_cast<u32>(low_mask(count)) & causes_of_queues));
}

void hear_functions(Port& p, bool on) {
    p.write(on ? eims : eimc, cause_mailbox);
}

u32 interval(unsigned us) {
    return us / 2 << 3;
}

void set_address(Port& p, unsigned n, u32 low, u32 high, u64 in_pools) {
    p.write(ra + 8 * n + 4, 0); // never half of one
    p.write(ra + 8 * n, low);
    p.write(mpsar + 8 * n, static_cast<u32>(in_pools));
    p.write(mpsar + 8 * n + 4, static_cast<u32>(in_pools >> 32));
    p.write(ra + 8 * n + 4, high);
}

u64 vlan_entry_pools(Port& p, unsigned n) {
    return p.read(vlvfb + 8 * n) | u64{p.read(vlvfb + 8 * n + 4)} << 32;
}

void set_vlan_entry(Port& p, unsigned n, u32 vlan, u64 in_pools) {
    p.write(vlvfb + 8 * n, static_cast<u32>(in_pools));
    p.write(vlvfb + 8 * n + 4, static_cast<u32>(in_pools >> 32));
    p.write(vlvf + 4 * n, vlan);
}

void drop_when_full(Port& p, unsigned queue) {
    p.write(qde, queue << qde_index | qde_write | 1);
}

u64 take_resets(Port& p) {
    const u32 low = p.read(pfvflre0), high = p.read(pfvflre1);
    p.write(pfvflrec, low);
    p.write(pfvflrec + 4, high);
    return low | u64{high} << 32;
}

u64 take_spoofers(Port&) {
    return 0;
}

} // namespace

constinit const Chip chip_82599{
    .name = "82599",
    .device = 0x10fb,
    .virtual_device = 0x10ed,
    .pools = pools,
    .virtual_functions = virtual_functions,
    .vectors = vectors,
    .queues_a_pool = 2,
    .addresses = 128,
    .vlans = 64,
    .speed = "10 Gb/s",
    .receive_rings = rx_rings,
    .receive_rings_from_64 = rx_rings_high,
    .transmit_rings = tx_rings,
    .split_receive_control = 0x14,
    .split_drop = vtc::srrctl_drop_82599,
    .receive_dca = 0x0c,
    .transmit_dca = 0x0c,
    .vlan_strip = rxdctl_vlan_strip,
    .check_context = check_context,
    .frame_errors = 0x3b00'0000, // USE, OSE, PE, LE, CE
    .pool_receive_enable = vfre,
    .pool_transmit_enable = vfte,
    .pool_control = vmolr,
    .pool_vlan = vmvir,
    .anti_spoofing = vfspoof,
    .multicast_table = mta,
    .vlan_table = vfta,
    .vlan_pools = vlvf,
    .mailbox_memory = pfmbmem,
    .mailbox_control = pfmailbox,
    .mailbox_cause = pfmbicr,
    .mailbox_mask = pfmbimr,
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
    .spoof_counter = ssvpc,
    .missed_counter = mpc,
    .vf_received = {"VFGPRC", 0x101c, 0},
    .vf_received_bytes = {"VFGORC", 0x1020, 0x1024},
    .vf_sent = {"VFGPTC", 0x201c, 0},
    .vf_sent_bytes = {"VFGOTC", 0x2020, 0x2024},
    .vf_multicast = {"VFMPRC", 0x1034, 0},
};

} // namespace vitrine::pane
