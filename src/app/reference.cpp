// SPDX-License-Identifier: Apache-2.0
// Reference pages from tables.
#include "app/reference.h"

#include "app/explain_processor.h"
#include "app/explain_vtd.h"
#include "app/lists.h"
#include "app/run_command.h"
#include "app/vtc_reference.h"
#include "debug/monitor.h"
#include "glass/events.h"
#include "machine/device_table.h"
#include "machine/ending.h"
#include "x86/model.h"
#include "x86/msr.h"
#include "x86/vectors.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace vitrine::app {

namespace {

/// A table's text may hold what Markdown takes for the border of a cell.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += c == '|' ? std::string("\\|") : std::string(1, c);
    return out;
}

std::string code(std::string_view text) {
    return text.empty() ? std::string() : "`" + cell(text) + "`";
}

std::string options() {
    std::string text =
        "# Options of `vitrine run`\n\n"
        "An option that is no list, given twice, is an error. Sizes take K, M, G and T; numbers are decimal or 0x….\n\n"
        "| option | value | may be given | meaning |\n| --- | --- | --- | --- |\n";
    for (const OptionRow& row : run_options())
        text += fmt::format("| {} | {} | {} | {} |\n", code(row.name), code(row.value),
                            row.kind == OptionKind::list ? "several times" : "once", cell(row.help));
    return text;
}

std::string statuses() {
    std::string text = "# Exit statuses\n\n"
                       "The machine's own outcomes are even, a guest's verdict is odd. A run that a signal ended "
                       "(SIGINT, SIGTERM, SIGHUP) is\n"
                       "cleaned up and reported, and the process then dies by that signal, which a shell shows as 128 "
                       "+ its number.\n\n"
                       "| status | outcome | meaning |\n| --- | --- | --- |\n";
    std::set<int> all;
    for (const machine::EndingRow& row : machine::endings)
        if (row.status >= 0)
            all.insert(row.status);
    for (const StatusRow& row : other_statuses())
        all.insert(row.status);
    for (const int status : all) {
        for (const machine::EndingRow& row : machine::endings)
            if (row.status == status)
                text += fmt::format("| {} | {} | {} |\n", status, code(row.name), cell(row.meaning));
        for (const StatusRow& row : other_statuses())
            if (row.status == status)
                text += fmt::format("| {} | | {} |\n", status, cell(row.meaning));
    }
    return text +
           "| odd | `debug-exit` | the guest's verdict V, written to the `--debug-exit` port: (V << 1) \\| 1 |\n";
}

std::string msrs() {
    std::string text = "# Model-specific registers\n\n"
                       "RDMSR and WRMSR of any other give #GP, and the event `msr.unknown` is counted.\n\n"
                       "| index | name | access |\n| --- | --- | --- |\n";
    for (const MsrRow& row : msr_rows())
        text += fmt::format("| {} | {} | {}{} |\n",
                            row.count == 1 ? fmt::format("{:x}h", row.index)
                                           : fmt::format("{:x}h to {:x}h", row.index, row.index + row.count - 1),
                            cell(row.name),
                            row.read && row.write ? "read, write"
                            : row.read            ? "read"
                                                  : "write",
                            row.exists ? ", if the model has what it belongs to" : "");
    return text;
}

std::string cpuid() {
    static constexpr std::array names{"EAX", "EBX", "ECX", "EDX"};
    std::string text = "# CPUID\n\n## Leaves\n\n| leaf | meaning |\n| --- | --- |\n";
#define CPUID_LEAF(leaf, meaning) text += fmt::format("| {:x}h | {} |\n", leaf, cell(meaning));
#include "x86/spec/cpuid_leaves.def"
#undef CPUID_LEAF
    text += "\n## Features\n\nThe key is what `--cpu NAME,+KEY,-KEY` takes. What the host computes must be in the "
            "host's processor too.\n\n"
            "| key | name | leaf | subleaf | bit | computed by |\n| --- | --- | --- | --- | --- | --- |\n";
    for (const FeatureRow& row : feature_rows())
        text +=
            fmt::format("| {} | {} | {:x}h | {} | {}[{}] | {} |\n", code(row.key), cell(row.name), row.leaf,
                        row.subleaf, names[static_cast<unsigned>(row.reg)], row.bit, row.host ? "the host" : "Vitrine");
    return text;
}

std::string models() {
    std::string text = "# Processor models\n\n`--cpu NAME,+FEATURE,-FEATURE`; the first is the default. The features' "
                       "keys stand on the page "
                       "[cpuid](cpuid.md).\n";
    for (const CpuIdentity& id : cpu_identities()) {
        text +=
            fmt::format("\n## `{}`\n\n{}. \"{}\", family {}, model {}, stepping {}, {} bits of physical address.\n\n",
                        id.name, cell(id.meaning), cell(id.brand), id.family, id.model, id.stepping, id.physical_bits);
        if (id.generation >= Generation::max) {
            text += "It has every computing instruction that the host has, so a hash is the same on like hosts only.\n";
            continue;
        }
        std::string line;
        for (const FeatureRow& row : feature_rows()) {
            if (row.since > id.generation)
                continue;
            if (line.size() + std::string_view(row.key).size() > 110) {
                text += line + "\n";
                line.clear();
            }
            line += fmt::format("{}`{}`", line.empty() ? "" : " ", row.key);
        }
        text += line + "\n";
    }
    return text;
}

std::string devices() {
    std::string text = "# Devices\n\nWhat `--device NAME,key=value` plugs in, besides what every machine has.\n\n"
                       "| name | bus | meaning | properties |\n| --- | --- | --- | --- |\n";
    for (const machine::DeviceRow& row : machine::device_table()) {
        std::string properties;
        for (const machine::PropertyRow& p : row.properties)
            properties +=
                fmt::format("{}`{}={}`: {}", properties.empty() ? "" : "; ", p.name, p.standard, cell(p.meaning));
        text += fmt::format("| `{}` | {} | {} | {} |\n", row.name, row.bus, cell(row.meaning), properties);
    }
    return text;
}

std::string topics() {
    std::string text = "# Topics of `--trace`\n\nSeveral are separated by commas; `all` is all of them. A line is\n"
                       "`[SECONDS.NANOSECONDS INSTRUCTIONS CPUn] topic event name=value …`, numbers hexadecimal.\n\n"
                       "| topic | what it tells |\n| --- | --- |\n";
    for (const TopicRow& row : topic_rows())
        text += fmt::format("| `{}` | {} |\n", name_of(row.topic), cell(row.meaning));
    return text;
}

std::string events() {
    std::string text = "# Events\n\nWhat `--trace` tells, by topic. Odd ones (strange but legal, or not modelled) are "
                       "counted always, `--stats` prints\n"
                       "the counts, and the first few of each are shown without `--trace`. `*` stands for the name of "
                       "a bus or device.\n\n"
                       "| event | topic | odd | meaning |\n| --- | --- | --- | --- |\n";
    for (const EventRow& row : event_rows())
        text += fmt::format("| {} | {} | {} | {} |\n", code(row.name), code(name_of(row.topic)), row.odd ? "odd" : "",
                            cell(row.meaning));
    return text;
}

std::string exceptions() {
    std::string text = "# Exceptions\n\n| vector | mnemonic | name | kind | error code | usual causes |\n| --- | --- | "
                       "--- | --- | --- | --- |\n";
    for (const VectorRow& row : exception_rows())
        text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", row.vector, row.mnemonic, row.name, row.kind,
                            row.error_code ? "yes" : "no", cell(row.causes));
    return text;
}

std::string monitor() {
    std::string text = "# Commands of the monitor\n\nNames may be shortened. Addresses are numbers, decimal or 0x…, "
                       "registers ($rip, $rsp, $cr2, $idtr …), and "
                       "sums of them.\n\n| command | arguments | meaning |\n| --- | --- | --- |\n";
    for (const debug::Monitor::Command& c : debug::Monitor::commands())
        text += fmt::format("| {} | {} | {} |\n", code(c.name), code(c.arguments), cell(c.help));
    return text;
}

struct Page {
    std::string_view name;
    std::string (*text)();
};

constexpr Page pages[] = {
    {"cpuid", cpuid},       {"devices", devices},     {"events", events},         {"exceptions", exceptions}, {"i82576", i82576_reference},
    {"i82599", i82599_reference}, {"models", models}, {"monitor", monitor},       {"msrs", msrs},             {"options", options},
    {"statuses", statuses}, {"trace-topics", topics}, {"vt-d", vtd_reference},
};

} // namespace

std::string reference_pages() {
    std::string text;
    for (const Page& page : pages)
        text += std::string(page.name) + "\n";
    return text;
}

Expected<std::string> reference_page(std::string_view name) {
    for (const Page& page : pages)
        if (page.name == name)
            return page.text() + "\n<!-- printed by `vitrine docs " + std::string(name) + "` -->\n";
    std::string names;
    for (const Page& page : pages)
        names += (names.empty() ? "" : ", ") + std::string(page.name);
    return Error("docs " + std::string(name) + ": there is no such page; there are " + names);
}

} // namespace vitrine::app
