// SPDX-License-Identifier: Apache-2.0
// A virtio console: the guest's hvc0 (Virtio 1.1, Console Device).
#include "pane/console/console.h"
#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

constexpr unsigned receive_queue = 0, transmit_queue = 1;
constexpr u64 version_1 = 1ull << 32;

// The serial port is slow, and nobody runs Pane's code meanwhile: drivers send a line at a time, and the rest of a flood is dropped.
constexpr unsigned most_chains = 16;
constexpr u32 most_characters = 4096;

void notified(VirtioDevice& d, unsigned queue) {
    if (queue != transmit_queue)
        return; // room for keys: used when one is pressed
    Guest& g = d.guest();
    Chain chain;
    bool some = false;
    for (unsigned n = 0; n < most_chains; ++n) {
        const Queue::Next next = d.queue(queue).next(g, chain);
        if (next == Queue::Next::broken)
            return d.broken("the transmit queue is damaged");
        if (next == Queue::Next::empty)
            break;
        const u32 size = chain.readable();
        for (u32 at = 0; at < size && at < most_characters; ++at) {
            char c;
            chain.read(at, &c, 1);
            console_write(g, c);
        }
        d.bytes_out += size;
        ++d.sent;
        if (!d.queue(queue).give_back(g, chain, 0))
            return d.broken("the transmit queue's used ring is no memory");
        some = true;
    }
    if (some && d.queue(queue).wants_interrupt(g))
        d.interrupt();
}

} // namespace

constinit const VirtioKind virtio_console{"console", 3, 2, version_1, notified, [](const VirtioDevice&, u32) -> u8 { return 0; }};

bool virtio_console_receive(Guest& g, u8 c) {
    VirtioDevice& d = g.virtio[0];
    Chain chain;
    if (!d.ready() || d.queue(receive_queue).next(g, chain) != Queue::Next::chain)
        return false;
    const u32 written = chain.write(0, &c, 1);
    d.bytes_in += written;
    ++d.received;
    if (!d.queue(receive_queue).give_back(g, chain, written)) {
        d.broken("the receive queue's used ring is no memory");
        return false;
    }
    d.interrupt();
    return true;
}

} // namespace vitrine::pane
