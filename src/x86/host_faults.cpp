// SPDX-License-Identifier: Apache-2.0
// The process-wide registry of generated code and the signal handler that uses it.
#include "x86/host_faults.h"

#include "base/error.h"

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <mutex>
#include <ucontext.h>

namespace vitrine {

namespace {

struct Range {
    std::atomic<u64> begin{0}, end{0}; ///< end is written last: an empty range matches nothing
    HostCodeRange::Recover recover = nullptr;
    void* owner = nullptr;
    bool used = false; ///< under the mutex
};

constexpr std::array signals{SIGFPE, SIGSEGV, SIGBUS, SIGILL};

/// The one mutable global that the design allows: it serves all machines of a process.
struct Registry {
    std::array<Range, HostCodeRange::limit> ranges;
    std::mutex mutex;
    bool installed = false;
    std::array<struct sigaction, signals.size()> previous;
} registry;

/// Not ours: whoever handled the signal before gets it. The default way is taken by the instruction faulting again.
void pass_on(int signal, siginfo_t* info, void* context) {
    for (std::size_t i = 0; i < signals.size(); ++i) {
        if (signals[i] != signal)
            continue;
        const struct sigaction& before = registry.previous[i];
        if (before.sa_flags & SA_SIGINFO)
            before.sa_sigaction(signal, info, context);
        else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
            before.sa_handler(signal);
        else
            sigaction(signal, &before, nullptr);
    }
}

void on_signal(int signal, siginfo_t* info, void* context) {
    auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    const u64 rip = static_cast<u64>(machine.gregs[REG_RIP]);
    for (Range& r : registry.ranges) {
        if (rip < r.begin.load(std::memory_order_acquire) || rip >= r.end.load(std::memory_order_acquire))
            continue;
        const HostFault fault{signal, rip, reinterpret_cast<u64>(info->si_addr), machine.gregs};
        if (const u64 go_on = r.recover(r.owner, fault)) {
            machine.gregs[REG_RIP] = static_cast<long long>(go_on);
            return;
        }
    }
    pass_on(signal, info, context);
}

void install() {
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    for (std::size_t i = 0; i < signals.size(); ++i)
        VERIFY(sigaction(signals[i], &action, &registry.previous[i]) == 0);
    registry.installed = true;
}

} // namespace

void HostCodeRange::use_signal_stack() {
    constexpr std::size_t size = 64 << 10;
    struct Stack {
        Stack() {
            stack_t present{};
            VERIFY(sigaltstack(nullptr, &present) == 0);
            if (!(present.ss_flags & SS_DISABLE))
                return; // somebody else's will do
            bytes = std::make_unique<u8[]>(size);
            const stack_t own{.ss_sp = bytes.get(), .ss_flags = 0, .ss_size = size};
            VERIFY(sigaltstack(&own, nullptr) == 0);
        }
        ~Stack() {
            constexpr stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
            if (bytes)
                sigaltstack(&none, nullptr);
        }
        std::unique_ptr<u8[]> bytes;
    };
    static thread_local Stack stack;
    (void)stack;
}

HostCodeRange::HostCodeRange(const void* begin, u64 size, Recover recover, void* owner) {
    const std::lock_guard lock(registry.mutex);
    if (!registry.installed)
        install();
    slot_ = 0;
    while (slot_ < limit && registry.ranges[slot_].used)
        ++slot_;
    VERIFY(slot_ < limit);
    Range& r = registry.ranges[slot_];
    r.used = true;
    r.recover = recover;
    r.owner = owner;
    r.begin.store(reinterpret_cast<u64>(begin), std::memory_order_release);
    r.end.store(reinterpret_cast<u64>(begin) + size, std::memory_order_release);
}

HostCodeRange::~HostCodeRange() {
    const std::lock_guard lock(registry.mutex);
    Range& r = registry.ranges[slot_];
    r.end.store(0, std::memory_order_release);
    r.begin.store(0, std::memory_order_release);
    r.used = false;
}

} // namespace vitrine
