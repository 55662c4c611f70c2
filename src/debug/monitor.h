// SPDX-License-Identifier: Apache-2.0
// The monitor: commands of a person who looks into a machine that stands still, as a table of names, help and functions.
#pragma once

#include "machine/machine.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrine::debug {

/// What a command asks whoever runs the machine to do next.
enum class MonitorAction : u8 { stay, go, step, quit };

struct MonitorReply {
    std::string text;
    MonitorAction action = MonitorAction::stay;
    u64 steps = 0;
};

class Monitor {
public:
    explicit Monitor(machine::Machine& m) : machine_(m) {}

    /// Runs one line. Wrong ones get a sentence that says what would be right; nothing here changes what the guest sees.
    MonitorReply run(std::string_view line);

    static constexpr std::string_view prompt = "(vitrine) ";

private:
    using Words = std::vector<std::string_view>;
    using Function = MonitorReply (Monitor::*)(const Words& words);
    struct Command {
        std::string_view name, arguments, help;
        Function function;
        unsigned least, most; ///< number of arguments
    };
    static const std::vector<Command>& commands();

    MonitorReply help(const Words& words);
    MonitorReply registers(const Words& words);
    MonitorReply vectors(const Words& words);
    MonitorReply select_cpu(const Words& words);
    MonitorReply examine(const Words& words);
    MonitorReply examine_physical(const Words& words);
    MonitorReply code(const Words& words);
    MonitorReply walk(const Words& words);
    MonitorReply devices(const Words& words);
    MonitorReply device(const Words& words);
    MonitorReply pending(const Words& words);
    MonitorReply map(const Words& words);
    MonitorReply hash(const Words& words);
    MonitorReply counters(const Words& words);
    MonitorReply trace(const Words& words);
    MonitorReply go(const Words& words);
    MonitorReply step(const Words& words);
    MonitorReply quit(const Words& words);
    MonitorReply dump(const Words& words, bool physical);

    Cpu& cpu() { return machine_.cpu(cpu_); }

    machine::Machine& machine_;
    unsigned cpu_ = 0;
};

} // namespace vitrine::debug
