// SPDX-License-Identifier: Apache-2.0
// Whoever looks into a run, heard between slices: the monitor, gdb, and the signals that end it.
#pragma once

#include "app/run_options.h"
#include "debug/gdb_server.h"
#include "debug/line_editor.h"
#include "debug/monitor.h"
#include "host/console.h"
#include "host/descriptor.h"
#include "host/signals.h"
#include "machine/machine.h"

#include <deque>
#include <functional>
#include <memory>

namespace vitrine::app {

class Watch {
public:
    /// `console` (may be null) has the keys that end a run; `monitor` (may be null) is where commands are typed.
    Watch(machine::Machine& m, const host::EndingSignals& signals, host::Console* console, host::Character* monitor);

    /// Listens for gdb as the options say, and tells on standard error where.
    Expected<> open_gdb(const RunOptions& options);

    /// As Machine::run, with everybody served.
    machine::Ending run(u64 until_instructions, u64 until_time);

private:
    /// Makes the machine look up: what it waits for while idle, and what somebody wishes.
    class Ear final : public host::Character {
    public:
        Ear(std::function<int()> descriptor, std::function<host::Wish()> wish, std::function<bool()> open)
            : descriptor_(std::move(descriptor)), wish_(std::move(wish)), open_(std::move(open)) {}

        void put(std::span<const u8>) override {}

        std::size_t take(std::span<u8>) override { return 0; }

        bool open() const override { return open_(); }

        int waits_on() const override { return descriptor_(); }

        host::Wish wish() override { return wish_(); }

    private:
        std::function<int()> descriptor_;
        std::function<host::Wish()> wish_;
        std::function<bool()> open_;
    };

    /// Asking the host costs: the machine is asked at every slice border, the host at each of so many.
    static constexpr unsigned patience = 16;

    bool takes_lines() const { return step_until_ == never && !until_stop_; }

    bool holds() const { return held_ || (gdb_ && gdb_->holds()); }

    void wait();
    machine::Ending attend();
    machine::Ending typed();
    machine::Ending command(const std::string& line);
    void listen_to_monitor();
    void say(std::string_view text);
    void prompt();
    void stopped();
    machine::Ending over(machine::Ending ending);

    machine::Machine& machine_;
    const host::EndingSignals& signals_;
    host::Console* console_;
    host::Character* input_;
    std::shared_ptr<debug::Hooks> hooks_; ///< the monitor's and gdb's
    debug::Monitor monitor_;
    debug::LineEditor editor_;
    std::deque<std::string> lines_; ///< typed, not yet run
    host::Descriptor always_;       ///< a descriptor that is always readable
    std::unique_ptr<debug::GdbServer> gdb_;
    bool held_ = false; ///< by the monitor's `stop`
    bool prompt_due_ = false;
    u64 step_until_ = never;
    bool until_stop_ = false; ///< the next command waits for the machine to stop by itself
    unsigned asked_ = 0;
    Ear signal_ear_, gdb_ear_, monitor_ear_;
};

} // namespace vitrine::app
