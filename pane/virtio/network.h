// SPDX-License-Identifier: Apache-2.0
// What all virtio network adapters do, whatever they are connected to: frames out of the guest's queue, and into it.
#pragma once

#include "pane/virtio/device.h"

namespace vitrine::pane {

struct Mac {
    u8 bytes[6];

    bool operator==(const Mac&) const = default;

    bool group() const { return bytes[0] & 1; }
};

/// Bytes of a frame without its FCS.
inline constexpr u32 smallest_frame = 14, largest_frame = 1514;

/// What an adapter is connected to.
struct NetworkPort {
    Mac (*address)(const VirtioDevice& device);

    /// Where the next frame goes, `largest_frame` bytes; null: not now, and frames wait in the guest's queue until
    /// `network_send`.
    u8* (*room)(VirtioDevice& device);

    /// Takes the frame that lies there; false when it may not be sent.
    bool (*send)(VirtioDevice& device, u32 size);

    /// That was the last one for now.
    void (*flush)(VirtioDevice& device);
};

/// What the guest has made available goes to the port, a batch at most.
void network_send(VirtioDevice& device, const NetworkPort& port);

/// A frame for the guest; false when it is lost. The guest hears of it by `network_tell`.
bool network_receive(VirtioDevice& device, const u8* frame, u32 size);
void network_tell(VirtioDevice& device);

inline constexpr u64 network_features = 1ull << 32 | 1 << 5; ///< version 1, and it has an address
inline constexpr unsigned network_receive_queue = 0, network_transmit_queue = 1;

template <const NetworkPort& port>
inline constexpr VirtioKind network_kind(const char* name) {
    return {name,
            1,
            2,
            network_features,
            [](VirtioDevice& d, unsigned queue) {
                if (queue == network_transmit_queue)
                    network_send(d, port);
            },
            [](const VirtioDevice& d, u32 offset) { return offset < 6 ? port.address(d).bytes[offset] : u8{0}; }};
}

} // namespace vitrine::pane
