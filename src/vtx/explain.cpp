// SPDX-License-Identifier: Apache-2.0
// Why a VM entry failed: every broken rule, the values that it read, and who wrote them last.
#include "vtx/spec/entry_rules.h"
#include "vtx/unit.h"

#include <fmt/format.h>

namespace vitrine::vtx {

std::string Unit::explain_entry() {
    if (!vmcs_.valid())
        return {};
    RuleInput input;
    gather(input);
    std::string text;
    for_each_rule([&](const Rule& rule) {
        if (!rule.broken(View(input)))
            return;
        Recorder recorder(input);
        (void)rule.when_recorded(recorder);
        (void)rule.must_recorded(recorder);
        text += fmt::format("{}: {} (SDM, {})\n", rule.id, rule.sentence, rule.section->title);
        for (unsigned n = 0; n < recorder.count(); ++n) {
            const F f = recorder.field(n);
            const Vmcs::Writer& writer = vmcs_.writer(f);
            text += fmt::format("    {} = {:#x}", row(f).name, vmcs_[f]);
            if (writer.known)
                text += fmt::format(", last written at rip {:016x}, {} VM entries ago", writer.rip, entries_ - writer.entries);
            text += '\n';
        }
    });
    return text;
}

/// Told always: a failing VM entry is odd, and the first few of each kind are shown.
void Unit::tell_broken(const char* what) {
    cpu_.glass().odd(Topic::vmx, what, {{"cpu", cpu_.index()}, {"vmcs", vmcs_.pointer()}, {"broken", explain_entry()}});
}

} // namespace vitrine::vtx
