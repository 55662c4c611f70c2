// SPDX-License-Identifier: Apache-2.0
// Which processor runs, and for how long: a deterministic round robin with a fixed quantum on the machine's one clock.
#pragma once

#include "base/clock.h"
#include "base/visitor.h"
#include "x86/cpu.h"

#include <atomic>
#include <span>
#include <vector>

namespace vitrine::machine {

/// What the scheduler asks of a processor; whichever engine runs it stands behind this.
class Processor {
public:
    virtual ~Processor() = default;
    /// As Cpu::run.
    virtual RunEnd run(u64 budget, u64& used) = 0;
    /// Not halted, or halted with an event that wakes it.
    virtual bool runnable() const = 0;
    virtual Runner& runner() = 0;
};

/// Time advances by what the running processor executes. Cutting a slice short (to fire a timer, to hash, to stop) and going on
/// is the same run as not cutting it: the quantum, not the slice, decides whose turn it is.
class Scheduler {
public:
    explicit Scheduler(Clock& clock) : clock_(clock) {}

    /// Virtual nanoseconds that a processor runs before the next one's turn. Long enough for the caches of the host, short
    /// enough for the spin locks of the guest.
    static constexpr u64 quantum = 10'000;

    void add(Processor& p) { processors_.push_back(&p); }

    enum class Turn : u8 {
        ran,     ///< a slice was run
        idle,    ///< every processor is halted: time must move, or something must come from outside
        stopped, ///< the processor present() stopped: its stop reason says why
    };

    /// Runs one slice of at most `most` nanoseconds; it ends earlier when a timer is due.
    Turn turn(u64 most);

    /// An event for another processor than the running one: its turn comes after the present instruction.
    void end_quantum();

    /// The processor that ran last, or runs.
    unsigned present() const { return present_; }

    /// A slice runs just now.
    bool running() const { return running_.load(std::memory_order_relaxed); }
    /// Virtual nanoseconds executed so far, all processors together: what the command line calls instructions.
    u64 instructions() const { return instructions_ + (running_ ? processors_[present_]->runner().elapsed() : 0); }

    /// Virtual time at which a processor last executed something.
    u64 last_ran() const { return last_ran_; }

    /// A platform reset: the boot processor begins; the count goes on.
    void restart();

    void state(Visitor& v);

private:
    bool choose();

    Clock& clock_;
    std::vector<Processor*> processors_;
    unsigned present_ = 0;
    u64 left_ = quantum; ///< of the present processor's quantum
    u64 instructions_ = 0;
    u64 last_ran_ = 0;
    std::atomic<bool> running_ = false; ///< while a slice runs; the one thing that another thread may ask
    bool quantum_over_ = false;         ///< only while a slice runs
};

} // namespace vitrine::machine
