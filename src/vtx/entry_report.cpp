// SPDX-License-Identifier: Apache-2.0
// Why a VM entry failed: every broken rule, the values that it read, and who wrote them last.
#include "vtx/entry_report.h"
#include "vtx/spec/entry_rules.h"
#include "vtx/unit.h"

#include <fmt/format.h>

#include <utility>

namespace vitrine::vtx {

std::string text_of(const std::vector<RuleReport>& rules) {
    std::string text;
    for (const RuleReport& r : rules) {
        text += fmt::format("{}: {} (SDM, {})\n", r.rule->id, r.rule->sentence, r.rule->section->title);
        for (const FieldReport& f : r.fields) {
            text += fmt::format("    {} = {:#x}", row(f.field).name, f.value);
            if (f.written)
                text += fmt::format(", last written at rip {:016x}, {} VM entries ago", f.writer_rip, f.entries_ago);
            text += '\n';
        }
    }
    return text;
}

std::vector<RuleReport> Unit::broken_rules() {
    std::vector<RuleReport> broken;
    if (!vmcs_.valid())
        return broken;
    RuleInput input;
    gather(input);
    for_each_rule([&](const Rule& rule) {
        if (!rule.broken(View(input)))
            return;
        Recorder recorder(input);
        (void)rule.when_recorded(recorder);
        (void)rule.must_recorded(recorder);
        RuleReport& report = broken.emplace_back(RuleReport{&rule, {}});
        for (unsigned n = 0; n < recorder.count(); ++n) {
            const F f = recorder.field(n);
            const Vmcs::Writer& writer = vmcs_.writer(f);
            report.fields.push_back({f, vmcs_[f], writer.known, writer.rip, entries_ - writer.entries});
        }
    });
    return broken;
}

std::string Unit::explain_entry() { return text_of(broken_rules()); }

/// Told always: a failing VM entry is odd, and the first few of each kind are shown.
void Unit::tell_broken(const char* what, const Instruction& entry) {
    EntryReport report{what, cpu_.index(), vmcs_.pointer(), cpu_.rip_of(entry), cpu_.now(), broken_rules()};
    cpu_.glass().odd(Topic::vmx, what, {{"cpu", report.cpu}, {"vmcs", report.vmcs}, {"rip", report.rip}, {"broken", text_of(report.rules)}});
    if (failed_entries_.size() < most_failed_entries)
        failed_entries_.push_back(std::move(report));
    if (std::exchange(stop_.failed_entry, false))
        (void)cpu_.stop(StopKind::debugger, fmt::format("VM entry failed: {} (rip {:x}, VMCS {:x}); `entry` says why", what, cpu_.rip_of(entry), vmcs_.pointer()));
}

} // namespace vitrine::vtx
