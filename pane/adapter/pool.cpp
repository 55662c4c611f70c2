// SPDX-License-Identifier: Apache-2.0
// Rings of advanced descriptors with one buffer each. (82576 and 82599 datasheets, Receive and Transmit Descriptors.)
#include "pane/adapter/pool.h"

#include "pane/adapter/port.h"
#include "pane/guest/guest.h"
#include "vtc/spec/descriptors.h"

namespace vitrine::pane {

namespace {

// A ring's registers from its first one on, the same in both chips.
constexpr u32 base_low = 0x00, base_high = 0x04, length = 0x08, tail = 0x18, queue_control = 0x28;
constexpr u32 write_back_low = 0x38, write_back_high = 0x3c, ring_step = 0x40;
constexpr u64 enable_time = 10'000; ///< microseconds; the datasheets know no bound

// Relaxed ordering of descriptors' write-back would let a descriptor overtake its data.
constexpr u32 receive_relaxed_ordering = 1u << 13 | 1u << 15, transmit_relaxed_ordering = 1u << 11;

constexpr u32 advanced_one_buffer = 1;
constexpr u32 type_data = static_cast<u32>(vtc::TxType::data) << 20,
              type_context = static_cast<u32>(vtc::TxType::context) << 20;
constexpr u32 ethernet_header = 14;
constexpr u32 insert_always = 1u << 30; ///< VMVIR

} // namespace

void Pool::start(Port& port, unsigned pool, u64 memory, unsigned entry, u16 on_vlan) {
    const Chip& c = *port.chip;
    port_ = &port;
    memory_ = memory;
    number = pool;
    vlan = on_vlan;
    entry_ = entry;
    queue_ = pool * c.queues_a_pool;
    receive_registers_ =
        queue_ < 64 ? c.receive_rings + queue_ * ring_step : c.receive_rings_from_64 + (queue_ - 64) * ring_step;
    transmit_registers_ = c.transmit_rings + queue_ * ring_step;
    address = port.address_of(pool);
    for (unsigned n = 0; n < descriptors; ++n)
        fill(n);

    const auto ring = [&](u32 at, u64 address_of_ring) {
        port.write(at + base_low, static_cast<u32>(address_of_ring));
        port.write(at + base_high, static_cast<u32>(address_of_ring >> 32));
        port.write(at + length, ring_size);
    };
    const u32 rx = receive_registers_, tx = transmit_registers_;
    ring(rx, memory_);
    port.change(rx + c.receive_dca, 0, receive_relaxed_ordering);
    port.write(rx + c.split_receive_control, static_cast<u32>(vtc::srrctl.packet_size.with(0, buffer_size / 1024)) |
                                                 static_cast<u32>(vtc::srrctl.type.with(0, advanced_one_buffer)) |
                                                 c.split_drop);
    port.change(rx + queue_control, vtc::queue_enabled | (vlan ? c.vlan_strip : 0));
    if (!port.wait(rx + queue_control, vtc::queue_enabled, vtc::queue_enabled, enable_time))
        panic("the adapter's receive queue {} does not start", queue_);
    port.write(rx + tail, descriptors - 1);

    ring(tx, memory_ + ring_size);
    port.write(tx + write_back_low, 0);
    port.write(tx + write_back_high, 0);
    port.change(tx + c.transmit_dca, 0, transmit_relaxed_ordering);
    port.change(tx + queue_control, vtc::queue_enabled);
    if (!port.wait(tx + queue_control, vtc::queue_enabled, vtc::queue_enabled, enable_time))
        panic("the adapter's transmit queue {} does not start", queue_);
    // The context that all frames refer to: where the switch finds the addresses.
    volatile Descriptor& context = transmit_ring()[0];
    context.words[0] = static_cast<u32>(vtc::tx_context0.mac_length.with(0, ethernet_header));
    context.words[1] = 0;
    context.words[2] = vtc::tx_extension | type_context;
    context.words[3] = 0;
    next_sent_ = oldest_sent_ = told_ = 1;
    port.write(tx + tail, next_sent_);

    c.route(port, queue_, entry_, -1);
    port.write(c.pool_control + 4 * pool, pool_takes::broadcasts | pool_takes::all_multicast |
                                              (vlan ? 0 : pool_takes::untagged) |
                                              (vlan && !c.vlan_strip ? pool_takes::strip_vlan : 0));
    port.write(c.pool_vlan + 4 * pool, vlan ? insert_always | vlan : 0);
    if (vlan && !filter_vlan(port, pool, vlan, true))
        panic("the adapter has no room for VLAN {}", vlan);
    filter_address(port, Port::first_address + pool, address, bit(pool));
    port.change(c.anti_spoofing + 4 * (pool / 8), 0x101u << pool % 8);
    pool_enable(port, pool, true);
}

void Pool::fill(unsigned n) {
    volatile Descriptor& d = receive_ring()[n];
    const u64 at = receive_buffer(n);
    d.words[0] = static_cast<u32>(at);
    d.words[1] = static_cast<u32>(at >> 32);
    d.words[2] = 0; // a header address that is not used, and whose place the status takes
    d.words[3] = 0;
}

bool Pool::is_of(const VirtioDevice& d) const {
    return &d.guest() == guests[guest_number] && &d - d.guest().virtio == Guest::first_network + network;
}

VirtioDevice* Pool::device() const {
    Guest* g = guests[guest_number];
    VirtioDevice* d = g ? &g->virtio[Guest::first_network + network] : nullptr;
    return d && d->kind() ? d : nullptr;
}

bool Pool::receive() {
    VirtioDevice* const to = device();
    unsigned done = 0;
    for (; done < batch; ++done) {
        volatile Descriptor& d = receive_ring()[next_received_];
        const u32 status = d.words[2];
        if (!(status & vtc::rx_done))
            break;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        const u32 size = d.words[3] & 0xffff;
        const bool whole = (status & vtc::rx_end_of_packet) && !(status & port_->chip->frame_errors) &&
                           size >= smallest_frame && size <= buffer_size;
        if (whole) {
            ++received;
            received_bytes += size;
            if (to)
                network_receive(*to, reinterpret_cast<const u8*>(receive_buffer(next_received_)), size);
        } else {
            ++damaged;
        }
        fill(next_received_);
        next_received_ = (next_received_ + 1) % descriptors;
    }
    if (done) {
        __atomic_thread_fence(__ATOMIC_RELEASE);
        port_->write(receive_registers_ + tail, (next_received_ + descriptors - 1) % descriptors);
        if (to)
            network_tell(*to);
    }
    return done == batch;
}

void Pool::listen(bool on) {
    if (on != deaf_)
        return;
    deaf_ = !on;
    const u32 its = 1u << number % 32;
    port_->change(port_->chip->pool_receive_enable + 4 * (number / 32), on ? its : 0, on ? 0 : its);
}

void Pool::reap() {
    while (oldest_sent_ != told_ && (transmit_ring()[oldest_sent_].words[3] & vtc::tx_done))
        oldest_sent_ = (oldest_sent_ + 1) % descriptors;
}

u8* Pool::room() {
    const auto full = [this] { return (next_sent_ + 1) % descriptors == oldest_sent_; };
    if (full())
        reap();
    if (full()) {
        flush();
        waiting_ = true;
        ++waits;
        port_->chip->route(*port_, queue_, entry_, static_cast<int>(entry_));
        reap(); // what was done before the interrupt could tell
        if (full())
            return nullptr;
    }
    if (waiting_) {
        waiting_ = false;
        port_->chip->route(*port_, queue_, entry_, -1);
    }
    return reinterpret_cast<u8*>(transmit_buffer(next_sent_));
}

void Pool::send(u32 size) {
    volatile Descriptor& d = transmit_ring()[next_sent_];
    const u64 at = transmit_buffer(next_sent_);
    d.words[0] = static_cast<u32>(at);
    d.words[1] = static_cast<u32>(at >> 32);
    d.words[2] =
        size | vtc::tx_end_of_packet | vtc::tx_insert_fcs | vtc::tx_report_status | vtc::tx_extension | type_data;
    d.words[3] = size << vtc::tx_payload_shift | port_->chip->check_context;
    next_sent_ = (next_sent_ + 1) % descriptors;
    ++sent;
    sent_bytes += size;
}

void Pool::flush() {
    if (told_ == next_sent_)
        return;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    told_ = next_sent_;
    port_->write(transmit_registers_ + tail, told_);
}

void Pool::resume() {
    if (!waiting_)
        return;
    VirtioDevice* const from = device();
    if (from && from->ready() && from->queue(network_transmit_queue).ready && from->guest().alive())
        from->kind()->notified(*from, network_transmit_queue);
}

} // namespace vitrine::pane
