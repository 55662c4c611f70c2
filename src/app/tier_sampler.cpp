// SPDX-License-Identifier: Apache-2.0
// A thread that mostly sleeps. Signals are for the thread that runs the machine.
#include "app/tier_sampler.h"

#include <chrono>
#include <csignal>

namespace vitrine::app {

TierSampler::TierSampler(const machine::Machine& machine) : machine_(machine) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // what the thread begins with
    thread_ = std::thread([this] {
        while (!done_.load(std::memory_order_relaxed)) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            ++samples_[static_cast<unsigned>(machine_.tier())];
        }
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TierSampler::Samples TierSampler::finish() {
    done_.store(true, std::memory_order_relaxed);
    if (thread_.joinable())
        thread_.join();
    return samples_;
}

} // namespace vitrine::app
