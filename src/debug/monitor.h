// SPDX-License-Identifier: Apache-2.0
// The monitor: commands of a person who looks into a machine between two of its instructions, as a table.
#pragma once

#include "machine/machine.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::debug {

/// What a command asks whoever runs the machine to do next.
enum class MonitorAction : u8 { none, stop, go, step, until_stop, reset, quit };

struct MonitorReply {
    std::string text;
    MonitorAction action = MonitorAction::none;
    u64 steps = 0;
};

class Monitor {
public:
    using Words = std::vector<std::string_view>;

    struct Command {
        std::string_view name, arguments, help;
        MonitorReply (Monitor::*function)(const Words& words);
        unsigned least, most; ///< number of arguments
    };

    explicit Monitor(machine::Machine& m) : machine_(m) {}

    /// Answers the command `explain`.
    void set_explain(std::function<std::string(std::string_view what)> explain) { explain_ = std::move(explain); }

    /// Runs one line. Wrong ones get a sentence that says what would be right; nothing here changes what the guest sees
    /// but what says so.
    MonitorReply run(std::string_view line);

    /// Where a machine stopped: the processor and its next instruction.
    std::string where();

    static std::span<const Command> commands();

    static constexpr std::string_view prompt = "(vitrine) ";

private:
    MonitorReply help(const Words& words);
    MonitorReply registers(const Words& words);
    MonitorReply vectors(const Words& words);
    MonitorReply select_cpu(const Words& words);
    MonitorReply examine(const Words& words);
    MonitorReply examine_physical(const Words& words);
    MonitorReply disassemble(const Words& words);
    MonitorReply walk(const Words& words);
    MonitorReply idt(const Words& words);
    MonitorReply vm(const Words& words);
    MonitorReply vmcs(const Words& words);
    MonitorReply ept(const Words& words);
    MonitorReply entry(const Words& words);
    MonitorReply exits(const Words& words);
    MonitorReply until_exit(const Words& words);
    MonitorReply iommu(const Words& words);
    MonitorReply irte(const Words& words);
    MonitorReply nic(const Words& words);
    MonitorReply devices(const Words& words);
    MonitorReply device(const Words& words);
    MonitorReply pending(const Words& words);
    MonitorReply map(const Words& words);
    MonitorReply hash(const Words& words);
    MonitorReply stats(const Words& words);
    MonitorReply trace(const Words& words);
    MonitorReply explain(const Words& words);
    MonitorReply stop(const Words& words);
    MonitorReply go(const Words& words);
    MonitorReply step(const Words& words);
    MonitorReply reset(const Words& words);
    MonitorReply quit(const Words& words);

    MonitorReply dump(const Words& words, bool physical);
    /// A number, decimal or 0x…; a register after a dollar sign; or a sum or difference of such.
    std::optional<u64> value(std::string_view text);
    std::optional<u64> term(std::string_view text);

    Cpu& cpu() { return machine_.cpu(cpu_); }

    machine::Machine& machine_;
    std::function<std::string(std::string_view)> explain_;
    unsigned cpu_ = 0;
    std::string_view format_; ///< of the present command, after its slash
};

} // namespace vitrine::debug
