// SPDX-License-Identifier: Apache-2.0
// The report as text.
#include "report/tables.h"
#include "report/writers.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::report {

namespace {

/// Columns are counted in code points: one for each byte that does not continue another.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view text, std::size_t to, bool right) {
    const std::string space(to - std::min(to, width(text)), ' ');
    return right ? space + std::string(text) : std::string(text) + space;
}

std::string table_text(const Table& table) {
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        std::size_t w = width(table.columns[c].name);
        for (const auto& row : table.rows)
            w = std::max(w, width(row[c].text));
        widths.push_back(w);
    }
    const auto line = [&](auto&& cell) {
        std::string text = "   ";
        for (std::size_t c = 0; c < table.columns.size(); ++c)
            text += " " + padded(cell(c), widths[c], c > 0) + (c + 1 < table.columns.size() ? " " : "");
        text.erase(text.find_last_not_of(' ') + 1);
        return text + "\n";
    };
    std::string text = table.title.empty() ? "" : "  " + table.title + "\n";
    text += line([&](std::size_t c) { return table.columns[c].name; });
    for (const auto& row : table.rows)
        text += line([&](std::size_t c) { return std::string_view(row[c].text); });
    return text;
}

std::string journey_text(const Journey& j) {
    std::string text = fmt::format("  frame {}: {} pool {}: {}\n", j.number, j.adapter, j.pool, text_of(j.end));
    u64 before = j.steps.empty() ? 0 : j.steps.front().time;
    for (const Step& s : j.steps) {
        text += fmt::format("    {:>16} +{:<10} {:<10} {}{}{}{}\n", grouped(s.time), s.time - before,
                            lanes[static_cast<unsigned>(s.lane)].name, s.what, s.detail.empty() ? "" : "; ", s.detail,
                            s.inferred ? " (inferred)" : "");
        before = s.time;
    }
    return text;
}

} // namespace

std::string text(const Report& report) {
    std::string text = fmt::format("report of {}\n", report.title);
    for (const Section& s : sections(report)) {
        text += fmt::format("\n{}{}{}\n", s.title, s.note.empty() ? "" : ": ", s.note);
        for (std::size_t n = 0; n + 1 < s.head.size(); n += 2)
            text += fmt::format("  {:<32} {}\n", s.head[n].text, s.head[n + 1].text);
        for (const Panel& p : s.panels) {
            text += " " + p.title + (p.tables.empty() ? ": " + p.none : "") + "\n";
            for (const Table& t : p.tables)
                text += table_text(t);
        }
    }
    if (!report.journeys.empty())
        text += "\nThe ways of single frames (virtual nanoseconds, and since the step before)\n";
    for (const Journey& j : report.journeys)
        text += journey_text(j);
    return text;
}

} // namespace vitrine::report
