// SPDX-License-Identifier: Apache-2.0
// One function's interrupt vectors behind its extended causes: masks, auto-clear, auto-mask, and throttling in virtual time.
// (82576 datasheet, Interrupts; 82599 datasheet, Interrupts.)
#pragma once

#include "base/clock.h"

#include <array>
#include <functional>
#include <string>

namespace vitrine::vtc {

class Vectors {
public:
    static constexpr unsigned most = 64;

    /// `send` is called for each vector that is due.
    Vectors(Clock& clock, const std::string& name, std::function<void(unsigned)> send);

    void raise(u64 causes);
    /// Vectors that are sent whatever the masks say, for causes with masks of their own; throttled as all others.
    void raise_unmasked(u64 vectors);
    void enable(u64 vectors);
    void disable(u64 vectors) { enabled_ &= ~vectors; }
    u64 cause() const { return cause_; }
    u64 enabled() const { return enabled_; }
    void clear(u64 causes) { cause_ &= ~causes, waiting_ &= ~causes; }
    void set_auto_clear(u64 vectors) { auto_clear_ = vectors; }
    void set_auto_mask(u64 vectors) { auto_mask_ = vectors; }
    u64 auto_clear() const { return auto_clear_; }
    u64 auto_mask() const { return auto_mask_; }
    /// At least so many virtual nanoseconds between two interrupts of vector `n`.
    void set_interval(unsigned n, u64 nanoseconds) { interval_[n] = nanoseconds; }

    u64 sent() const { return sent_; }
    /// Interrupts that came later than they would have without an interval.
    u64 throttled() const { return throttled_; }

    void reset();
    void state(Visitor& v);

private:
    void send_due();

    Clock& clock_;
    std::function<void(unsigned)> send_;
    Timer timer_;
    u64 cause_ = 0, enabled_ = 0, auto_clear_ = 0, auto_mask_ = 0;
    u64 waiting_ = 0; ///< causes whose interrupt has not been sent
    u64 unmasked_ = 0; ///< of raise_unmasked, not sent yet
    u64 held_ = 0;     ///< vectors whose interval is not over
    std::array<u64, most> interval_{}, allowed_{};
    u64 sent_ = 0, throttled_ = 0;
};

} // namespace vitrine::vtc
