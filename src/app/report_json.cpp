// SPDX-License-Identifier: Apache-2.0
// The report of a run as one line of JSON.
#include "app/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vitrine::app {

namespace {

std::string hexadecimal(u64 value) { return fmt::format("{:#x}", value); }

/// "processors", "virtual_processors" and "failed_vm_entries", where there are any.
void add_vmx(nlohmann::ordered_json& json, const VmxReport& report) {
    for (const ProcessorReport& p : report.processors)
        json["processors"].push_back({{"cpu", p.cpu}, {"without_vmx", p.retired.without_vmx}, {"root", p.retired.root}, {"non_root", p.retired.non_root}});
    for (const VirtualProcessor& p : report.virtual_processors) {
        nlohmann::ordered_json one{{"cpu", p.cpu}, {"vmcs", hexadecimal(p.vmcs)}, {"exits", p.exits}, {"instructions", p.instructions}};
        const auto rows = [&](const char* name, const std::vector<vtx::ExitStatistics::Row>& from, bool place) {
            for (const auto& r : from) {
                nlohmann::ordered_json row{{"reason", vtx::find_exit(r.key.reason)->id}, {"exits", r.sum.exits}, {"instructions", r.sum.instructions}, {"highest", r.sum.highest}, {"guest_instructions", r.sum.guest}};
                if (place)
                    row["rip"] = hexadecimal(r.key.rip);
                one[name].push_back(std::move(row));
            }
        };
        rows("reasons", p.reasons, false);
        rows("places", p.places, true);
        json["virtual_processors"].push_back(std::move(one));
    }
    for (const vtx::EntryReport& e : report.failed_entries) {
        nlohmann::ordered_json one{{"outcome", e.outcome}, {"cpu", e.cpu}, {"vmcs", hexadecimal(e.vmcs)}, {"rip", hexadecimal(e.rip)}, {"virtual_nanoseconds", e.time}};
        for (const vtx::RuleReport& r : e.rules) {
            nlohmann::ordered_json rule{{"rule", r.rule->id}, {"sentence", r.rule->sentence}, {"section", r.rule->section->title}};
            for (const vtx::FieldReport& f : r.fields) {
                nlohmann::ordered_json field{{"name", vtx::row(f.field).name}, {"value", hexadecimal(f.value)}};
                if (f.written) {
                    field["last_written_at_rip"] = hexadecimal(f.writer_rip);
                    field["entries_ago"] = f.entries_ago;
                }
                rule["fields"].push_back(std::move(field));
            }
            one["broken"].push_back(std::move(rule));
        }
        json["failed_vm_entries"].push_back(std::move(one));
    }
}

} // namespace

std::string json_text(const RunReport& r) {
    nlohmann::ordered_json j;
    j["name"] = r.name;
    j["outcome"] = machine::row_of(r.ending.kind).name;
    j["status"] = r.status;
    if (r.ending.kind == machine::EndingKind::debug_exit)
        j["verdict"] = r.ending.verdict;
    j["message"] = ending_text(r.ending);
    j["instructions"] = r.instructions;
    j["retired"] = r.retired;
    j["virtual_seconds"] = r.virtual_seconds();
    j["host_seconds"] = r.host_seconds();
    j["million_instructions_per_second"] = r.million_instructions_per_second();
    if (r.hash)
        j["hash"] = r.hash->text();
    j["counters"] = r.counters;
    add_vmx(j, r.vmx);
    return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace vitrine::app
