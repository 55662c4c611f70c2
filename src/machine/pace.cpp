// SPDX-License-Identifier: Apache-2.0
// Sleeping, so that a person sees a clock.
#include "machine/pace.h"

#include "base/clock.h"

#include <algorithm>
#include <vector>

#include <poll.h>
#include <time.h>

namespace vitrine::machine {

u64 Pace::host_now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<u64>(t.tv_sec) * nanoseconds_per_second + static_cast<u64>(t.tv_nsec);
}

void Pace::start(u64 now) {
    virtual_start_ = now;
    host_start_ = host_now();
}

u64 Pace::host_elapsed() const { return host_now() - host_start_; }

bool Pace::sleep_until(u64 deadline, std::span<const int> descriptors) {
    std::vector<pollfd> wait;
    for (const int fd : descriptors)
        wait.push_back({.fd = fd, .events = POLLIN, .revents = 0});
    for (;;) {
        const u64 now = host_now();
        const u64 left = deadline > now ? deadline - now : 0;
        const timespec timeout{.tv_sec = static_cast<time_t>(left / nanoseconds_per_second),
                               .tv_nsec = static_cast<long>(left % nanoseconds_per_second)};
        const int n = ::ppoll(wait.data(), wait.size(), deadline == never ? nullptr : &timeout, nullptr);
        if (n > 0)
            return true;
        if (n == 0)
            return false;
        // A signal came: look at the clock again.
    }
}

void Pace::busy(u64 now) {
    if (mode_ != PaceMode::real)
        return;
    const u64 deadline = host_start_ + (now - virtual_start_);
    if (deadline > host_now())
        sleep_until(deadline, {});
}

u64 Pace::idle(u64 now, u64 until, bool interactive, std::span<const int> descriptors) {
    const bool sleeps = until == never || mode_ == PaceMode::real || (mode_ == PaceMode::automatic && interactive);
    if (!sleeps)
        return until;
    // `real` keeps to the start of the run; `automatic` keeps idle time only, since the host is slower than the guest's clock.
    const u64 begin = mode_ == PaceMode::real ? host_start_ + (now - virtual_start_) : host_now();
    const u64 deadline = until == never ? never : begin + (until - now);
    if (!sleep_until(deadline, descriptors))
        return until;
    const u64 host = host_now();
    const u64 passed = host > begin ? host - begin : 0;
    // At least one nanosecond, so that an input never comes at an instant that has been left already.
    return until == never ? now + std::max<u64>(passed, 1) : std::min(until, now + std::max<u64>(passed, 1));
}

} // namespace vitrine::machine
