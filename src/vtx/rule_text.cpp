// SPDX-License-Identifier: Apache-2.0
// One paragraph for each row of the tables.
#include "vtx/rule_text.h"

#include "vtx/spec/entry_rules.h"
#include "vtx/spec/operand_rules.h"

#include <fmt/format.h>

namespace vitrine::vtx {

namespace {

const char* consequence(Failure f) {
    switch (f) {
    case Failure::invalid_controls: return "VMfailValid with error 7 (VM entry with invalid control field(s))";
    case Failure::invalid_host_state: return "VMfailValid with error 8 (VM entry with invalid host-state field(s))";
    case Failure::guest_state: return "a VM-entry failure, exit reason 33, qualification 0";
    case Failure::guest_pdpte: return "a VM-entry failure, exit reason 33, qualification 2 (PDPTE loading)";
    case Failure::guest_nmi_with_sti: return "a VM-entry failure, exit reason 33, qualification 3 (NMI injected with blocking by STI)";
    case Failure::guest_link_pointer: return "a VM-entry failure, exit reason 33, qualification 4 (VMCS link pointer)";
    }
    return "";
}

} // namespace

std::string rule_text(std::string_view name) {
    std::string text;
    for_each_rule([&](const Rule& r) {
        if (r.id == name)
            text = fmt::format("{} is a rule of VM entry (SDM volume 3, {}):\n  {}\nBroken, it is {}.\n", r.id, r.section->title, r.sentence, consequence(r.failure));
    });
    const auto operand = [&](const auto& rules) {
        for (const OperandRule& r : rules)
            if (r.id == name)
                text = fmt::format("{} (SDM volume 3, {}):\n  {}\nBroken, it is VMfailValid with error 28.\n", r.id, r.section->title, r.sentence);
    };
    operand(invept_rules);
    operand(invvpid_rules);
    if (name.starts_with("exit."))
        for (const ExitRow& r : exit_rows)
            if (r.id == name.substr(5))
                text = fmt::format("{} is basic exit reason {}: {}\n", name, static_cast<unsigned>(r.reason), r.name);
    return text;
}

} // namespace vitrine::vtx
