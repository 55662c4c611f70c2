// SPDX-License-Identifier: Apache-2.0
// Flow control on the wire: pause frames for the link or for priorities, those that come and those that are sent.
// (IEEE 802.3, annex 31B; IEEE 802.1Q, Priority-based Flow Control; 82576 and 82599 datasheets, Flow Control.)
#pragma once

#include "base/visitor.h"
#include "vtc/packet.h"
#include "vtc/traffic_classes.h"

#include <optional>

namespace vitrine::vtc {

inline constexpr u16 mac_control_type = 0x8808;
inline constexpr u64 pause_quantum_bytes = 64; ///< 512 bit times

/// What the registers say.
struct FlowRules {
    bool heeds_link = false, heeds_priorities = false; ///< frames that come
    bool passes_control = false; ///< MAC control frames go on to the filters
    bool keeps_pause = false;    ///< pause frames too, when MAC control frames do
    bool sends_link = false, sends_priorities = false;
    struct Buffer {
        bool on = false, resumes = false; ///< whether a full buffer stops the partner, and an empty one lets it go on
        u32 high = 0, low = 0;            ///< bytes of frames
        u16 time = 0;                     ///< quanta that it is to wait
    };
    std::array<Buffer, most_classes> buffers{}; ///< by class
    u16 refresh = 0; ///< quanta before the end of which it is told again
};

/// A pause frame's meaning: quanta for the link, or for the priorities in a vector; 0 ends a pause.
struct Pause {
    bool priorities = false;
    u8 which = 0xff;
    std::array<u16, user_priorities> quanta{};

    static std::optional<Pause> in(const Packet& p);
    std::vector<u8> frame(Mac from) const;
};

/// Who waits until when.
class FlowControl {
public:
    /// The partner's wish: instants by transmit class. `quantum` is in tenths of nanoseconds.
    void heed(const Pause& pause, const ClassRules& classes, u64 now, u64 quantum);
    /// 0 when it never was to wait.
    u64 paused_until(unsigned traffic_class) const { return paused_until_[traffic_class]; }

    /// The partner's turn to wait: what to tell it now that a buffer holds so much; nothing most of the time.
    std::optional<Pause> level(unsigned traffic_class, u64 bytes, const FlowRules& rules, const ClassRules& classes, u64 now, u64 quantum);
    /// When some partner that waits should be told again; `never` if none.
    u64 refresh_due() const;
    bool told(unsigned traffic_class) const { return told_until_[traffic_class] != 0; }

    void reset() { *this = FlowControl{}; }
    void state(Visitor& v);

private:
    std::array<u64, most_classes> paused_until_{};
    std::array<u64, most_classes> told_until_{}, refresh_{}; ///< by receive class: when its pause ends, and when that is renewed; 0: it is not paused
};

} // namespace vitrine::vtc
