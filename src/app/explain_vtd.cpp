// SPDX-License-Identifier: Apache-2.0
// Explanations from VT-d's tables.
#include "app/explain_vtd.h"

#include "base/registers.h"
#include "vtd/options.h"
#include "vtd/register_rows.h"
#include "vtd/spec/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vitrine::app {

namespace {

std::string explain_fault(const vtd::FaultRow& row) {
    std::string text = fmt::format("vt-d/fault/{:x}: {}\n  of {} requests; {}\n", static_cast<unsigned>(row.reason), row.meaning,
                                   row.interrupt ? "interrupt" : "memory",
                                   row.qualified ? "silenced by FPD of the entry" : "always recorded");
    return *row.cause ? text + fmt::format("  usually: {}\n", row.cause) : text;
}

const char* kind_name(FieldKind kind) {
    switch (kind) {
    case FieldKind::rw: return "read, write";
    case FieldKind::ro: return "read only";
    case FieldKind::rw1c: return "writing 1 clears";
    case FieldKind::rw1s: return "writing 1 sets";
    case FieldKind::wo: return "write only";
    case FieldKind::reserved: break;
    }
    return "reserved";
}

std::string bits_text(const Field& f) {
    return f.width() == 1 ? std::to_string(f.low()) : fmt::format("{}:{}", f.high(), f.low());
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
}

} // namespace

std::optional<std::string> explain_vtd(std::string_view what) {
    static constexpr std::string_view prefix = "vt-d/", fault = "vt-d/fault/";
    if (what.starts_with(fault)) {
        what.remove_prefix(fault.size());
        if (what.starts_with("0x"))
            what.remove_prefix(2);
        for (const vtd::FaultRow& row : vtd::fault_rows)
            if (row.id == what)
                return explain_fault(row);
        u8 code = 0; // hexadecimal, as the manual and the messages have it
        const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), code, 16);
        if (error != std::errc{} || end != what.data() + what.size())
            return std::nullopt;
        if (const vtd::FaultRow* row = vtd::find_fault(code))
            return explain_fault(*row);
        return fmt::format("vt-d/fault/{:x}: this unit never gives this fault reason\n", code);
    }
    if (!what.starts_with(prefix))
        return std::nullopt;
    what.remove_prefix(prefix.size());
    for (const vtd::RegisterRow& r : vtd::register_rows())
        if (same(r.reg.name, what)) {
            std::string text = fmt::format("{} is VT-d's register at {:x}h, {} bytes: {}\n", r.reg.name, r.reg.offset, r.reg.width, r.reg.meaning);
            for (const Field& f : r.fields)
                text += fmt::format("  {:<6} {:<7} {} ({})\n", bits_text(f), f.name(), f.meaning(), kind_name(f.kind()));
            return text;
        }
    return std::nullopt;
}

std::string iommu_keys_text() {
    std::string text;
    for (const vtd::OptionKey& k : vtd::option_keys())
        text += fmt::format("  {}={}  {}\n", k.name, k.standard, k.meaning);
    return text;
}

std::string vtd_reference() {
    std::string text = "# VT-d\n\n## Keys of `--iommu on,key=value…`\n\n| key | default | meaning |\n| --- | --- | --- |\n";
    for (const vtd::OptionKey& k : vtd::option_keys())
        text += fmt::format("| `{}` | `{}` | {} |\n", k.name, k.standard, k.meaning);
    text += "\n## Fault reasons\n\n`vitrine explain vt-d/fault/5` prints one.\n\n"
            "| code | request | recorded | meaning | usual cause |\n| --- | --- | --- | --- | --- |\n";
    for (const vtd::FaultRow& r : vtd::fault_rows)
        text += fmt::format("| {:x}h | {} | {} | {} | {} |\n", static_cast<unsigned>(r.reason), r.interrupt ? "interrupt" : "memory",
                            r.qualified ? "unless FPD" : "always", r.meaning, r.cause);
    text += "\n## Registers\n\n`vitrine explain vt-d/GSTS` prints one. What is not listed reads as zero.\n\n"
            "| offset | name | bytes | bits | field | meaning | access |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for (const vtd::RegisterRow& r : vtd::register_rows()) {
        text += fmt::format("| {:x}h | {} | {} | | | {} | |\n", r.reg.offset, r.reg.name, r.reg.width, r.reg.meaning);
        for (const Field& f : r.fields)
            text += fmt::format("| | | | {} | {} | {} | {} |\n", bits_text(f), f.name(), f.meaning(), kind_name(f.kind()));
    }
    return text;
}

} // namespace vitrine::app
