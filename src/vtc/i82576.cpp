// SPDX-License-Identifier: Apache-2.0
// The 82576: what its registers do.
#include "vtc/i82576.h"

#include "pci/msi.h"
#include "pci/msix.h"
#include "vtc/spec/descriptors.h"
#include "vtc/spec/i82576.h"
#include "vtc/virtual_function.h"

#include <algorithm>

#include <fmt/format.h>

namespace vitrine::vtc {

using namespace i82576;

namespace {

constexpr Chip chip_82576{
    .name = "i82576",
    .device = 0x10c9,
    .vf_device = 0x10ca,
    .subsystem = 0xa03c,
    .registers = registers,
    .vf_registers = vf_registers,
    .bar_size = 128 << 10,
    .queues = queues,
    .pools = pools,
    .vfs = virtual_functions,
    .vectors = vectors,
    .vf_vectors = vf_vectors,
    .vector_pending = 0x2000,
    .byte_time = 80,
    .packet_buffer = 64 << 10,
    .rx_error_l4 = 1u << 29,
    .rx_error_ip = 1u << 30,
    .rx_loopback = 1u << 18,
    .split_control = 0x0c,
    .split_drop = 1u << 31,
    .rx_vlan_strip = 0,
    .link = {.width = 4, .speed = 1},
};

constexpr u64 microsecond = 1000;
constexpr u32 vf_ring_step = 0x100, vf_rx = 0x2800, vf_tx = 0x3800;
constexpr u32 ivar_valid = 0x80;

} // namespace

I82576::I82576(const pci::Platform& platform, Clock& clock, Options options)
    : Adapter(platform, clock, chip_82576, options), nvm_(make_nvm_82576(options.mac)),
      link_timer_(clock, options.name + ".link", [this] { link_came(); }) {}

u32 I82576::receive_ring(unsigned queue) const { return rx_rings + queue * ring::size; }

u32 I82576::transmit_ring(unsigned queue) const { return tx_rings + queue * ring::size; }

/// The first four rings, and the interrupt registers, have older places too.
u32 I82576::canonical(u32 offset) const {
    if (offset >= vf_rx && offset < vf_rx + 4 * vf_ring_step && (offset & (vf_ring_step - 1)) < ring::size)
        return rx_rings + (offset - vf_rx) / vf_ring_step * ring::size + (offset & (ring::size - 1));
    if (offset >= vf_tx && offset < vf_tx + 4 * vf_ring_step && (offset & (vf_ring_step - 1)) < ring::size)
        return tx_rings + (offset - vf_tx) / vf_ring_step * ring::size + (offset & (ring::size - 1));
    switch (offset) {
    case 0x1500:
        return icr;
    case 0x1504:
        return ics;
    case 0x1508:
        return ims;
    case 0x150c:
        return imc;
    case 0x1510:
        return iam;
    default:
        return offset;
    }
}

// ---- registers --------------------------------------------------------------------------------------------------------------

/// Causes that are the PF's: the VFs' vectors are taken from the upper end.
u32 I82576::vector_mask() const { return static_cast<u32>(low_mask(causes - vf_vectors * Adapter::virtual_functions())); }

u32 I82576::read_effect(const Bank::Place& place, u32 offset, u32 stored) {
    switch (place.row->effect) {
    case Effect::status: {
        u32 value = stored | static_cast<u32>(status_bits.fd.mask());
        if (link_)
            value |= static_cast<u32>(status_bits.lu.mask());
        if (!ctrl_bits.master_disable(reg(ctrl)))
            value |= static_cast<u32>(status_bits.master_enable.mask());
        return value;
    }
    case Effect::nvm_control:
        return stored | eecd_present | eecd_auto_read_done | eecd_size | (stored & eecd_request ? eecd_grant : 0);
    case Effect::semaphore: {
        regs().value(place) |= 1;
        return stored;
    }
    case Effect::cause: {
        const bool asserted = stored & reg(ims);
        u32& cause = regs().value(place);
        cause = 0;
        update_pin();
        return stored | (asserted ? cause_asserted : 0);
    }
    case Effect::mask_set:
        return stored;
    case Effect::mask_clear:
        return 0;
    case Effect::vector_cause: {
        const u32 value = static_cast<u32>(vectors().cause());
        vectors().clear(value);
        return value;
    }
    case Effect::vector_mask_set:
        return static_cast<u32>(vectors().enabled());
    case Effect::vector_auto_clear:
        return static_cast<u32>(vectors().auto_clear());
    case Effect::vector_auto_mask:
        return static_cast<u32>(vectors().auto_mask());
    case Effect::free_running:
        return static_cast<u32>(clock().now() / microsecond);
    case Effect::mailbox: {
        if (offset >= p2vmailbox) {
            VirtualFunction* f = vf(place.index);
            return f ? f->physical_mailbox_read() : 0;
        }
        VirtualFunction* f = vf(place.index / mailbox::dwords);
        return f ? f->message(place.index) : 0;
    }
    case Effect::rate:
        return rate_[reg(rttdqsel) % queues];
    case Effect::time:
        if (offset == systiml)
            return static_cast<u32>(system_time());
        if (offset == systimh)
            return static_cast<u32>(system_time() >> 32);
        return stored;
    default:
        return stored;
    }
}

void I82576::write_effect(const Bank::Place& place, u32 offset, u32 before, u32 written) {
    switch (place.row->effect) {
    case Effect::control:
        if (ctrl_bits.rst(written)) {
            glass().tell(Topic::vtc, "reset", {{"adapter", name()}});
            reset_core();
            chip_reset();
            raise(cause_drsta);
            return;
        }
        if (ctrl_bits.phy_rst(written) && !ctrl_bits.phy_rst(before))
            negotiate();
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
    case Effect::phy: {
        const unsigned number = written >> 16 & 31, phy = written >> 21 & 31;
        u32 value = (written & ~0xffffu) | mdic_ready;
        if (phy != 1)
            value |= mdic_error;
        else if (written >> 26 & 2)
            value |= phy_read(number);
        else
            phy_write(number, static_cast<u16>(written));
        regs().value(place) = value;
        break;
    }
    case Effect::cause_set:
        raise(written);
        break;
    case Effect::mask_set:
        regs().value(place) |= written;
        if (reg(icr) & reg(ims))
            other_vector();
        update_pin();
        break;
    case Effect::mask_clear:
        regs().at(ims) &= ~written;
        update_pin();
        break;
    case Effect::vector_cause:
        vectors().clear(written);
        break;
    case Effect::vector_cause_set:
        vectors().raise(written & vector_mask());
        break;
    case Effect::vector_mask_set:
        vectors().enable(written & vector_mask());
        break;
    case Effect::vector_mask_clear:
        vectors().disable(written);
        break;
    case Effect::vector_auto_clear:
        vectors().set_auto_clear(written & vector_mask());
        break;
    case Effect::vector_auto_mask:
        vectors().set_auto_mask(written & vector_mask());
        break;
    case Effect::throttle:
        vectors().set_interval(place.index, bits(written, 14, 2) * microsecond);
        break;
    case Effect::receive_control:
    case Effect::pool_enable:
        kick_transmit();
        kick_receive();
        break;
    case Effect::mailbox:
        if (offset >= p2vmailbox) {
            if (VirtualFunction* f = vf(place.index))
                f->physical_mailbox_write(written);
        } else if (VirtualFunction* f = vf(place.index / mailbox::dwords)) {
            f->message(place.index) = written;
        }
        break;
    case Effect::mailbox_cause:
    case Effect::reset_cause:
        regs().value(place) &= ~written;
        break;
    case Effect::rate:
        rate_[reg(rttdqsel) % queues] = written;
        break;
    case Effect::time:
        if (offset == timinca) {
            // What has passed so far passed at the old rate.
            regs().value(place) = before;
            const u64 now = system_time();
            regs().value(place) = written;
            time_base_ = now;
        } else {
            const u64 now = system_time();
            time_base_ = offset == systiml ? (now & ~low_mask(32)) | written : (now & low_mask(32)) | static_cast<u64>(written) << 32;
        }
        time_set_ = clock().now();
        break;
    default:
        break;
    }
}

u64 I82576::system_time() const {
    const u32 increment = reg(timinca);
    const u64 period = (increment >> 24) * 16ull;
    return period ? time_base_ + (clock().now() - time_set_) / period * (increment & 0xff'ffff) : time_base_;
}

// ---- interrupts -------------------------------------------------------------------------------------------------------------

void I82576::raise(u32 causes) {
    regs().at(icr) |= causes & ~cause_asserted;
    if (causes & reg(ims))
        other_vector();
    update_pin();
}

/// With several MSI-X vectors, ICR's causes share one.
void I82576::other_vector() {
    if (!msix()->enabled())
        return;
    const u32 entry = reg(ivar_misc) >> 8 & 0xff;
    if (entry & ivar_valid)
        vectors().raise(bit(entry & 31) & vector_mask());
}

/// Without MSI-X everything is one interrupt.
void I82576::update_pin() {
    if (msix()->enabled())
        return;
    const bool level = reg(icr) & reg(ims);
    if (level && !intx_level())
        msi()->trigger(0);
    set_intx(level);
}

void I82576::queue_event(unsigned queue, bool transmit) {
    const unsigned n = queue & 7;
    if (const unsigned pool = pool_of(queue); pools_on() && pool < Adapter::virtual_functions()) {
        VirtualFunction& f = *vf(pool);
        const u32 entry = f.regs().get(0x1700) >> ((queue >= 8 ? 16 : 0) + (transmit ? 8 : 0)) & 0xff;
        if (entry & ivar_valid && (entry & 3) < vf_vectors)
            f.vectors().raise(bit(entry & 3));
        return;
    }
    if (!msix()->enabled())
        return raise(transmit ? cause_txdw : cause_rxdw);
    const u32 entry = reg(ivar + 4 * n) >> ((queue >= 8 ? 16 : 0) + (transmit ? 8 : 0)) & 0xff;
    if (entry & ivar_valid)
        vectors().raise(bit(entry & 31) & vector_mask());
}

// ---- PHY --------------------------------------------------------------------------------------------------------------------

u16 I82576::phy_read(unsigned number) {
    u16 value = phy_[number];
    if (number == phy_status && link_)
        value |= phy_link | phy_negotiated;
    if (number == phy_port_status && !link_)
        value = 0;
    return value;
}

void I82576::phy_write(unsigned number, u16 value) {
    if (number == phy_status || number == phy_id1 || number == phy_id2 || number == phy_port_status)
        return;
    phy_[number] = value;
    if (number != phy_control)
        return;
    if (value & phy_reset)
        phy_[phy_control] = phy_values[phy_control];
    phy_[phy_control] &= static_cast<u16>(~phy_restart);
    if (value & (phy_reset | phy_restart))
        negotiate();
}

void I82576::negotiate() {
    if (link_) {
        link_ = false;
        raise(cause_lsc);
    }
    link_timer_.arm(clock().now() + negotiation_time);
}

void I82576::link_came() {
    link_ = true;
    count_link_change();
    glass().tell(Topic::vtc, "link-up", {{"adapter", name()}});
    raise(cause_lsc);
}

void I82576::chip_reset() {
    const auto& values = phy_values;
    std::copy(std::begin(values), std::end(values), phy_.begin());
    rate_.fill(0);
    time_base_ = 0;
    time_set_ = clock().now();
    // The link survives a reset of the MAC, unless it has never been there.
    if (!link_)
        link_timer_.arm(clock().now() + negotiation_time);
    const Mac mac = address();
    u32 low = 0;
    for (unsigned i = 0; i < 4; ++i)
        low |= static_cast<u32>(mac >> (40 - 8 * i) & 0xff) << (8 * i);
    regs().at(ra) = low;
    regs().at(ra + 4) = rah_valid | static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
}

// ---- rules ------------------------------------------------------------------------------------------------------------------

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
    u32 low = 0;
    for (unsigned i = 0; i < 4; ++i)
        low |= static_cast<u32>(mac >> (40 - 8 * i) & 0xff) << (8 * i);
    const u32 high = static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
    std::optional<u64> found;
    const auto look = [&](u32 at) {
        const u32 h = reg(at + 4);
        if ((h & rah_valid) && reg(at) == low && (h & 0xffff) == high)
            found = found.value_or(0) | (h >> 18 & 0xff);
    };
    for (unsigned n = 0; n < 16; ++n)
        look(ra + 8 * n);
    for (unsigned n = 0; n < 8; ++n)
        look(ra2 + 8 * n);
    return found;
}

bool I82576::hashed(Mac mac) const {
    static constexpr unsigned shifts[] = {4, 3, 2, 0};
    const u32 last = static_cast<u32>(mac >> 8 & 0xff) | static_cast<u32>(mac & 0xff) << 8;
    const u32 hash = last >> shifts[reg(rctl) >> 12 & 3] & 0xfff;
    return reg((is_group(mac) ? mta : uta) + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

bool I82576::vlan_known(u16 vlan) const { return reg(vfta + 4 * (vlan >> 5)) >> (vlan & 31) & 1; }

u64 I82576::vlan_pools(u16 vlan) const {
    u64 found = 0;
    for (unsigned n = 0; n < 32; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (v >> 31) && (v & 0xfff) == vlan)
            found |= v >> 12 & 0xff;
    return found;
}

bool I82576::vlan_in_entries(u16 vlan, u64 entries) const {
    for (unsigned n = 0; n < 32; ++n)
        if (const u32 v = reg(vlvf + 4 * n); (entries >> n & 1) && (v >> 31) && (v & 0xfff) == vlan)
            return true;
    return false;
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

std::array<u8, 40> I82576::hash_key() const {
    std::array<u8, 40> key{};
    for (unsigned n = 0; n < 40; ++n)
        key[n] = static_cast<u8>(reg(rssrk + (n & ~3u)) >> (8 * (n & 3)));
    return key;
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
    const u32 r = rate_[queue];
    return r >> 31 ? bytes * 8 * (r & 0xff'ffff) >> 14 : 0;
}

// ---- virtual functions ------------------------------------------------------------------------------------------------------

/// A VF has two queues: number n and n+8 of the adapter.
std::optional<u32> I82576::ring_of_vf(unsigned vf, u32 offset) const {
    for (const bool transmit : {false, true}) {
        const u32 base = transmit ? vf_tx : vf_rx;
        if (offset >= base && offset < base + 2 * vf_ring_step && (offset & (vf_ring_step - 1)) < ring::size) {
            const unsigned queue = vf + 8 * ((offset - base) / vf_ring_step);
            return (transmit ? transmit_ring(queue) : receive_ring(queue)) + (offset & (ring::size - 1));
        }
    }
    return std::nullopt;
}

u32 I82576::vf_read(VirtualFunction& f, u32 offset) {
    if (const auto at = ring_of_vf(f.index(), offset))
        return read_register(*at);
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
        glass().odd(Topic::vtc, "register.unknown-read", {{"adapter", f.name()}, {"offset", offset}});
        return 0;
    }
    const u32 stored = f.regs().value(place);
    const PoolCounters& c = counters(f.index());
    switch (place.row->effect) {
    case Effect::control:
        return stored & ~0x04000000u;
    case Effect::status:
        return read_register(status) & ~static_cast<u32>(status_bits.master_enable.mask());
    case Effect::free_running:
        return static_cast<u32>(clock().now() / microsecond);
    case Effect::mailbox:
        return offset == 0x0c40 ? f.mailbox_read() : f.message(place.index);
    case Effect::vector_cause: {
        const u32 value = static_cast<u32>(f.vectors().cause());
        f.vectors().clear(value);
        return value;
    }
    case Effect::vector_mask_set:
        return static_cast<u32>(f.vectors().enabled());
    case Effect::vector_auto_clear:
        return static_cast<u32>(f.vectors().auto_clear());
    case Effect::vector_auto_mask:
        return static_cast<u32>(f.vectors().auto_mask());
    default:
        break;
    }
    switch (offset) {
    case 0x0f10:
        return static_cast<u32>(c.rx_frames);
    case 0x0f14:
        return static_cast<u32>(c.tx_frames);
    case 0x0f18:
        return static_cast<u32>(c.rx_bytes);
    case 0x0f34:
        return static_cast<u32>(c.tx_bytes);
    case 0x0f3c:
        return static_cast<u32>(c.rx_multicast);
    case 0x0f44:
        return static_cast<u32>(c.looped);
    default:
        return stored;
    }
}

void I82576::vf_write(VirtualFunction& f, u32 offset, u32 value) {
    if (const auto at = ring_of_vf(f.index(), offset))
        return write_register(*at, value);
    const Bank::Place place = f.regs().find(offset);
    if (!place.row) {
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
        if (offset == 0x0c40)
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
        f.vectors().set_interval(place.index, bits(value, 14, 2) * microsecond);
        break;
    default:
        break;
    }
}

void I82576::vf_mail(unsigned n, bool request) {
    regs().at(mbvficr) |= static_cast<u32>(bit(request ? n : 16 + n));
    if (reg(mbvfimr) >> n & 1)
        raise(cause_vmmb);
}

void I82576::vf_was_reset(unsigned n) {
    // It neither sends nor receives until the PF lets it again.
    regs().at(vfre) &= ~static_cast<u32>(bit(n));
    regs().at(vfte) &= ~static_cast<u32>(bit(n));
    reset_queues(n, 2, 8);
    regs().at(mbvficr) &= ~static_cast<u32>(bit(n) | bit(16 + n));
    regs().at(vflre) |= static_cast<u32>(bit(n));
    if (n < Adapter::virtual_functions())
        raise(cause_vmmb);
}

void I82576::vf_other_cause(VirtualFunction& f) {
    const u32 entry = f.regs().get(0x1740) & 0xff;
    if (entry & ivar_valid && (entry & 3) < vf_vectors)
        f.vectors().raise(bit(entry & 3));
}

// ---- state ------------------------------------------------------------------------------------------------------------------

void I82576::chip_state(Visitor& v) {
    v.field("link timer", link_timer_);
    v.field("link", link_);
    v.field("phy", phy_);
    v.field("rate", rate_);
    v.field("time base", time_base_);
    v.field("time set", time_set_);
}

std::string I82576::describe() const {
    return fmt::format("{}: Intel 82576 {}, link {}, 1000 Mb/s full duplex; {} of {} virtual functions; {} interrupts, {} frames missed\n", name(),
                       mac_text(address()), link_ ? "up" : "down", Adapter::virtual_functions(), chip().vfs, interrupts(), missed());
}

} // namespace vitrine::vtc
