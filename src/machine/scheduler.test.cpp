// SPDX-License-Identifier: Apache-2.0
// The scheduler with processors that only keep a diary: turns, quanta, timers, and that cutting slices changes nothing.
#include "machine/scheduler.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

using namespace vitrine;
using namespace vitrine::machine;

namespace {

struct Script : Processor, Runner {
    RunEnd run(u64 budget, u64& used) override {
        cut = ~0ull;
        done = 0;
        RunEnd end = RunEnd::budget;
        while (done < budget && done < cut) {
            ++done;
            ++total;
            if (each)
                each(*this);
            if (sleeps_at && total % sleeps_at == 0) {
                asleep = true;
                end = RunEnd::idle;
                break;
            }
        }
        used = done;
        return end;
    }

    bool runnable() const override { return !asleep; }

    Runner& runner() override { return *this; }

    u64 elapsed() const override { return done; }

    void interrupt_slice() override { cut = done; }

    u64 done = 0, total = 0, cut = ~0ull, sleeps_at = 0;
    bool asleep = false;
    std::function<void(Script&)> each;
};

struct Rig {
    explicit Rig(unsigned n) {
        for (unsigned i = 0; i < n; ++i) {
            cpus.push_back(std::make_unique<Script>());
            scheduler.add(*cpus.back());
            cpus.back()->each = [this, i](Script&) { trace.push_back(static_cast<char>('0' + i)); };
        }
    }

    void run(u64 total, u64 slice) {
        while (scheduler.instructions() < total) {
            clock.fire();
            if (scheduler.turn(std::min(slice, total - scheduler.instructions())) == Scheduler::Turn::idle) {
                ASSERT_NE(clock.next_due(), never);
                clock.advance_to(clock.next_due());
            }
        }
    }

    Clock clock;
    Scheduler scheduler{clock};
    std::vector<std::unique_ptr<Script>> cpus;
    std::string trace;
};

} // namespace

TEST(Scheduler, EachProcessorGetsItsQuantum) {
    Rig rig(3);
    rig.run(6 * Scheduler::quantum, never);
    for (const auto& cpu : rig.cpus)
        EXPECT_EQ(cpu->total, 2 * Scheduler::quantum);
    EXPECT_EQ(rig.clock.now(), 6 * Scheduler::quantum);
    EXPECT_EQ(rig.trace.substr(0, Scheduler::quantum), std::string(Scheduler::quantum, '0'));
}

TEST(Scheduler, CuttingSlicesChangesNothing) {
    std::string traces[2];
    for (const u64 slice : {u64{never}, u64{7}}) {
        Rig rig(2);
        rig.cpus[0]->sleeps_at = 777;
        Timer wake(rig.clock, "wake", [&] {
            rig.cpus[0]->asleep = false;
            wake.arm(rig.clock.now() + 3'333);
        });
        wake.arm(3'333);
        rig.run(100'000, slice);
        traces[slice == 7] = rig.trace;
    }
    EXPECT_EQ(traces[0], traces[1]);
    EXPECT_NE(traces[0].find("01"), std::string::npos);
}

TEST(Scheduler, TimersFireExactlyWhenDue) {
    Rig rig(2);
    u64 fired = 0;
    Timer timer(rig.clock, "t", [&] { fired = rig.clock.now(); });
    timer.arm(12'345);
    // One armed in the middle of a slice cuts it.
    u64 second_fired = 0;
    Timer second(rig.clock, "s", [&] { second_fired = rig.clock.now(); });
    rig.cpus[0]->each = [&](Script& cpu) {
        if (cpu.total == 100)
            second.arm(rig.clock.now() + 50);
    };
    rig.run(20'000, never);
    EXPECT_EQ(fired, 12'345u);
    EXPECT_EQ(second_fired, 150u);
    EXPECT_EQ(rig.cpus[0]->total, Scheduler::quantum) << "a timer does not cost a turn";
}

TEST(Scheduler, AnEventForAnotherProcessorEndsTheQuantum) {
    Rig rig(2);
    rig.cpus[1]->asleep = true;
    rig.cpus[0]->each = [&](Script& cpu) {
        if (cpu.total == 10) {
            rig.cpus[1]->asleep = false;
            rig.scheduler.end_quantum();
        }
    };
    rig.run(11, never);
    EXPECT_EQ(rig.cpus[0]->total, 10u);
    EXPECT_EQ(rig.cpus[1]->total, 1u);
}

TEST(Scheduler, AllHaltedIsIdleAndChangesNothing) {
    Rig rig(2);
    rig.cpus[0]->asleep = rig.cpus[1]->asleep = true;
    EXPECT_EQ(rig.scheduler.turn(never), Scheduler::Turn::idle);
    EXPECT_EQ(rig.scheduler.turn(never), Scheduler::Turn::idle);
    EXPECT_EQ(rig.clock.now(), 0u);
    rig.cpus[0]->asleep = false;
    EXPECT_EQ(rig.scheduler.turn(5), Scheduler::Turn::ran);
    EXPECT_EQ(rig.scheduler.present(), 0u);
}
