// SPDX-License-Identifier: Apache-2.0
// The 82599: what its registers do.
#include "vtc/i82599.h"

#include "pci/msi.h"
#include "pci/msix.h"
#include "vtc/spec/descriptors.h"
#include "vtc/spec/i82599.h"
#include "vtc/virtual_function.h"

#include <algorithm>

#include <fmt/format.h>

namespace vitrine::vtc {

using namespace i82599;

namespace {

constexpr Chip chip_82599{
    .name = "i82599",
    .device = 0x10fb,
    .vf_device = 0x10ed,
    .subsystem = 0x000c,
    .registers = registers,
    .vf_registers = vf_registers,
    .bar_size = 128 << 10,
    .queues = queues,
    .pools = pools,
    .vfs = virtual_functions,
    .vectors = vectors,
    .vf_vectors = vf_vectors,
    .vector_pending = 0x2000,
    .byte_time = 8,
    .packet_buffer = 512 << 10,
    .rx_error_l4 = 1u << 30,
    .rx_error_ip = 1u << 31,
    .rx_loopback = 1u << 17,
    .split_control = 0x14,
    .split_drop = srrctl_drop_82599,
    .rx_vlan_strip = rxdctl_vlan_strip,
    .link = {.width = 8, .speed = 2},
};

constexpr u64 throttle_unit = 2048; ///< nanoseconds, at 10 Gb/s
constexpr u32 ivar_valid = 0x80;
constexpr u32 vf_rx = 0x1000, vf_tx = 0x2000, vf_mailbox_control = 0x02fc, vf_ivar = 0x0120, vf_ivar_misc = 0x0140;
constexpr u8 module_address = 0xa0;

} // namespace

I82599::I82599(const pci::Platform& platform, Clock& clock, Options options)
    : Adapter(platform, clock, chip_82599, options), nvm_(make_nvm_82599(options.mac)),
      link_timer_(clock, options.name + ".link", [this] { link_came(); }) {}

u32 I82599::receive_ring(unsigned queue) const {
    return queue < 64 ? rx_rings + queue * ring::size : rx_rings_high + (queue - 64) * ring::size;
}

u32 I82599::transmit_ring(unsigned queue) const { return tx_rings + queue * ring::size; }

/// The first sixteen queues' SRRCTL and DCA_RXCTRL, the first receive addresses and PSRTYPEs have older places too.
u32 I82599::canonical(u32 offset) const {
    if (offset >= 0x2100 && offset < 0x2140)
        return rx_rings + (offset - 0x2100) / 4 * ring::size + 0x14;
    if (offset >= 0x2200 && offset < 0x2240)
        return rx_rings + (offset - 0x2200) / 4 * ring::size + 0x0c;
    if (offset >= 0x5400 && offset < 0x5480)
        return ra + (offset - 0x5400);
    if (offset >= 0x5480 && offset < 0x54c0)
        return psrtype + (offset - 0x5480);
    return offset;
}

// ---- the module -------------------------------------------------------------------------------------------------------------

/// Data changes while the clock is high are a start or a stop; bits are taken at the clock's rise and given at its fall.
void I82599::Wires::move(bool clock_now, bool data_now) {
    const bool rise = clock_now && !clock, fall = !clock_now && clock;
    if (clock && clock_now && data != data_now) {
        count = byte = 0;
        slave = true;
        sending = false;
        selected = !data_now; // a start: the next byte is an address
        heard = false;
    } else if (rise && selected) {
        ++count;
        if (count <= 8 && !sending)
            byte = static_cast<u8>(byte << 1 | data_now);
        else if (count == 9 && sending && data_now)
            selected = false; // not acknowledged: no more
    } else if (fall && selected) {
        if (count == 8 && !sending) {
            if (!heard) {
                selected = (byte & 0xfe) == module_address;
                heard = true;
                addressed = byte & 1;
            } else {
                place = byte; // the first byte written is where to read; there is nothing to write to
            }
            slave = !selected;
        } else if (count == 8) {
            slave = true;
        } else if (count == 9) {
            count = 0;
            if (sending || addressed) {
                sending = true;
                byte = place < sizeof cable ? cable[place] : u8{0};
                ++place;
                slave = byte >> 7 & 1;
            } else {
                byte = 0;
                slave = true;
            }
        } else if (sending) {
            slave = byte >> (7 - count) & 1;
        }
    }
    clock = clock_now;
    data = data_now;
}

void I82599::Wires::state(Visitor& v) {
    v.field("clock", clock);
    v.field("data", data);
    v.field("slave", slave);
    v.field("count", count);
    v.field("byte", byte);
    v.field("place", place);
    v.field("selected", selected);
    v.field("sending", sending);
    v.field("addressed", addressed);
    v.field("heard", heard);
    if (v.loading() && count > 9)
        v.refuse("a module's wires are in an impossible state");
}

// ---- registers --------------------------------------------------------------------------------------------------------------

u32 I82599::read_effect(const Bank::Place& place, u32 offset, u32 stored) {
    switch (place.row->effect) {
    case Effect::status:
        return stored | (link_ ? status_link_up : 0) | (ctrl_bits.master_disable(reg(ctrl)) ? 0 : status_master_enable);
    case Effect::nvm_control:
        return stored | eec_present | eec_auto_read_done | eec_size | (stored & eec_request ? eec_grant : 0);
    case Effect::semaphore:
        regs().value(place) |= 1;
        return stored;
    case Effect::i2c:
        return (stored & (i2c_clock_out | i2c_data_out)) | (wires_.clock ? i2c_clock_in : 0) | (wires_.data && wires_.slave ? i2c_data_in : 0);
    case Effect::link:
        return link_ ? links_up | links_10g | links_kx_aligned : 0;
    case Effect::cause: {
        const u32 value = stored | static_cast<u32>(vectors().cause() & causes_of_queues);
        regs().value(place) = 0;
        vectors().clear(causes_of_queues);
        update_pin();
        return value;
    }
    case Effect::cause_set:
        return reg(eicr) | static_cast<u32>(vectors().cause() & causes_of_queues);
    case Effect::mask_set:
        return (stored & ~causes_of_queues) | static_cast<u32>(vectors().enabled() & causes_of_queues);
    case Effect::vector_cause:
        return static_cast<u32>(vectors().cause() >> (32 * place.index));
    case Effect::vector_mask_set:
        return static_cast<u32>(vectors().enabled() >> (32 * place.index));
    case Effect::free_running:
        return static_cast<u32>(clock().now() / 1000);
    case Effect::mailbox: {
        VirtualFunction* f = vf(offset >= pfmbmem ? place.index / mailbox::dwords : place.index);
        return !f ? 0 : offset >= pfmbmem ? f->message(place.index) : f->physical_mailbox_read();
    }
    case Effect::rate:
        return rate_[reg(rttdqsel) % queues];
    case Effect::time:
        if (offset == 0x8c0c)
            return static_cast<u32>(system_time());
        if (offset == 0x8c10)
            return static_cast<u32>(system_time() >> 32);
        return stored;
    default:
        return stored;
    }
}

void I82599::write_effect(const Bank::Place& place, u32 offset, u32 before, u32 written) {
    const u64 shifted = static_cast<u64>(written) << (32 * (place.index & 1));
    switch (place.row->effect) {
    case Effect::control:
        if (ctrl_bits.rst(written) || ctrl_bits.link_reset(written)) {
            glass().tell(Topic::vtc, "reset", {{"adapter", name()}});
            reset_core();
            chip_reset();
        }
        break;
    case Effect::control_extended:
        if (written & ctrl_ext_pfrstd) {
            regs().value(place) &= ~ctrl_ext_pfrstd;
            for (unsigned n = 0; VirtualFunction* f = vf(n); ++n)
                f->physical_reset(true);
        }
        break;
    case Effect::nvm_read:
        if (written & nvm_start) {
            const u32 word = written >> 2 & 0x3fff;
            regs().value(place) = static_cast<u32>(word < nvm_.size() ? nvm_[word] : 0xffff) << 16 | (written & 0xfffc) | nvm_done;
        }
        break;
    case Effect::i2c:
        wires_.move(written & i2c_clock_out, written & i2c_data_out);
        break;
    case Effect::link_mode:
        if (written & autoc_restart) {
            regs().value(place) &= ~autoc_restart;
            negotiate();
        }
        break;
    case Effect::cause:
        regs().value(place) &= ~written;
        vectors().clear(written & causes_of_queues);
        update_pin();
        break;
    case Effect::cause_set:
        vectors().raise(written & causes_of_queues);
        raise(written & ~causes_of_queues);
        break;
    case Effect::mask_set:
        regs().value(place) |= written;
        vectors().enable(written & causes_of_queues);
        if (reg(eicr) & reg(eims) & ~causes_of_queues)
            other_interrupt();
        update_pin();
        break;
    case Effect::mask_clear:
        regs().at(eims) &= ~written;
        vectors().disable(written & causes_of_queues);
        update_pin();
        break;
    case Effect::vector_cause:
        vectors().clear(shifted);
        break;
    case Effect::vector_cause_set:
        vectors().raise(shifted);
        break;
    case Effect::vector_mask_set:
        vectors().enable(shifted);
        break;
    case Effect::vector_mask_clear:
        vectors().disable(shifted);
        break;
    case Effect::vector_auto_clear:
        set_auto_clear();
        break;
    case Effect::vector_auto_mask:
        // EIAM's lower half and EIAM_EX's are one register.
        vectors().set_auto_mask(static_cast<u64>(reg(eiam_ex + 4)) << 32 | reg(eiam_ex) | (reg(eiam) & causes_of_queues));
        break;
    case Effect::throttle: {
        const unsigned n = offset >= eitr_high ? 24 + place.index : place.index;
        if (n < Vectors::most)
            vectors().set_interval(n, bits(written, 11, 3) * throttle_unit);
        break;
    }
    case Effect::receive_control:
    case Effect::pool_enable:
        kick_transmit();
        kick_receive();
        break;
    case Effect::mailbox: {
        VirtualFunction* f = vf(offset >= pfmbmem ? place.index / mailbox::dwords : place.index);
        if (f && offset >= pfmbmem)
            f->message(place.index) = written;
        else if (f)
            f->physical_mailbox_write(written);
        break;
    }
    case Effect::mailbox_cause:
        regs().value(place) &= ~written;
        break;
    case Effect::reset_cause:
        regs().at(place.index ? pfvflre1 : pfvflre0) &= ~written;
        break;
    case Effect::rate:
        rate_[reg(rttdqsel) % queues] = written;
        break;
    case Effect::queue_drop:
        if (written >> 16 & 1)
            drops_[written >> 8 & 127] = written & 1;
        break;
    case Effect::flow_director:
        if (offset == fdirctrl) {
            regs().value(place) = (written & ~fdirctrl_done) | (written & 3 ? fdirctrl_done : 0);
        } else {
            if ((written & 3) == 1 && (reg(fdirctrl) & 0x10))
                glass().odd(Topic::vtc, "flow-director.not-modelled", {{"adapter", name()}, {"command", written}});
            regs().value(place) &= ~3u;
        }
        break;
    case Effect::time: {
        const u64 now = [&] {
            const u32 kept = regs().value(place);
            regs().value(place) = before;
            const u64 time = system_time();
            regs().value(place) = kept;
            return time;
        }();
        time_base_ = offset == 0x8c14   ? now
                     : offset == 0x8c0c ? (now & ~low_mask(32)) | written
                                        : (now & low_mask(32)) | static_cast<u64>(written) << 32;
        time_set_ = clock().now();
        break;
    }
    default:
        break;
    }
}

/// The increment is added each 6.4 ns, times the period.
u64 I82599::system_time() const {
    const u32 increment = reg(0x8c14);
    const u64 period = (increment >> 24) * 64ull;
    return period ? time_base_ + (clock().now() - time_set_) * 10 / period * (increment & 0xff'ffff) : time_base_;
}

// ---- interrupts -------------------------------------------------------------------------------------------------------------

void I82599::raise(u32 causes) {
    regs().at(eicr) |= causes;
    if (causes & reg(eims))
        other_interrupt();
    update_pin();
}

/// Causes that are no queue's have a vector of their own, which the masks of queues do not concern.
void I82599::other_interrupt() {
    const u32 entry = reg(ivar_misc) >> 8 & 0xff;
    if (msix()->enabled() && (entry & ivar_valid) && (entry & 63) < msix()->vectors())
        msix()->trigger(entry & 63);
}

void I82599::update_pin() {
    if (msix()->enabled())
        return;
    const bool level = (reg(eicr) & reg(eims) & ~cause_other) || (vectors().cause() & vectors().enabled() & causes_of_queues);
    if (level && !intx_level())
        msi()->trigger(0);
    set_intx(level);
}

/// Vectors from 16 on have no bit in EIAC and are always cleared when they are sent.
void I82599::set_auto_clear() { vectors().set_auto_clear(reg(eiac) | ~u64{causes_of_queues}); }

void I82599::queue_event(unsigned queue, bool transmit) {
    if (const unsigned pool = pool_of(queue); pools_on() && pool < Adapter::virtual_functions()) {
        VirtualFunction& f = *vf(pool);
        const unsigned own = queue % queues_a_pool();
        const u32 entry = f.regs().get(vf_ivar + 4 * (own / 2)) >> (16 * (own & 1) + (transmit ? 8 : 0)) & 0xff;
        if ((entry & ivar_valid) && (entry & 3) < vf_vectors)
            f.vectors().raise(bit(entry & 3));
        return;
    }
    const u32 entry = reg(ivar + 4 * (queue / 2)) >> (16 * (queue & 1) + (transmit ? 8 : 0)) & 0xff;
    if (!(entry & ivar_valid))
        return;
    vectors().raise(bit(entry & (msix()->enabled() ? 63 : 15)));
    update_pin();
}

// ---- link -------------------------------------------------------------------------------------------------------------------

void I82599::negotiate() {
    if (link_) {
        link_ = false;
        raise(cause_link);
    }
    link_timer_.arm(clock().now() + negotiation_time);
}

void I82599::link_came() {
    link_ = true;
    count_link_change();
    glass().tell(Topic::vtc, "link-up", {{"adapter", name()}});
    raise(cause_link);
}

void I82599::chip_reset() {
    rate_.fill(0);
    drops_.fill(false);
    wires_ = Wires{};
    time_base_ = 0;
    time_set_ = clock().now();
    set_auto_clear();
    link_ = false;
    link_timer_.arm(clock().now() + negotiation_time);
    const Mac mac = address();
    u32 low = 0;
    for (unsigned i = 0; i < 4; ++i)
        low |= static_cast<u32>(mac >> (40 - 8 * i) & 0xff) << (8 * i);
    regs().at(ra) = low;
    regs().at(ra + 4) = rah_valid | static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
    regs().at(mpsar) = 1;
}

// ---- rules ------------------------------------------------------------------------------------------------------------------

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
    u32 low = 0;
    for (unsigned i = 0; i < 4; ++i)
        low |= static_cast<u32>(mac >> (40 - 8 * i) & 0xff) << (8 * i);
    const u32 high = static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
    std::optional<u64> found;
    for (unsigned n = 0; n < 128; ++n)
        if (reg(ra + 8 * n) == low && reg(ra + 8 * n + 4) == (rah_valid | high))
            found = found.value_or(0) | static_cast<u64>(reg(mpsar + 8 * n + 4)) << 32 | reg(mpsar + 8 * n);
    return found;
}

bool I82599::hashed(Mac mac) const {
    static constexpr unsigned shifts[] = {4, 3, 2, 0};
    if (is_group(mac) && !(reg(mcstctrl) & mcstctrl_mfe))
        return false;
    const u32 last = static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
    const u32 hash = last >> shifts[reg(mcstctrl) & 3] & 0xfff;
    return reg((is_group(mac) ? mta : uta) + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

bool I82599::vlan_known(u16 vlan) const { return reg(vfta + 4 * (vlan >> 5)) >> (vlan & 31) & 1; }

u64 I82599::vlan_pools(u16 vlan) const {
    u64 found = 0;
    for (unsigned n = 0; n < 64; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (v >> 31) && (v & 0xfff) == vlan)
            found |= static_cast<u64>(reg(vlvfb + 8 * n + 4)) << 32 | reg(vlvfb + 8 * n);
    return found;
}

bool I82599::vlan_in_entries(u16 vlan, u64 entries) const {
    for (unsigned n = 0; n < 64; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (entries >> n & 1) && (v >> 31) && (v & 0xfff) == vlan)
            return true;
    return false;
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

unsigned I82599::redirection(unsigned hash) const { return reg(reta + (hash & ~3u)) >> (8 * (hash & 3)) & 15; }

std::array<u8, 40> I82599::hash_key() const {
    std::array<u8, 40> key{};
    for (unsigned n = 0; n < 40; ++n)
        key[n] = static_cast<u8>(reg(rssrk + (n & ~3u)) >> (8 * (n & 3)));
    return key;
}

bool I82599::strip_vlan(unsigned queue, unsigned) const { return reg(receive_ring(queue) + ring::control) & rxdctl_vlan_strip; }

void I82599::pool_spoofed(unsigned) { regs().count(ssvpc); }

void I82599::chip_missed() { regs().count(mpc); }

void I82599::chip_counts_receive(unsigned queue, std::size_t bytes) {
    const u32 at = receive_ring(queue);
    regs().count(at + 0x30);
    regs().count_wide(at + 0x34, bytes);
}

void I82599::chip_counts_transmit(unsigned queue, std::size_t bytes) {
    const u32 at = transmit_ring(queue);
    regs().count(at + 0x30);
    regs().count(at + 0x34, bytes);
}

/// The factor is the link's rate over the wanted one, with 14 bits of fraction.
u64 I82599::rate_time(unsigned queue, std::size_t bytes) const {
    const u32 r = rate_[queue];
    return r >> 31 ? bytes * 8 * (r & 0xff'ffff) / 10 >> 14 : 0;
}

// ---- virtual functions ------------------------------------------------------------------------------------------------------

std::optional<u32> I82599::ring_of_vf(unsigned vf, u32 offset) const {
    const unsigned each = queues_a_pool();
    for (const bool transmit : {false, true}) {
        const u32 base = transmit ? vf_tx : vf_rx;
        if (offset >= base && offset < base + each * ring::size) {
            const unsigned queue = (vf * each + (offset - base) / ring::size) % queues;
            return (transmit ? transmit_ring(queue) : receive_ring(queue)) + (offset & (ring::size - 1));
        }
    }
    return std::nullopt;
}

u32 I82599::vf_read(VirtualFunction& f, u32 offset) {
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
        // The rings' statistics are the PF's.
        if (const auto at = ring_of_vf(f.index(), offset); at && regs().find(*at).row && regs().find(*at).row->effect == Effect::queue)
            return reg(*at);
        glass().odd(Topic::vtc, "register.unknown-read", {{"adapter", f.name()}, {"offset", offset}});
        return 0;
    }
    const u32 stored = f.regs().value(place);
    const PoolCounters& c = counters(f.index());
    switch (place.row->effect) {
    case Effect::status:
        return link_ ? status_link_up : 0;
    case Effect::link:
        return link_ ? links_up | links_10g : 0;
    case Effect::free_running:
        return static_cast<u32>(clock().now() / 1000);
    case Effect::mailbox:
        return offset == vf_mailbox_control ? f.mailbox_read() : f.message(place.index);
    case Effect::vector_cause: {
        const u32 value = static_cast<u32>(f.vectors().cause());
        f.vectors().clear(value);
        return value;
    }
    case Effect::vector_cause_set:
        return static_cast<u32>(f.vectors().cause());
    case Effect::vector_mask_set:
        return static_cast<u32>(f.vectors().enabled());
    case Effect::vector_auto_clear:
        return static_cast<u32>(f.vectors().auto_clear());
    case Effect::vector_auto_mask:
        return static_cast<u32>(f.vectors().auto_mask());
    case Effect::control:
        return 0;
    default:
        break;
    }
    switch (offset) {
    case 0x101c:
        return static_cast<u32>(c.rx_frames);
    case 0x1020:
        return static_cast<u32>(c.rx_bytes);
    case 0x1024:
        return static_cast<u32>(c.rx_bytes >> 32 & 0xf);
    case 0x1034:
        return static_cast<u32>(c.rx_multicast);
    case 0x201c:
        return static_cast<u32>(c.tx_frames);
    case 0x2020:
        return static_cast<u32>(c.tx_bytes);
    case 0x2024:
        return static_cast<u32>(c.tx_bytes >> 32 & 0xf);
    default:
        return stored;
    }
}

void I82599::vf_write(VirtualFunction& f, u32 offset, u32 value) {
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
        if (const auto at = ring_of_vf(f.index(), offset); at && regs().find(*at).row && regs().find(*at).row->effect == Effect::queue)
            return write_ring(*at, value);
        glass().odd(Topic::vtc, "register.unknown-write", {{"adapter", f.name()}, {"offset", offset}, {"value", value}});
        return;
    }
    constexpr u32 own = (1u << vf_vectors) - 1;
    u32& stored = f.regs().value(place);
    stored = (stored & ~place.row->writable) | (value & place.row->writable);
    switch (place.row->effect) {
    case Effect::control:
        if (ctrl_bits.rst(value))
            f.soft_reset();
        break;
    case Effect::mailbox:
        if (offset == vf_mailbox_control)
            f.mailbox_write(value);
        else
            f.message(place.index) = value;
        break;
    case Effect::vector_cause:
        f.vectors().clear(value & own);
        break;
    case Effect::vector_cause_set:
        f.vectors().raise(value & own);
        break;
    case Effect::vector_mask_set:
        f.vectors().enable(value & own);
        break;
    case Effect::vector_mask_clear:
        f.vectors().disable(value & own);
        break;
    case Effect::vector_auto_clear:
        f.vectors().set_auto_clear(value & own);
        break;
    case Effect::vector_auto_mask:
        f.vectors().set_auto_mask(value & own);
        break;
    case Effect::throttle:
        f.vectors().set_interval(place.index, bits(value, 11, 3) * throttle_unit);
        break;
    default:
        break;
    }
}

void I82599::vf_mail(unsigned n, bool request) {
    regs().at(pfmbicr + 4 * (n / 16)) |= static_cast<u32>(bit(n % 16 + (request ? 0 : 16)));
    if (reg(pfmbimr + 4 * (n / 32)) >> (n & 31) & 1)
        raise(cause_mailbox);
}

void I82599::vf_was_reset(unsigned n) {
    // It neither sends nor receives until the PF lets it again. Head write-back addresses stay, as in the chip.
    regs().at(vfre + 4 * (n / 32)) &= ~static_cast<u32>(bit(n & 31));
    regs().at(vfte + 4 * (n / 32)) &= ~static_cast<u32>(bit(n & 31));
    const unsigned each = queues_a_pool();
    if ((n + 1) * each <= queues) {
        std::array<u32, 16> kept{};
        for (unsigned i = 0; i < each; ++i) {
            kept[2 * i] = reg(transmit_ring(n * each + i) + ring::write_back_low);
            kept[2 * i + 1] = reg(transmit_ring(n * each + i) + ring::write_back_high);
        }
        reset_queues(n * each, each, 1);
        for (unsigned i = 0; i < each; ++i) {
            regs().at(transmit_ring(n * each + i) + ring::write_back_low) = kept[2 * i];
            regs().at(transmit_ring(n * each + i) + ring::write_back_high) = kept[2 * i + 1];
        }
    }
    regs().at(pfmbicr + 4 * (n / 16)) &= ~static_cast<u32>(bit(n % 16) | bit(n % 16 + 16));
    regs().at(n >= 32 ? pfvflre1 : pfvflre0) |= static_cast<u32>(bit(n & 31));
    if (n < Adapter::virtual_functions())
        raise(cause_mailbox);
}

void I82599::vf_other_cause(VirtualFunction& f) {
    const u32 entry = f.regs().get(vf_ivar_misc) & 0xff;
    if ((entry & ivar_valid) && (entry & 3) < vf_vectors)
        f.vectors().raise(bit(entry & 3));
}

// ---- state ------------------------------------------------------------------------------------------------------------------

void I82599::chip_state(Visitor& v) {
    v.field("link timer", link_timer_);
    v.field("link", link_);
    v.field("wires", wires_);
    v.field("drops", drops_);
    v.field("rate", rate_);
    v.field("time base", time_base_);
    v.field("time set", time_set_);
}

std::string I82599::describe() const {
    return fmt::format("{}: Intel 82599 {}, link {}, 10 Gb/s; {} of {} virtual functions; {} interrupts, {} frames missed\n", name(),
                       mac_text(address()), link_ ? "up" : "down", Adapter::virtual_functions(), chip().vfs, interrupts(), missed());
}

} // namespace vitrine::vtc
