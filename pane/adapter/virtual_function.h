// SPDX-License-Identifier: Apache-2.0
// A virtual function as the physical function's driver sees it: what it was given, what it has asked for, how it
// behaves.
#pragma once

#include "pane/virtio/network.h"

namespace vitrine::pane {

struct Function;

struct VirtualFunction {
    static constexpr unsigned most_hashes = 30;

    /// Requests that are answered within `window`; who sends more waits until it is over.
    static constexpr unsigned most_requests = 16;
    static constexpr u64 window = 1000; ///< microseconds

    Function* function = nullptr;
    Mac address{};
    bool clear_to_send = false; ///< it has said that it begins
    u8 interface = 0;           ///< version of the mailbox's language
    u16 hashes[most_hashes]{};  ///< of its multicast addresses
    unsigned hash_count = 0;
    bool has_vlans = false;

    u64 window_end = 0; ///< TSC
    unsigned requests = 0;
    bool silenced = false;

    u64 messages = 0, refused = 0, acknowledgements = 0, resets = 0, silences = 0;
    u64 spoofed = 0; ///< times that it was found sending in another's name, where the chip says who
};

} // namespace vitrine::pane
