// SPDX-License-Identifier: Apache-2.0
// Walks a split virtqueue in guest memory. A loop, an address outside the guest, a bad length: the queue is broken, not Pane.
#include "pane/virtio/queue.h"

#include "pane/guest/guest.h"

#include <cstring>

namespace vitrine::pane {

namespace {

struct Descriptor {
    u64 address;
    u32 length;
    u16 flags, next;
};

constexpr u16 has_next = 1, device_writes = 2, indirect = 4;

// Parts of a ring: flags, index, then the entries.
constexpr u64 ring_index = 2, ring_entries = 4, used_entry_size = 8;

template <class T> bool get(const Guest& g, u64 gpa, T& value) {
    const u8* at = g.at(gpa, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return at;
}

template <class T> bool set(const Guest& g, u64 gpa, const T& value) {
    u8* at = g.at(gpa, sizeof value);
    if (at)
        memcpy(at, &value, sizeof value);
    return at;
}

} // namespace

Queue::Next Queue::next(Guest& g, Chain& chain) {
    u16 available = 0, head = 0;
    if (!ready || !size || !get(g, driver + ring_index, available))
        return Next::broken;
    if (available == next_available_)
        return Next::empty;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (!get(g, driver + ring_entries + 2 * (next_available_ % size), head) || head >= size)
        return Next::broken;
    ++next_available_;
    chain.count = 0;
    chain.head = head;
    for (u16 index = head, steps = 0;; ++steps) {
        Descriptor d;
        if (steps == size || chain.count == Chain::most_pieces || index >= size || !get(g, descriptors + sizeof d * index, d))
            return Next::broken;
        u8* data = g.at(d.address, d.length);
        if (!data || (d.flags & indirect))
            return Next::broken;
        const bool writable = d.flags & device_writes;
        if (!writable && chain.count && chain.pieces[chain.count - 1].writable)
            return Next::broken; // what the device reads comes first
        chain.pieces[chain.count++] = {data, d.length, writable};
        if (!(d.flags & has_next))
            return Next::chain;
        index = d.next;
    }
}

bool Queue::give_back(Guest& g, const Chain& chain, u32 written) {
    const u64 entry = device + ring_entries + used_entry_size * (used_ % size);
    if (!set(g, entry, u32{chain.head}) || !set(g, entry + 4, written))
        return false;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    return set(g, device + ring_index, ++used_);
}

bool Queue::wants_interrupt(Guest& g) const {
    constexpr u16 no_interrupt = 1;
    u16 flags = 0;
    return get(g, driver, flags) && !(flags & no_interrupt);
}

namespace {

/// Applies `move` to the parts of pieces that lie in [from, from + size) of the readable or writable bytes.
template <class Move> u32 each_part(const Chain& c, bool writable, u32 from, u32 size, Move move) {
    u32 done = 0;
    u64 start = 0;
    for (unsigned n = 0; n < c.count && done < size; ++n) {
        const Piece& p = c.pieces[n];
        if (p.writable != writable)
            continue;
        const u64 position = u64{from} + done;
        if (position < start + p.size) {
            const u64 skip = position - start;
            const u32 part = static_cast<u32>(p.size - skip < size - done ? p.size - skip : size - done);
            move(p.data + skip, done, part);
            done += part;
        }
        start += p.size;
    }
    return done;
}

u32 total(const Chain& c, bool writable) {
    u64 sum = 0;
    for (unsigned n = 0; n < c.count; ++n)
        sum += c.pieces[n].writable == writable ? c.pieces[n].size : 0;
    return sum > ~0u ? ~0u : static_cast<u32>(sum);
}

} // namespace

u32 Chain::read(u32 from, void* to, u32 size) const {
    return each_part(*this, false, from, size, [&](u8* at, u32 done, u32 part) { memcpy(static_cast<u8*>(to) + done, at, part); });
}

u32 Chain::write(u32 to, const void* from, u32 size) const {
    return each_part(*this, true, to, size, [&](u8* at, u32 done, u32 part) { memcpy(at, static_cast<const u8*>(from) + done, part); });
}

u32 Chain::readable() const { return total(*this, false); }

u32 Chain::writable() const { return total(*this, true); }

} // namespace vitrine::pane
