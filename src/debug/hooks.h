// SPDX-License-Identifier: Apache-2.0
// What every processor asks while somebody has breakpoints: gdb's and the monitor's, in the level that the processor is
// in.
#pragma once

#include "debug/breakpoints.h"
#include "machine/machine.h"
#include "x86/debug_hooks.h"

#include <memory>
#include <vector>

namespace vitrine::debug {

class Hooks {
public:
    explicit Hooks(machine::Machine& m);
    ~Hooks();
    Hooks(const Hooks&) = delete;
    Hooks& operator=(const Hooks&) = delete;

    void add(Breakpoints& b) { all_.push_back(&b); }

    void remove(Breakpoints& b);

    /// After breakpoints have changed: processors ask only while there are some.
    void update();

    /// The VMCS whose guest a processor runs; 0: it runs none.
    static u64 level_of(machine::Machine& m, unsigned cpu);

private:
    class OfCpu final : public DebugHooks {
    public:
        OfCpu(Hooks& hooks, unsigned cpu) : hooks_(hooks), cpu_(cpu) {}

        u64 next_breakpoint(Linear from, u64 bytes) override;
        bool watches(Linear page) override;
        bool access(Cpu& cpu, Linear at, unsigned size, bool write) override;

    private:
        Hooks& hooks_;
        unsigned cpu_;
    };

    machine::Machine& machine_;
    std::vector<Breakpoints*> all_;
    std::vector<std::unique_ptr<OfCpu>> cpus_;
};

} // namespace vitrine::debug
