// SPDX-License-Identifier: Apache-2.0
// Virtio network adapters: their two queues (Virtio 1.1, Network Device). What they are connected to is a NetworkPort.
#include "pane/virtio/network.h"

#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

constexpr u32 header_size = 12;
constexpr u8 header[header_size]{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}; // no offloads; num_buffers: all of it is in one

} // namespace

bool network_receive(VirtioDevice& d, const u8* frame, u32 size) {
    Guest& g = d.guest();
    Queue& q = d.queue(network_receive_queue);
    Chain chain;
    const Queue::Next next = d.ready() && q.ready && g.alive() ? q.next(g, chain) : Queue::Next::empty;
    if (next == Queue::Next::broken) {
        d.broken("the receive queue is damaged");
        return false;
    }
    if (next == Queue::Next::empty) {
        ++d.dropped;
        return false;
    }
    const bool fits = chain.writable() >= header_size + size;
    const u32 written = fits ? chain.write(0, header, header_size) + chain.write(header_size, frame, size) : 0;
    if (!q.give_back(g, chain, written)) {
        d.broken("the receive queue's used ring is no memory");
        return false;
    }
    if (!fits) {
        ++d.dropped;
        return false;
    }
    d.bytes_in += size;
    ++d.received;
    return true;
}

void network_tell(VirtioDevice& d) {
    Queue& q = d.queue(network_receive_queue);
    if (q.ready && q.wants_interrupt(d.guest()))
        d.interrupt();
}

void network_send(VirtioDevice& d, const NetworkPort& port) {
    Guest& g = d.guest();
    Queue& q = d.queue(network_transmit_queue);
    Chain chain;
    bool some = false;
    for (unsigned n = 0; n < Queue::batch; ++n) {
        u8* const room = port.room(d);
        const Queue::Next next = room ? q.next(g, chain) : Queue::Next::empty;
        if (next == Queue::Next::broken)
            return d.broken("the transmit queue is damaged");
        if (next == Queue::Next::empty)
            break;
        const u32 readable = chain.readable(), size = readable - header_size;
        if (readable >= header_size + smallest_frame && size <= largest_frame &&
            chain.read(header_size, room, size) == size && port.send(d, size)) {
            d.bytes_out += size;
            ++d.sent;
        } else {
            ++d.dropped; // too short, too long, or in another's name
        }
        if (!q.give_back(g, chain, 0))
            return d.broken("the transmit queue's used ring is no memory");
        some = true;
    }
    port.flush(d);
    if (some && q.wants_interrupt(g))
        d.interrupt();
}

} // namespace vitrine::pane
