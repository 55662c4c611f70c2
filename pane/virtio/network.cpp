// SPDX-License-Identifier: Apache-2.0
// A virtio network adapter for each guest that has one, and the switch between them (Virtio 1.1, Network Device).
#include "pane/guest/guest.h"

#include <cstring>

namespace vitrine::pane {

namespace {

constexpr unsigned receive_queue = 0, transmit_queue = 1, slot = 2;
constexpr u64 version_1 = 1ull << 32, has_mac = 1 << 5;
constexpr u32 header_size = 12, smallest = 14, largest = 1514;

struct Mac {
    u8 bytes[6];

    bool operator==(const Mac&) const = default;
    bool group() const { return bytes[0] & 1; }
};

/// Locally administered, and known to the switch: it has nothing to learn.
Mac mac_of(const Guest& g) { return {{0x52, 0x54, 0x00, 0x50, 0x41, static_cast<u8>(g.number + 1)}}; }

struct Frame {
    u8 data[header_size + largest];
    u32 size; ///< without the header
};

void receive(VirtioDevice& d, const Frame& frame) {
    Guest& g = d.guest();
    Queue& q = d.queue(receive_queue);
    Chain chain;
    const Queue::Next next = d.ready() && q.ready && g.alive() ? q.next(g, chain) : Queue::Next::empty;
    if (next == Queue::Next::broken)
        return d.broken("the receive queue is damaged");
    if (next == Queue::Next::empty) {
        ++d.dropped;
        return;
    }
    const u32 size = header_size + frame.size;
    const bool fits = chain.writable() >= size;
    const u32 written = fits ? chain.write(0, frame.data, size) : 0;
    if (!q.give_back(g, chain, written))
        return d.broken("the receive queue's used ring is no memory");
    if (!fits) {
        ++d.dropped;
        return;
    }
    d.bytes_in += frame.size;
    ++d.received;
    if (q.wants_interrupt(g))
        d.interrupt();
}

/// To the guest whose address it is, or to all when it is for a group or nobody's.
void forward(const Guest& from, const Frame& frame) {
    Mac to;
    memcpy(&to, frame.data + header_size, sizeof to);
    for (unsigned n = 0; n < guest_count; ++n) {
        Guest& g = *guests[n];
        if (&g != &from && g.virtio[slot].kind() && (to.group() || to == mac_of(g)))
            receive(g.virtio[slot], frame);
    }
}

void notified(VirtioDevice& d, unsigned queue) {
    if (queue != transmit_queue)
        return;
    Guest& g = d.guest();
    Chain chain;
    Frame frame{};
    bool some = false;
    for (unsigned n = 0; n < Queue::batch; ++n) {
        const Queue::Next next = d.queue(queue).next(g, chain);
        if (next == Queue::Next::broken)
            return d.broken("the transmit queue is damaged");
        if (next == Queue::Next::empty)
            break;
        const u32 size = chain.readable();
        Mac source{};
        chain.read(header_size + sizeof source, &source, sizeof source);
        if (size >= header_size + smallest && size <= header_size + largest && source == mac_of(g)) {
            frame.size = size - header_size;
            chain.read(header_size, frame.data + header_size, frame.size);
            frame.data[10] = 1; // num_buffers: all of it is in one
            d.bytes_out += frame.size;
            ++d.sent;
            forward(g, frame);
        } else {
            ++d.dropped; // too short, too long, or in another's name
        }
        if (!d.queue(queue).give_back(g, chain, 0))
            return d.broken("the transmit queue's used ring is no memory");
        some = true;
    }
    if (some && d.queue(queue).wants_interrupt(g))
        d.interrupt();
}

u8 config(const VirtioDevice& d, u32 offset) { return offset < 6 ? mac_of(d.guest()).bytes[offset] : 0; }

} // namespace

constinit const VirtioKind virtio_network{"network", 1, 2, version_1 | has_mac, notified, config};

} // namespace vitrine::pane
