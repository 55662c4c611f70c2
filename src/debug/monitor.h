// SPDX-License-Identifier: Apache-2.0
// The monitor: commands of a person who looks into a machine between two of its instructions, as a table.
#pragma once

#include "debug/hooks.h"
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
        bool of_level = false; ///< shows the level that `vm N` has selected
    };

    /// `hooks`: those that gdb uses too.
    explicit Monitor(machine::Machine& m, std::shared_ptr<Hooks> hooks = nullptr);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

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
    MonitorReply set_break(const Words& words);
    MonitorReply remove_break(const Words& words);
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

    /// Numbers virtual machines from 1 on, in the order in which they are met.
    void find_vms();
    /// A number of `vm`; `now` and `any` are levels that are none.
    bool level_named(std::string_view name, std::string_view none, std::optional<u64>& level);
    std::string name_of_level(std::optional<u64> level) const;
    std::string label_of_level(u64 level);

    machine::Machine& machine_;
    std::function<std::string(std::string_view)> explain_;
    unsigned cpu_ = 0;
    std::string_view format_; ///< of the present command, after its slash
    std::shared_ptr<Hooks> hooks_;
    Breakpoints breakpoints_;
    std::vector<u64> vms_;      ///< VMCSs by number - 1
    std::optional<u64> level_;  ///< that `vm N` selected: 0 the hypervisor, else a VMCS; nothing: what runs
    bool other_level_ = false;  ///< the present command shows a level that does not run
};

} // namespace vitrine::debug
