// SPDX-License-Identifier: Apache-2.0
// Worker processes: a case that kills or hangs its worker costs that case, which is reported, and the next worker goes on behind it.
#pragma once

#include "trial.h"

#include <functional>
#include <sys/types.h>

namespace vitrine::oracle {

class Pool {
public:
    /// `work` runs in a child until its cases are done, and returns an exit status.
    Pool(unsigned jobs, u64 first, std::function<int(Progress&)> work);

    /// Waits for all. `lost(case, how)` is called for each case that took its worker along.
    void run(const std::function<void(u64, const std::string&)>& lost);

    std::span<const Progress> progress() const { return {progress_, jobs_}; }

    bool gave_up() const { return gave_up_; }

private:
    struct Worker {
        pid_t pid = 0;
        u64 last = ~0ull;
        unsigned stalled = 0;
    };

    void start(unsigned n);
    /// False while it runs.
    bool ended(unsigned n, int& status);

    unsigned jobs_;
    std::function<int(Progress&)> work_;
    Progress* progress_;
    std::vector<Worker> workers_;
    bool gave_up_ = false;
};

} // namespace vitrine::oracle
