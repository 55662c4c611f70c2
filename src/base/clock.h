// SPDX-License-Identifier: Apache-2.0
// The machine's one virtual clock, in nanoseconds, and the timers that hang on it.
#pragma once

#include "base/visitor.h"
#include "words/integers.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

inline constexpr u64 never = ~0ull;
inline constexpr u64 nanoseconds_per_second = 1'000'000'000;

/// Whoever is running now and knows how far it has come: a processor in the middle of a block.
class Runner {
public:
    virtual ~Runner() = default;
    /// Virtual nanoseconds since the clock was last set.
    virtual u64 elapsed() const = 0;
    /// An event became due before the end of the present slice: stop after the present instruction.
    virtual void interrupt_slice() = 0;
};

class Timer;

/// 1 instruction = 1 ns of whichever processor runs. Timers due at the same instant fire in the order of their creation.
class Clock {
public:
    u64 now() const { return base_ + (runner_ ? runner_->elapsed() : 0); }

    /// When the earliest timer is due; `never` without one.
    u64 next_due() const { return next_due_; }

    /// Fires everything due at or before now(), in order. Called by the scheduler between slices only.
    void fire();

    /// All timers, in the order of their creation; for people who look.
    const std::vector<Timer*>& timers() const { return timers_; }

    /// Told of every timer before it acts.
    void set_listener(std::function<void(const Timer&)> listener) { listener_ = std::move(listener); }

    void set_runner(Runner* runner) { runner_ = runner; }

    Runner* runner() const { return runner_; }

    /// Moves time forward; only the scheduler does.
    void advance_to(u64 t);

    void state(Visitor& v);

private:
    friend class Timer;
    void attach(Timer& t);
    void detach(Timer& t);
    void changed(); ///< recomputes next_due_ and cuts the running slice if it must

    u64 base_ = 0;
    u64 next_due_ = never;
    Runner* runner_ = nullptr;
    std::vector<Timer*> timers_; ///< in order of creation
    std::function<void(const Timer&)> listener_;
};

/// One thing that happens at one instant. Owned by a device, which shows its due time as part of its own state.
class Timer {
public:
    Timer(Clock& clock, std::string_view name, std::function<void()> action);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Sets the absolute due time; a time in the past is due at once, after the present instruction.
    void arm(u64 at);

    void cancel() { arm(never); }

    u64 due() const { return due_; }

    bool armed() const { return due_ != never; }

    std::string_view name() const { return name_; }

    void state(Visitor& v);

private:
    friend class Clock;
    Clock& clock_;
    std::string name_;
    std::function<void()> action_;
    u64 due_ = never;
};

} // namespace vitrine
