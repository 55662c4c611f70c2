// SPDX-License-Identifier: Apache-2.0
// The 82576: what its registers do.
#include "vtc/i82576.h"

#include "pci/msi.h"
#include "pci/msix.h"
#include "vtc/spec/common.h"
#include "vtc/spec/i82576.h"
#include "vtc/virtual_function.h"

#include <algorithm>

#include <fmt/format.h>

namespace vitrine::vtc {

using namespace i82576;

namespace {

constexpr VfCounter vf_counters[] = {
    {0x0f10, &PoolCounters::rx_frames}, {0x0f14, &PoolCounters::tx_frames},    {0x0f18, &PoolCounters::rx_bytes},
    {0x0f34, &PoolCounters::tx_bytes},  {0x0f3c, &PoolCounters::rx_multicast}, {0x0f44, &PoolCounters::looped},
};

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
    .cause_link = cause_lsc,
    .negotiation_time = I82576::negotiation_time,
    .throttle_low = 2,
    .throttle_high = 14,
    .throttle_unit = 1000,
    .time_low = systiml,
    .time_high = systimh,
    .time_increment = timinca,
    .time_unit = 160,
    .receive_stamp_control = tsyncrxctl,
    .receive_stamp_low = rxstmpl,
    .receive_stamp_high = rxstmph,
    .transmit_stamp_control = tsynctxctl,
    .transmit_stamp_low = txstmpl,
    .transmit_stamp_high = txstmph,
    .stamped_messages = tsyncrxcfg,
    .rate_select = rttdqsel,
    .receive_address = ra,
    .multicast_table = mta,
    .unicast_table = uta,
    .vlan_table = vfta,
    .vlan_pools = vlvf,
    .vlan_entries = 32,
    .hash_key = rssrk,
    .vf_counters = vf_counters,
};

constexpr u32 vf_ring_step = 0x100, vf_rx = 0x2800, vf_tx = 0x3800;
constexpr u32 vf_ivar = 0x1700, vf_ivar_misc = 0x1740;

} // namespace

I82576::I82576(const pci::Platform& platform, Clock& clock, Options options)
    : Adapter(platform, clock, chip_82576, options, make_nvm_82576(options.mac)) {}

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

u32 I82576::read_effect(const Bank::Place& place, u32, u32 stored) {
    switch (place.row->effect) {
    case Effect::status: {
        u32 value = stored | static_cast<u32>(status_bits.fd.mask());
        if (is_link_up())
            value |= static_cast<u32>(status_bits.lu.mask());
        if (!ctrl_bits.master_disable(reg(ctrl)))
            value |= static_cast<u32>(status_bits.master_enable.mask());
        return value;
    }
    case Effect::nvm_control:
        return stored | eecd_present | eecd_auto_read_done | eecd_size | (stored & eecd_request ? eecd_grant : 0);
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
    default:
        return stored;
    }
}

void I82576::write_effect(const Bank::Place& place, u32, u32 before, u32 written) {
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
    case Effect::cause:
        regs().value(place) &= ~written;
        update_pin();
        break;
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
        set_interval(vectors(), place.index, written);
        break;
    case Effect::reset_cause:
        regs().value(place) &= ~written;
        break;
    default:
        break;
    }
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
        const u32 entry = f.regs().get(vf_ivar) >> ((queue >= 8 ? 16 : 0) + (transmit ? 8 : 0)) & 0xff;
        if (entry & ivar_valid && (entry & 3) < vf_vectors) {
            tell_cause(f, queue, transmit, entry & 3);
            f.vectors().raise(bit(entry & 3));
        }
        return;
    }
    if (!msix()->enabled())
        return raise(transmit ? cause_txdw : cause_rxdw);
    const u32 entry = reg(ivar + 4 * n) >> ((queue >= 8 ? 16 : 0) + (transmit ? 8 : 0)) & 0xff;
    if (entry & ivar_valid) {
        tell_cause(*this, queue, transmit, entry & 31);
        vectors().raise(bit(entry & 31) & vector_mask());
    }
}

// ---- PHY --------------------------------------------------------------------------------------------------------------------

u16 I82576::phy_read(unsigned number) {
    u16 value = phy_[number];
    if (number == phy_status && is_link_up())
        value |= phy_link | phy_negotiated;
    if (number == phy_port_status && !is_link_up())
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

void I82576::chip_reset() {
    const auto& values = phy_values;
    std::copy(std::begin(values), std::end(values), phy_.begin());
    reset_link(true); // a reset of the MAC does not concern the PHY
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

u32 I82576::vf_read_effect(Effect effect, u32 stored) {
    return effect == Effect::status ? read_register(status) & ~static_cast<u32>(status_bits.master_enable.mask()) : stored;
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
    const u32 entry = f.regs().get(vf_ivar_misc) & 0xff;
    if (entry & ivar_valid && (entry & 3) < vf_vectors)
        f.vectors().raise(bit(entry & 3));
}

// ---- state ------------------------------------------------------------------------------------------------------------------

void I82576::chip_state(Visitor& v) { v.field("phy", phy_); }

std::string I82576::describe() const {
    return fmt::format("{}: Intel 82576 {}, link {}, 1000 Mb/s full duplex; {} of {} virtual functions; {} interrupts, {} frames missed\n", name(),
                       mac_text(address()), is_link_up() ? "up" : "down", Adapter::virtual_functions(), chip().vfs, interrupts(), missed());
}

} // namespace vitrine::vtc
