// SPDX-License-Identifier: Apache-2.0
// A virtio disk on the guest's own copy of a boot module (Virtio 1.1, Block Device).
#include "pane/guest/guest.h"

#include <cstring>

namespace vitrine::pane {

namespace {

constexpr u64 version_1 = 1ull << 32, flush = 1 << 9;
constexpr u64 sector_size = 512;

enum RequestType : u32 { in = 0, out = 1, flush_request = 4, get_id = 8 };
enum Status : u8 { ok = 0, io_error = 1, unsupported = 2 };

struct Header {
    u32 type, reserved;
    u64 sector;
};

/// The status, and in `written` how many bytes of the chain were written before it.
Status serve(VirtioDevice& d, const Chain& chain, u32& written) {
    Guest& g = d.guest();
    Header h{};
    if (chain.read(0, &h, sizeof h) != sizeof h)
        return io_error;
    const u32 room = chain.writable() - 1; // the last byte is the status
    auto* disk = reinterpret_cast<u8*>(g.disk);
    const auto inside = [&](u64 size) {
        return h.sector < g.disk_size / sector_size && size <= g.disk_size - h.sector * sector_size && size % sector_size == 0;
    };
    switch (h.type) {
    case in:
        if (!inside(room))
            return io_error;
        written = chain.write(0, disk + h.sector * sector_size, room);
        d.bytes_in += written;
        return ok;
    case out: {
        const u32 size = chain.readable() - sizeof h;
        if (!inside(size))
            return io_error;
        d.bytes_out += chain.read(sizeof h, disk + h.sector * sector_size, size);
        return ok;
    }
    case flush_request: return ok; // memory is all there is
    case get_id: {
        char id[20] = "pane";
        written = chain.write(0, id, room < sizeof id ? room : sizeof id);
        return ok;
    }
    default: return unsupported;
    }
}

void notified(VirtioDevice& d, unsigned queue) {
    Guest& g = d.guest();
    Chain chain;
    bool some = false;
    for (unsigned n = 0; n < Queue::batch; ++n) {
        const Queue::Next next = d.queue(queue).next(g, chain);
        if (next == Queue::Next::broken)
            return d.broken("the request queue is damaged");
        if (next == Queue::Next::empty)
            break;
        if (chain.writable() == 0)
            return d.broken("a request has no room for its status");
        u32 written = 0;
        const u8 status = serve(d, chain, written);
        chain.write(chain.writable() - 1, &status, 1);
        ++d.sent;
        if (!d.queue(queue).give_back(g, chain, written + 1))
            return d.broken("the used ring is no memory");
        some = true;
    }
    if (some && d.queue(queue).wants_interrupt(g))
        d.interrupt();
}

/// The configuration begins with the capacity in sectors.
u8 config(const VirtioDevice& d, u32 offset) {
    return offset < 8 ? static_cast<u8>(d.guest().disk_size / sector_size >> 8 * offset) : 0;
}

} // namespace

constinit const VirtioKind virtio_block{"disk", 2, 1, version_1 | flush, notified, config};

} // namespace vitrine::pane
