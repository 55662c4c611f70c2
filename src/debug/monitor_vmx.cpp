// SPDX-License-Identifier: Apache-2.0
// The monitor's commands about VMX: virtual machines, the VMCS, EPT, VM exits.
#include "debug/monitor.h"

#include "vtx/explain.h"
#include "vtx/unit.h"
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::debug {

namespace {

constexpr std::size_t most_rows = 40; ///< of VM exits in one reply

MonitorReply wrong(std::string_view what, std::string_view right) {
    return {fmt::format("{}: {}\n", what, right)};
}

const MonitorReply no_vmx{"these processors have no VMX: start the machine with `--vmx on`\n"};

} // namespace

MonitorReply Monitor::vm(const Words&) {
    MonitorReply reply;
    for (unsigned n = 0; n < machine_.cpus(); ++n) {
        vtx::Unit* unit = machine_.vmx(n);
        if (!unit)
            return no_vmx;
        const vtx::Vmcs& v = unit->vmcs();
        reply.text += fmt::format("CPU{} {}", n, !unit->in_operation() ? "outside VMX operation" : unit->in_non_root() ? "VMX non-root operation" : "VMX root operation");
        if (v.valid())
            reply.text += fmt::format(", VMCS {:x}, VPID {:x}, EPTP {:x}, guest rip {:x}, host rip {:x}", v.pointer(), v[vtx::F::vpid], v[vtx::F::eptp],
                                      unit->in_non_root() ? machine_.cpu(n).rip : v[vtx::F::guest_rip], v[vtx::F::host_rip]);
        reply.text += fmt::format(", {} VM entries\n", unit->entries());
    }
    return reply;
}

MonitorReply Monitor::vmcs(const Words& words) {
    vtx::Unit* unit = machine_.vmx(cpu_);
    if (!unit)
        return no_vmx;
    std::string part;
    for (std::size_t n = 1; n < words.size(); ++n)
        part += (n > 1 ? " " : "") + std::string(words[n]);
    return {vtx::explain_vmcs(*unit, part)};
}

MonitorReply Monitor::ept(const Words& words) {
    vtx::Unit* unit = machine_.vmx(cpu_);
    if (!unit)
        return no_vmx;
    const auto at = value(words[1]);
    return at ? MonitorReply{vtx::explain_ept_walk(*unit, cpu(), GuestPhysical{*at})} : wrong(words[1], "not an address");
}

/// Of the guest's tables, and of EPT below each of them where a guest runs on EPT.
MonitorReply Monitor::walk(const Words& words) {
    const auto at = value(words[1]);
    if (!at)
        return wrong(words[1], "not an address");
    vtx::Unit* unit = machine_.vmx(cpu_);
    return {unit && cpu().second_level ? vtx::explain_nested_walk(*unit, cpu(), Linear{*at}) : explain_walk(cpu(), Linear{*at})};
}

MonitorReply Monitor::entry(const Words&) {
    vtx::Unit* unit = machine_.vmx(cpu_);
    if (!unit)
        return no_vmx;
    if (!unit->vmcs().valid())
        return {"no VMCS is current\n"};
    const std::string why = unit->explain_entry();
    return {why.empty() ? "the current VMCS breaks no rule of VM entry\n" : why};
}

MonitorReply Monitor::exits(const Words& words) {
    using By = vtx::ExitStatistics::By;
    if (!machine_.vmx(0))
        return no_vmx;
    const std::string_view by = words.size() > 1 ? words[1] : "reason";
    if (by != "reason" && by != "vm" && by != "rip")
        return wrong(by, "usage: exits [reason|vm|rip]");
    MonitorReply reply;
    for (unsigned n = 0; n < machine_.cpus(); ++n) {
        const auto rows = machine_.vmx(n)->statistics().rows(by == "reason" ? By::reason : by == "vm" ? By::vmcs : By::rip);
        u64 all = 0;
        for (const auto& r : rows)
            all += r.sum.exits;
        if (!all)
            continue;
        reply.text += fmt::format("CPU{}: {} VM exits\n  {:>10} {:>6} {:>10} {:>10}  by {}\n", n, all, "exits", "share", "mean cost", "highest", by);
        for (std::size_t i = 0; i < std::min(rows.size(), most_rows); ++i) {
            const auto& [key, sum] = rows[i];
            reply.text += fmt::format("  {:>10} {:>5.1f}% {:>10} {:>10}  ", sum.exits, 100.0 * static_cast<double>(sum.exits) / static_cast<double>(all),
                                      sum.instructions / sum.exits, sum.highest);
            if (by == "vm")
                reply.text += fmt::format("VMCS {:x}\n", key.vmcs);
            else
                reply.text += fmt::format("{}{}\n", vtx::find_exit(key.reason)->name, by == "rip" ? fmt::format(" at {:x}", key.rip) : "");
        }
    }
    return reply.text.empty() ? MonitorReply{"no VM exit so far\n"} : reply;
}

MonitorReply Monitor::until_exit(const Words& words) {
    if (!machine_.vmx(0))
        return no_vmx;
    vtx::ExitStop stop;
    const std::string_view what = words.size() > 1 ? words[1] : "any";
    if (what == "any") {
        stop.every = true;
    } else if (what == "failed-entry") {
        stop.failed_entry = true;
    } else if (what != "off") {
        std::string names;
        for (const vtx::ExitRow& r : vtx::exit_rows) {
            if (what == r.id)
                stop.reason = r.reason;
            names += fmt::format(" {}", r.id);
        }
        if (!stop.reason)
            return wrong(what, "any, failed-entry, off, or one of" + names);
    }
    for (unsigned n = 0; n < machine_.cpus(); ++n)
        machine_.vmx(n)->stop_at(stop);
    return {.text = {}, .action = what == "off" ? MonitorAction::none : MonitorAction::until_stop};
}

} // namespace vitrine::debug
