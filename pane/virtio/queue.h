// SPDX-License-Identifier: Apache-2.0
// A split virtqueue as a device sees it. Every address and length in it comes from the guest and is checked at each use.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

/// A descriptor, checked: memory that is the guest's own.
struct Piece {
    u8* data;
    u32 size;
    bool writable;
};

struct Chain {
    static constexpr unsigned most_pieces = 64;

    Piece pieces[most_pieces];
    unsigned count = 0;
    u16 head = 0;

    /// Copies bytes out of, or into, what the pieces are together; how many there were.
    u32 read(u32 from, void* to, u32 size) const;
    u32 write(u32 to, const void* from, u32 size) const;
    u32 readable() const;
    u32 writable() const;
};

class Queue {
public:
    static constexpr u16 most = 256;

    /// Chains served for one notification: all that a queue holds, but not what another processor adds meanwhile without an end.
    static constexpr unsigned batch = most;

    enum class Next : u8 { chain, empty, broken };

    /// The next chain that the driver has made available.
    Next next(Guest& guest, Chain& chain);

    /// The chain goes back to the driver; false when the queue lies outside the guest's memory.
    bool give_back(Guest& guest, const Chain& chain, u32 written);

    /// Whether the driver wants to hear of what was given back.
    bool wants_interrupt(Guest& guest) const;

    u16 size = 0;
    bool ready = false;
    u64 descriptors = 0, driver = 0, device = 0;

    void reset() { *this = Queue{}; }

private:
    u16 next_available_ = 0, used_ = 0;
};

} // namespace vitrine::pane
