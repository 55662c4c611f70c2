// SPDX-License-Identifier: Apache-2.0
// Tables as text.
#include "app/lists.h"

#include "app/explain_processor.h"
#include "app/explain_vtd.h"
#include "app/run_command.h"
#include "glass/events.h"
#include "machine/device_table.h"
#include "machine/ending.h"
#include "vtx/capability_list.h"
#include "vtx/rule_text.h"
#include "x86/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vitrine::app {

namespace {

// clang-format off
constexpr TopicRow topics[] = {
    {Topic::cpu,        "processors: exceptions and interrupts as they are delivered, MSRs, control registers, changes of mode"},
    {Topic::memory,     "every access to devices, by port or memory, with the region's name; accesses that are rejected"},
    {Topic::vmx,        "VT-x"},
    {Topic::jit,        "the translator"},
    {Topic::interrupts, "8259, I/O APIC, local APICs: registers, messages, interprocessor interrupts, acknowledgements"},
    {Topic::pci,        "configuration space: reads and writes; resets of functions; messages and DMA that are not allowed"},
    {Topic::vtd,        "VT-d: commands, invalidations, remapped and posted interrupts, what is blocked"},
    {Topic::vtc,        "VT-c: frame by frame, which filter chose which pool and queue, or why it was dropped; resets, links, virtual functions"},
    {Topic::chipset,    "HPET, power management, resets, POST codes"},
    {Topic::devices,    "disks and test devices: commands, errors"},
    {Topic::firmware,   "booting and firmware tables"},
    {Topic::machine,    "the machine as a whole: boots, timers as they fire"},
    {Topic::debug,      "gdb and the monitor"},
};
// clang-format on

constexpr StatusRow more_statuses[] = {
    {2, "the command line or an input file is wrong; nothing ran"},
    {70, "a bug of Vitrine; the message says where, please report it"},
};

std::string explain_device(const machine::DeviceRow& row) {
    std::string text = fmt::format("{} is a device ({}): {}\n", row.name, row.bus, row.meaning);
    for (const machine::PropertyRow& p : row.properties)
        text += fmt::format("  {}={}  {}\n", p.name, p.standard, p.meaning);
    return text + fmt::format("Plug it in with --device {}\n", row.name);
}

std::string explain_model(const CpuIdentity& id) {
    std::string text = fmt::format("{} is a processor model: {}\n  {}\n  family {}, model {}, stepping {}\n", id.name, id.meaning,
                                   id.brand, id.family, id.model, id.stepping);
    const auto model = find_cpu_model(id.name);
    if (!model.ok())
        return text + "  " + model.error().message + "\n";
    std::string line = " ";
    for (const FeatureRow& row : feature_rows())
        if (model.value().has(row.id)) {
            if (line.size() + std::string_view(row.key).size() > 100) {
                text += line + "\n";
                line = " ";
            }
            line += std::string(" ") + row.key;
        }
    return text + line + "\n";
}

std::string explain_feature(const FeatureRow& row) {
    static constexpr std::array names{"EAX", "EBX", "ECX", "EDX"};
    return fmt::format("{} is the processor feature {}: CPUID {:x}h.{} {} bit {}, {}\n", row.key, row.name, row.leaf, row.subleaf,
                       names[static_cast<unsigned>(row.reg)], row.bit,
                       row.host ? "computed by the host's own instruction" : "implemented by Vitrine, whatever the host has");
}

std::string explain_status(int status) {
    std::string text;
    for (const machine::EndingRow& row : machine::endings)
        if (row.status == status)
            text += fmt::format("status {}: {} ({})\n", status, row.meaning, row.name);
    for (const auto& [n, meaning] : more_statuses)
        if (n == status)
            text += fmt::format("status {}: {}\n", n, meaning);
    if (status % 2 == 1)
        text += fmt::format("status {}: the guest's verdict, the value {} written to the --debug-exit port\n", status, status / 2);
    return text;
}

} // namespace

std::span<const TopicRow> topic_rows() { return topics; }

std::span<const StatusRow> other_statuses() { return more_statuses; }

std::string devices_text() {
    std::string text;
    for (const machine::DeviceRow& row : machine::device_table()) {
        text += fmt::format("{:<18} {:<4} {}\n", row.name, row.bus, row.meaning);
        for (const machine::PropertyRow& p : row.properties)
            text += fmt::format("{:<18}      {}={}: {}\n", "", p.name, p.standard, p.meaning);
    }
    return text;
}

std::string cpus_text() {
    std::string text;
    for (const CpuIdentity& id : cpu_identities())
        text += fmt::format("{:<18} {}{}\n", id.name, id.meaning, &id == cpu_identities().data() ? " (the default)" : "");
    return text + "Features are added and taken away by name: --cpu NAME,+FEATURE,-FEATURE\n";
}

Expected<std::string> explain_text(std::string_view what) {
    if (std::string text = vtx::rule_text(what); !text.empty())
        return text;
    if (const machine::DeviceRow* row = machine::find_device(what))
        return explain_device(*row);
    for (const CpuIdentity& id : cpu_identities())
        if (id.name == what)
            return explain_model(id);
    for (const FeatureRow& row : feature_rows())
        if (row.key == what || row.name == what)
            return explain_feature(row) +
                   (row.id == Feature::vmx ? "What --vmx takes first, on or a generation:\n" + vtx::generation_names() + "What it can take away:\n" + vtx::capability_names() : std::string());
    for (const TopicRow& row : topics)
        if (name_of(row.topic) == what)
            return fmt::format("{} is a topic of --trace: {}\n", what, row.meaning);
    for (const machine::EndingRow& row : machine::endings)
        if (row.name == what)
            return fmt::format("{} is an outcome{}: {}\n", what, row.status >= 0 ? fmt::format(" (status {})", row.status) : "",
                               row.meaning);
    for (const OptionRow& row : run_options())
        if (row.name == what)
            return fmt::format("{} {}: {}\n", row.name, row.value, row.help) + (what == "--iommu" ? iommu_keys_text() : std::string());
    if (auto text = explain_vtd(what))
        return *text;
    if (const EventRow* row = find_event(what))
        return fmt::format("{} is an event of the topic {}, {}: {}\n", what, name_of(row->topic),
                           row->odd ? "odd (counted, and the first ones are always shown)" : "told with --trace", row->meaning);
    for (const auto explain : {explain_exception, explain_msr, explain_cpuid})
        if (auto text = explain(what))
            return *text;
    int status = 0;
    const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), status);
    if (error == std::errc{} && end == what.data() + what.size() && status >= 0 && status < 256)
        if (const std::string text = explain_status(status); !text.empty())
            return text;
    return Error("explain " + std::string(what) +
                 ": nothing has that name; ask for a device, a processor model or feature, an exception (#GP, vector 13), a register (IA32_EFER, "
                 "msr 0x1b), a leaf (cpuid 7), a fault of VT-d (vt-d/fault/5), a register of it (vt-d/GSTS), an event, a topic, an option, an outcome or an exit status");
}

} // namespace vitrine::app
