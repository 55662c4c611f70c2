// SPDX-License-Identifier: Apache-2.0
// Serving the monitor and gdb between slices of a run.
#include "app/watch.h"

#include "app/lists.h"

#include <cstdio>
#include <cstring>

#include <poll.h>
#include <sys/eventfd.h>

namespace vitrine::app {

using debug::MonitorAction;
using host::Wish;
using machine::Ending;
using machine::EndingKind;
using machine::Machine;

Watch::Watch(Machine& m, const host::EndingSignals& signals, host::Console* console, host::Character* monitor)
    : machine_(m), signals_(signals), console_(console), input_(monitor), hooks_(std::make_shared<debug::Hooks>(m)), monitor_(m, hooks_),
      editor_(console && monitor == &console->monitor() && monitor->interactive()), always_(::eventfd(1, EFD_CLOEXEC)),
      signal_ear_([this] { return signals_.descriptor(); },
                  [] { return host::EndingSignals::caught() ? Wish::quit : Wish::none; }, [] { return false; }),
      gdb_ear_([this] { return gdb_ ? gdb_->descriptor() : -1; },
               [this] { return gdb_ && ++asked_ % patience == 0 && gdb_->ready() ? Wish::debugger : Wish::none; },
               [this] { return gdb_ && gdb_->connected(); }),
      monitor_ear_(
          [this] {
              listen_to_monitor();
              return !lines_.empty() && takes_lines() ? always_.get() : input_->waits_on();
          },
          [this] {
              if (lines_.empty() && ++asked_ % patience == 0)
                  listen_to_monitor();
              return !lines_.empty() && takes_lines() ? Wish::monitor : Wish::none;
          },
          [this] { return input_->open(); }) {
    monitor_.set_explain([](std::string_view what) {
        const auto text = explain_text(what);
        return text.ok() ? text.value() : text.error().message + "\n";
    });
    machine_.inputs().watch(signal_ear_);
    machine_.inputs().watch(gdb_ear_);
    if (input_)
        machine_.inputs().watch(monitor_ear_);
    prompt_due_ = input_ && (!console_ || console_->monitor_has_focus());
}

Expected<> Watch::open_gdb(const RunOptions& options) {
    gdb_ = TRY(debug::GdbServer::listen(*options.gdb));
    gdb_->attach(machine_, options.gdb_i386 ? debug::GdbArchitecture::i386 : debug::GdbArchitecture::x86_64,
                 options.wait_gdb, hooks_);
    gdb_->set_monitor([this](std::string_view line) {
        const debug::MonitorReply reply = monitor_.run(line);
        switch (reply.action) {
        case MonitorAction::none:
            return reply.text;
        case MonitorAction::reset:
            machine_.request_reset(Reset::warm);
            return std::string("the machine is reset when it goes on\n");
        case MonitorAction::until_stop:
            return std::string("the machine stops there when it goes on: continue\n");
        default:
            return std::string("gdb holds the machine: use its own continue, stepi, kill\n");
        }
    });
    std::fprintf(stderr, "vitrine: gdb may come: target remote 127.0.0.1:%u%s\n", gdb_->port(),
                 options.wait_gdb ? " (the machine waits for it)" : "");
    return {};
}

// ---- the monitor ----------------------------------------------------------------------------------------------------

void Watch::say(std::string_view text) {
    if (input_ && !text.empty())
        input_->put({reinterpret_cast<const u8*>(text.data()), text.size()});
}

/// Where somebody types; a script gets answers alone.
void Watch::prompt() {
    prompt_due_ = false;
    if (input_ && input_->interactive())
        say(debug::Monitor::prompt);
}

void Watch::listen_to_monitor() {
    u8 buffer[256];
    while (const std::size_t n = input_->take(buffer)) {
        for (std::size_t i = 0; i < n; ++i)
            if (auto line = editor_.take(buffer[i]))
                lines_.push_back(std::move(*line));
        say(editor_.take_echo());
    }
}

Ending Watch::command(const std::string& line) {
    const debug::MonitorReply reply = monitor_.run(line);
    say(reply.text);
    switch (reply.action) {
    case MonitorAction::none:
        break;
    case MonitorAction::stop:
        held_ = true;
        break;
    case MonitorAction::go:
        held_ = false;
        break;
    case MonitorAction::step:
        held_ = false;
        step_until_ = machine_.instructions() + reply.steps;
        return {};
    case MonitorAction::until_stop:
        held_ = false;
        until_stop_ = !input_->interactive(); // a person may type `stop` meanwhile; a script's next line waits
        return {};
    case MonitorAction::reset:
        machine_.request_reset(Reset::warm);
        break;
    case MonitorAction::quit:
        return {EndingKind::quit, 0, {}};
    }
    prompt_due_ = true;
    return {};
}

/// Runs what has been typed, as far as the machine need not run in between.
Ending Watch::typed() {
    if (!input_)
        return {};
    listen_to_monitor();
    bool runs = !holds();
    while (!lines_.empty() && takes_lines()) {
        const std::string line = std::move(lines_.front());
        lines_.pop_front();
        if (Ending ending = command(line))
            return ending;
        if (prompt_due_)
            prompt();
        if (runs != !holds())
            break;
    }
    if (held_ && lines_.empty() && !input_->open())
        held_ = false; // nobody is left to let it go on
    if (prompt_due_)
        prompt();
    return {};
}

// ---- the run --------------------------------------------------------------------------------------------------------

Ending Watch::attend() {
    if (const int signal = host::EndingSignals::caught())
        return {EndingKind::quit, 0, std::string("ended by SIG") + ::sigabbrev_np(signal)};
    if (gdb_) {
        gdb_->look();
        if (gdb_->killed())
            return {EndingKind::quit, 0, "killed by gdb"};
    }
    if (Ending ending = typed())
        return ending;
    if (console_) {
        u8 none[1];
        if (!input_)
            (void)console_->monitor().take(
                std::span<u8>(none, 0)); // reads what has been typed: the keys may be among it
        switch (console_->serial().wish()) {
        case Wish::quit:
            return {EndingKind::quit, 0, {}};
        case Wish::monitor:
            prompt();
            break;
        default:
            break;
        }
    }
    return {};
}

void Watch::wait() {
    pollfd descriptors[] = {{.fd = signals_.descriptor(), .events = POLLIN, .revents = 0},
                            {.fd = gdb_ ? gdb_->descriptor() : -1, .events = POLLIN, .revents = 0},
                            {.fd = input_ ? monitor_ear_.waits_on() : -1, .events = POLLIN, .revents = 0},
                            {.fd = console_ ? console_->serial().waits_on() : -1, .events = POLLIN, .revents = 0}};
    ::poll(descriptors, std::size(descriptors), -1);
}

void Watch::stopped() {
    bool any = false;
    for (unsigned i = 0; i < machine_.cpus(); ++i) {
        Cpu& cpu = machine_.cpu(i);
        if (cpu.stop_reason().kind != StopKind::debugger)
            continue;
        any = true;
        if (gdb_)
            continue;
        // Somebody at the monitor asked for it.
        say(cpu.stop_reason().text + "\n" + monitor_.where());
        cpu.clear_stop();
        held_ = prompt_due_ = true;
        until_stop_ = false;
    }
    if (any && gdb_)
        gdb_->stopped();
}

/// The machine's own end. gdb may want to look at it first.
Ending Watch::over(Ending ending) {
    if (gdb_) {
        gdb_->ended(ending);
        while (gdb_->holds() && !gdb_->killed() && !host::EndingSignals::caught()) {
            wait();
            if (attend())
                break;
        }
    }
    return ending;
}

Ending Watch::run(u64 until_instructions, u64 until_time) {
    for (;;) {
        if (Ending ending = attend())
            return over(std::move(ending));
        if (holds()) {
            wait();
            continue;
        }
        Ending ending = machine_.run(std::min(until_instructions, step_until_), until_time);
        switch (ending.kind) {
        case EndingKind::debugger:
            stopped();
            continue;
        case EndingKind::monitor:
            if (lines_.empty())
                prompt_due_ = true; // the key, not a line
            continue;
        case EndingKind::quit:
            if (host::EndingSignals::caught())
                continue; // attend() has the words
            return over(std::move(ending));
        case EndingKind::instructions:
            if (machine_.instructions() >= step_until_) {
                step_until_ = never;
                held_ = true;
                say(monitor_.where());
                prompt_due_ = true;
            }
            if (machine_.instructions() >= until_instructions)
                return ending;
            continue;
        default:
            return over(std::move(ending));
        }
    }
}

} // namespace vitrine::app
