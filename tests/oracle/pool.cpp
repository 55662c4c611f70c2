// SPDX-License-Identifier: Apache-2.0
// Forks, watches and replaces the workers.
#include "pool.h"

#include "base/error.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <new>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace vitrine::oracle {

namespace {

constexpr std::chrono::milliseconds look_interval{20};
constexpr unsigned patience = 1000; ///< looks without progress before a worker counts as hung
constexpr unsigned max_lost = 50;

} // namespace

Pool::Pool(unsigned jobs, u64 first, std::function<int(Progress&)> work) : jobs_(jobs), work_(std::move(work)), workers_(jobs) {
    void* p = mmap(nullptr, sizeof(Progress) * jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    VERIFY(p != MAP_FAILED);
    progress_ = static_cast<Progress*>(p);
    for (unsigned n = 0; n < jobs; ++n)
        (new (&progress_[n]) Progress)->next = first + n;
}

void Pool::start(unsigned n) {
    std::fflush(stdout);
    workers_[n] = {};
    workers_[n].pid = fork();
    VERIFY(workers_[n].pid >= 0);
    if (workers_[n].pid == 0)
        _exit(work_(progress_[n]));
}

bool Pool::ended(unsigned n, int& status) {
    Worker& w = workers_[n];
    if (waitpid(w.pid, &status, WNOHANG) != 0)
        return true;
    w.stalled = progress_[n].done == w.last ? w.stalled + 1 : 0;
    w.last = progress_[n].done;
    if (w.stalled > patience)
        kill(w.pid, SIGKILL);
    return false;
}

void Pool::run(const std::function<void(u64, const std::string&)>& lost) {
    for (unsigned n = 0; n < jobs_; ++n)
        start(n);
    for (unsigned running = jobs_, deaths = 0; running;) {
        std::this_thread::sleep_for(look_interval);
        for (unsigned n = 0; n < jobs_; ++n) {
            int status = 0;
            if (!workers_[n].pid || !ended(n, status))
                continue;
            workers_[n].pid = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                --running;
                continue;
            }
            lost(progress_[n].next, WIFSIGNALED(status) ? fmt::format("the worker died of signal {}", WTERMSIG(status))
                                                        : fmt::format("the worker ended with status {}", WEXITSTATUS(status)));
            progress_[n].next += jobs_;
            if (++deaths > max_lost) {
                gave_up_ = true;
                --running;
                continue;
            }
            start(n);
        }
    }
}

} // namespace vitrine::oracle
