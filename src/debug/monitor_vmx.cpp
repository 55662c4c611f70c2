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

void Monitor::find_vms() {
    std::vector<u64> met;
    for (unsigned n = 0; n < machine_.cpus(); ++n)
        if (vtx::Unit* unit = machine_.vmx(n)) {
            for (const auto& row : unit->statistics().rows(vtx::ExitStatistics::By::vmcs))
                met.push_back(row.key.vmcs);
            if (unit->vmcs().valid() && unit->vmcs().launched)
                met.push_back(unit->vmcs().pointer());
        }
    std::ranges::sort(met); // an order that is the same in every run
    for (const u64 vmcs : met)
        if (std::ranges::find(vms_, vmcs) == vms_.end())
            vms_.push_back(vmcs);
}

bool Monitor::level_named(std::string_view name, std::string_view none, std::optional<u64>& level) {
    find_vms();
    level.reset();
    if (name == none)
        return true;
    const auto n = value(name);
    if (!n || *n > vms_.size())
        return false;
    level = *n ? vms_[*n - 1] : 0;
    return true;
}

std::string Monitor::name_of_level(std::optional<u64> level) const {
    if (!level)
        return "any";
    const auto at = std::ranges::find(vms_, *level);
    return *level == 0 ? "0" : at == vms_.end() ? fmt::format("VMCS {:x}", *level) : std::to_string(at - vms_.begin() + 1);
}

/// Behind a place where the machine stopped.
std::string Monitor::label_of_level(u64 level) {
    if (!level)
        return {};
    find_vms();
    return fmt::format(", VM {} (VMCS {:x})", name_of_level(level), level);
}

MonitorReply Monitor::vm(const Words& words) {
    if (!machine_.vmx(0))
        return no_vmx;
    if (words.size() > 1) {
        std::optional<u64> level;
        if (!level_named(words[1], "now", level))
            return wrong(words[1], fmt::format("now, 0 for the hypervisor, or a virtual machine from 1 to {} (`vm` lists them)", vms_.size()));
        level_ = level;
        for (unsigned n = 0; level && *level && n < machine_.cpus(); ++n)
            if (machine_.vmx(n)->vmcs().pointer() == *level)
                cpu_ = n; // where its VMCS is current
        return {};
    }
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
    find_vms();
    for (const u64 vmcs : vms_) {
        u64 exits = 0;
        std::string where;
        for (unsigned n = 0; n < machine_.cpus(); ++n) {
            vtx::Unit* unit = machine_.vmx(n);
            for (const auto& row : unit->statistics().rows(vtx::ExitStatistics::By::vmcs))
                exits += row.key.vmcs == vmcs ? row.sum.exits : 0;
            if (unit->vmcs().pointer() == vmcs)
                where = fmt::format(", {} CPU{}", unit->in_non_root() ? "runs on" : "current on", n);
        }
        reply.text += fmt::format("{} VM {}: VMCS {:x}{}, {} VM exits\n", level_ == vmcs ? '*' : ' ', name_of_level(vmcs), vmcs, where, exits);
    }
    if (level_ == 0)
        reply.text += "* VM 0: the hypervisor\n";
    return reply;
}

MonitorReply Monitor::set_break(const Words& words) {
    MonitorReply reply;
    if (words.size() == 1) {
        find_vms();
        for (const auto& [linear, level] : breakpoints_.places())
            reply.text += fmt::format("VM {} at {:x}\n", name_of_level(level), linear);
        return reply.text.empty() ? MonitorReply{"no breakpoints\n"} : reply;
    }
    std::optional<u64> level;
    const auto at = words.size() > 2 ? value(words[2]) : std::nullopt;
    if (!at || !level_named(words[1], "any", level))
        return wrong("break", "usage: break [N|any ADDRESS], N 0 for the hypervisor, or a virtual machine (`vm` lists them)");
    breakpoints_.add(Breakpoints::Kind::hardware, *at, level);
    hooks_->update();
    return reply;
}

MonitorReply Monitor::remove_break(const Words& words) {
    std::optional<u64> level;
    const auto at = value(words[2]);
    if (!at || !level_named(words[1], "any", level))
        return wrong("delete", "usage: delete N|any ADDRESS, as `break` lists them");
    breakpoints_.remove(Breakpoints::Kind::hardware, *at, level);
    hooks_->update();
    return {};
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
