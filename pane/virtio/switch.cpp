// SPDX-License-Identifier: Apache-2.0
// The switch between the guests: software's, without anything physical. It gives the addresses, so it has nothing to
// learn.
#include "pane/guest/guest.h"
#include "pane/virtio/network.h"

#include <cstring>

namespace vitrine::pane {

namespace {

u8 frame[largest_frame]; ///< the one that is under way; Pane's lock is held

/// Locally administered: which of the guest's networks it is, and the guest's number.
Mac address(const VirtioDevice& d) {
    const Guest& g = d.guest();
    const auto network = static_cast<u8>(&d - g.virtio - Guest::first_network);
    return {{0x52, 0x54, 0x00, 0x50, static_cast<u8>(0x41 + network), static_cast<u8>(g.number + 1)}};
}

u8* room(VirtioDevice&) {
    return frame;
}

/// To the guest whose address it is, or to all when it is for a group.
bool send(VirtioDevice& from, u32 size) {
    Mac to, source;
    memcpy(&to, frame, sizeof to);
    memcpy(&source, frame + sizeof to, sizeof source);
    if (source != address(from))
        return false;
    for (unsigned n = 0; n < guest_count; ++n)
        for (VirtioDevice& d : guests[n]->virtio)
            if (&d != &from && d.kind() == &virtio_network && (to.group() || to == address(d)) &&
                network_receive(d, frame, size))
                network_tell(d);
    return true;
}

constexpr NetworkPort software_switch{address, room, send, [](VirtioDevice&) {}};

} // namespace

constinit const VirtioKind virtio_network = network_kind<software_switch>("network");

} // namespace vitrine::pane
