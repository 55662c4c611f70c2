// SPDX-License-Identifier: Apache-2.0
// Traffic classes (data centre bridging): what an adapter's registers say about them, and whose turn it is on the wire.
// (82599 datasheet, DCB; IEEE 802.1Q, Transmission selection.)
#pragma once

#include "base/visitor.h"
#include "vtc/queue_set.h"

#include <array>

namespace vitrine::vtc {

inline constexpr unsigned most_classes = 8, user_priorities = 8;

/// A class's share of the wire, in bytes.
struct ClassShare {
    u32 refill = 0, most = 0; ///< what it gets in each round of credits, and what it may save
    u8 group = 0;             ///< of bandwidth
    bool first_in_group = false; ///< it goes before the others of its group, on the group's credits
    bool first_of_all = false;   ///< it goes whenever it has something
};

/// With DCB off there is one class, which has everything.
struct ClassRules {
    unsigned receive = 1, transmit = 1; ///< how many
    std::array<u8, user_priorities> receive_class{}, transmit_class{};
    std::array<u32, most_classes> buffer{}; ///< bytes of the packet buffer for received frames
    std::array<QueueSet, most_classes> queues; ///< that send in a class
    bool weighted = false;                     ///< by shares; otherwise in turn
    std::array<ClassShare, most_classes> shares{};
};

/// Chooses the class that sends the next frame.
class Arbiter {
public:
    /// One of those in `ready`, a bit for each class; not 0.
    unsigned next(u8 ready, const ClassRules& rules);
    /// What next() chose has sent so much.
    void sent(u64 bytes);

    void reset() { *this = Arbiter{}; }
    void state(Visitor& v);
    bool sound() const { return last_ < most_classes && payer_ <= most_classes; }

private:
    static constexpr u8 nobody = most_classes;

    std::array<i64, most_classes> credits_{}; ///< bytes
    u8 last_ = 0;
    u8 payer_ = nobody; ///< whose credits the chosen class uses
};

} // namespace vitrine::vtc
