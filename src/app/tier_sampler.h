// SPDX-License-Identifier: Apache-2.0
// Looks at a machine every other millisecond of the host's time and counts what it is at. Nothing of it reaches the machine.
#pragma once

#include "machine/machine.h"

#include <array>
#include <atomic>
#include <thread>

namespace vitrine::app {

class TierSampler {
public:
    using Samples = std::array<u64, static_cast<unsigned>(jit::Tier::count)>;

    explicit TierSampler(const machine::Machine& machine);
    ~TierSampler() { (void)finish(); }
    TierSampler(const TierSampler&) = delete;
    TierSampler& operator=(const TierSampler&) = delete;

    /// Ends it: how often each tier was seen.
    Samples finish();

private:
    const machine::Machine& machine_;
    Samples samples_{};
    std::atomic<bool> done_ = false;
    std::thread thread_;
};

} // namespace vitrine::app
