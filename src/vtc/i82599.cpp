// SPDX-License-Identifier: Apache-2.0
// The 82599: what its registers do.
#include "vtc/i82599.h"

#include "pci/msi.h"
#include "pci/msix.h"
#include "vtc/spec/common.h"
#include "vtc/spec/descriptors.h"
#include "vtc/spec/i82599.h"
#include "vtc/virtual_function.h"

#include <algorithm>

#include <fmt/format.h>

namespace vitrine::vtc {

using namespace i82599;

namespace {

constexpr VfCounter vf_counters[] = {
    {0x101c, &PoolCounters::rx_frames},    {0x1020, &PoolCounters::rx_bytes},  {0x1024, &PoolCounters::rx_bytes, 32},
    {0x1034, &PoolCounters::rx_multicast}, {0x201c, &PoolCounters::tx_frames}, {0x2020, &PoolCounters::tx_bytes},
    {0x2024, &PoolCounters::tx_bytes, 32},
};

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
    .cause_link = cause_link,
    .negotiation_time = I82599::negotiation_time,
    .throttle_low = 3,
    .throttle_high = 11,
    .throttle_unit = 2048, // at 10 Gb/s
    .time_low = systiml,
    .time_high = systimh,
    .time_increment = timinca,
    .time_unit = 64,
    .receive_stamp_control = tsyncrxctl,
    .receive_stamp_low = rxstmpl,
    .receive_stamp_high = rxstmph,
    .transmit_stamp_control = tsynctxctl,
    .transmit_stamp_low = txstmpl,
    .transmit_stamp_high = txstmph,
    .stamped_messages = rxmtrl,
    .rate_select = rttdqsel,
    .receive_address = ra,
    .multicast_table = mta,
    .unicast_table = uta,
    .vlan_table = vfta,
    .vlan_pools = vlvf,
    .vlan_entries = 64,
    .hash_key = rssrk,
    .vf_counters = vf_counters,
};

constexpr u32 vf_rx = 0x1000, vf_tx = 0x2000, vf_ivar = 0x0120, vf_ivar_misc = 0x0140;

} // namespace

I82599::I82599(const pci::Platform& platform, Clock& clock, Options options)
    : Adapter(platform, clock, chip_82599, options, make_nvm_82599(options.mac)) {}

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

// ---- registers --------------------------------------------------------------------------------------------------------------

u32 I82599::read_effect(const Bank::Place& place, u32, u32 stored) {
    switch (place.row->effect) {
    case Effect::status:
        return stored | (is_link_up() ? status_link_up : 0) | (ctrl_bits.master_disable(reg(ctrl)) ? 0 : status_master_enable);
    case Effect::nvm_control:
        return stored | eec_present | eec_auto_read_done | eec_size | (stored & eec_request ? eec_grant : 0);
    case Effect::i2c:
        return (stored & (i2c_clock_out | i2c_data_out)) | (module_.clock ? i2c_clock_in : 0) | (module_.data && module_.slave ? i2c_data_in : 0);
    case Effect::link:
        return is_link_up() ? links_up | links_10g | links_kx_aligned : 0;
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
    default:
        return stored;
    }
}

void I82599::write_effect(const Bank::Place& place, u32 offset, u32, u32 written) {
    const u64 shifted = static_cast<u64>(written) << (32 * (place.index & 1));
    switch (place.row->effect) {
    case Effect::control:
        if (ctrl_bits.rst(written) || ctrl_bits.link_reset(written)) {
            glass().tell(Topic::vtc, "reset", {{"adapter", name()}});
            reset_core();
            chip_reset();
        }
        break;
    case Effect::i2c:
        module_.move(written & i2c_clock_out, written & i2c_data_out);
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
            set_interval(vectors(), n, written);
        break;
    }
    case Effect::reset_cause:
        regs().at(place.index ? pfvflre1 : pfvflre0) &= ~written;
        break;
    case Effect::queue_drop:
        if (written >> 16 & 1)
            drops_[written >> 8 & 127] = written & 1;
        break;
    case Effect::flow_director:
        if (flows_.written(offset, written))
            raise(cause_flow_director);
        break;
    default:
        break;
    }
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
        vectors().raise_unmasked(bit(entry & 63));
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
        if ((entry & ivar_valid) && (entry & 3) < vf_vectors) {
            tell_cause(f, queue, transmit, entry & 3);
            f.vectors().raise(bit(entry & 3));
        }
        return;
    }
    const u32 entry = reg(ivar + 4 * (queue / 2)) >> (16 * (queue & 1) + (transmit ? 8 : 0)) & 0xff;
    if (!(entry & ivar_valid))
        return;
    const unsigned vector = entry & (msix()->enabled() ? 63 : 15);
    tell_cause(*this, queue, transmit, vector);
    vectors().raise(bit(vector));
    update_pin();
}

// ---- reset -----------------------------------------------------------------------------------------------------------------

void I82599::chip_reset() {
    drops_.fill(false);
    flows_.reset();
    module_.reset();
    set_auto_clear();
    regs().at(mpsar) = 1;
    reset_link(false);
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

u32 I82599::vf_read_effect(Effect effect, u32 stored) {
    if (effect == Effect::status)
        return is_link_up() ? status_link_up : 0;
    if (effect == Effect::link)
        return is_link_up() ? links_up | links_10g : 0;
    return stored;
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
    v.field("module", module_);
    v.field("drops", drops_);
    v.field("flows", flows_);
}

std::string I82599::describe() const {
    return fmt::format("{}: Intel 82599 {}, link {}, 10 Gb/s; {} of {} virtual functions; {} interrupts, {} frames missed\n", name(),
                       mac_text(address()), is_link_up() ? "up" : "down", Adapter::virtual_functions(), chip().vfs, interrupts(), missed());
}

} // namespace vitrine::vtc
