// SPDX-License-Identifier: Apache-2.0
// How virtual time keeps to the host's clock: it only ever sleeps. Virtual time never follows the host's clock.
#pragma once

#include "words/integers.h"

#include <span>

namespace vitrine::machine {

enum class PaceMode : u8 {
    automatic, ///< idle time passes as on a clock while somebody sits at a terminal, else it is skipped
    warp,      ///< idle time is skipped
    real,      ///< virtual time is never ahead of the host's
};

class Pace {
public:
    explicit Pace(PaceMode mode = PaceMode::automatic) : mode_(mode) {}

    PaceMode mode() const { return mode_; }

    /// Virtual and host time are taken to be equal now.
    void start(u64 now);

    /// `real`: sleeps when virtual time is ahead. Called now and then while processors run.
    void busy(u64 now);

    /// Idle from `now` to `until` (`never`: without end). Sleeps if the mode says so, and ends when a descriptor is readable.
    /// Returns the virtual instant reached.
    u64 idle(u64 now, u64 until, bool interactive, std::span<const int> descriptors);

    /// Host nanoseconds since start().
    u64 host_elapsed() const;

private:
    /// Sleeps until the host's clock shows `deadline` or a descriptor is readable; true in the second case.
    static bool sleep_until(u64 deadline, std::span<const int> descriptors);
    static u64 host_now();

    PaceMode mode_;
    u64 virtual_start_ = 0, host_start_ = 0;
};

} // namespace vitrine::machine
