// SPDX-License-Identifier: Apache-2.0
// The report of VM exits and failing VM entries.
#include "app/vmx_report.h"

#include "machine/machine.h"

#include <fmt/format.h>

namespace vitrine::app {

namespace {

constexpr std::size_t most_places = 10; ///< guest rips that are shown

} // namespace

VmxReport vmx_report(machine::Machine& m) {
    using By = vtx::ExitStatistics::By;
    VmxReport report;
    for (unsigned n = 0; n < m.cpus(); ++n) {
        const vtx::Unit* unit = m.vmx(n);
        if (!unit)
            break;
        report.processors.push_back({n, unit->retired()});
        for (const auto& vm : unit->statistics().rows(By::vmcs)) {
            VirtualProcessor& p = report.virtual_processors.emplace_back();
            p.cpu = n;
            p.vmcs = vm.key.vmcs;
            p.exits = vm.sum.exits;
            p.instructions = vm.sum.guest + unit->unfinished(p.vmcs);
            p.reasons = unit->statistics().rows(By::reason, p.vmcs);
            p.places = unit->statistics().rows(By::rip, p.vmcs);
            p.places.resize(std::min(p.places.size(), most_places));
        }
        report.failed_entries.insert(report.failed_entries.end(), unit->failed_entries().begin(), unit->failed_entries().end());
    }
    return report;
}

std::string vmx_text(const VmxReport& report) {
    std::string text;
    for (const ProcessorReport& p : report.processors)
        if (p.retired.root)
            text += fmt::format("retired on CPU{:<4}  {} in VMX non-root operation, {} in root operation, {} without VMX\n", p.cpu, p.retired.non_root, p.retired.root,
                                p.retired.without_vmx);
    for (const VirtualProcessor& p : report.virtual_processors) {
        text += fmt::format("VM exits            {} (CPU{}, VMCS {:x}), {} instructions of the guest; cost: the VMM's instructions until the next VM entry\n", p.exits, p.cpu,
                            p.vmcs, p.instructions);
        const auto line = [&](const vtx::ExitStatistics::Row& r, bool place) {
            text += fmt::format("  {:>10} {:>5.1f}%  mean {:>8}  highest {:>9}  {}{}\n", r.sum.exits,
                                100.0 * static_cast<double>(r.sum.exits) / static_cast<double>(p.exits), r.sum.instructions / r.sum.exits, r.sum.highest,
                                vtx::find_exit(r.key.reason)->name, place ? fmt::format(" at {:x}", r.key.rip) : "");
        };
        for (const auto& r : p.reasons)
            line(r, false);
        text += "  most often at\n";
        for (const auto& r : p.places)
            line(r, true);
    }
    if (!report.failed_entries.empty())
        text += fmt::format("failed VM entries   {}\n", report.failed_entries.size());
    return text;
}

} // namespace vitrine::app
