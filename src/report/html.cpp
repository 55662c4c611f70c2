// SPDX-License-Identifier: Apache-2.0
// The report as a page: sections, figures and tables. No script, and nothing that is fetched.
#include "report/tables.h"
#include "report/writers.h"

#include <fmt/format.h>

namespace vitrine::report {

namespace {

std::string attributes(const Cell& c) {
    return c.number() ? fmt::format(" data-figure=\"{}\" data-value=\"{}\"", escaped(c.figure), c.value)
                      : std::string();
}

std::string title_of(const Cell& c) {
    const std::string whole = grouped(c.value);
    return !c.number() || c.text == whole ? std::string() : fmt::format(" title=\"{} ns\"", whole);
}

std::string table_html(const Table& table) {
    std::string text = "<div class=table>";
    if (!table.title.empty())
        text += fmt::format("<h4>{}</h4>", escaped(table.title));
    if (!table.note.empty())
        text += fmt::format("<p class=note>{}</p>", escaped(table.note));
    text += "<div class=scroll><table><thead><tr>";
    for (const Column& c : table.columns)
        text += fmt::format("<th{}>{}</th>", c.secondary ? " class=second" : "", escaped(c.name));
    text += "</tr></thead><tbody>\n";
    for (const auto& row : table.rows) {
        text += "<tr>";
        for (std::size_t n = 0; n < row.size(); ++n) {
            const Cell& c = row[n];
            if (n == 0) {
                text += fmt::format("<th scope=row>{}</th>", escaped(c.text));
                continue;
            }
            std::string classes = c.share >= 0 ? "bar" : "";
            if (table.columns[n].secondary)
                classes += classes.empty() ? "second" : " second";
            text += fmt::format(
                "<td{}{}{}{}>{}</td>", classes.empty() ? "" : fmt::format(" class=\"{}\"", classes),
                c.share >= 0 ? fmt::format(" style=\"--p:{:.2f}%\" title=\"{}\"", 100 * c.share, percent(c.share))
                             : title_of(c),
                attributes(c), "", escaped(c.text));
        }
        text += "</tr>\n";
    }
    return text + "</tbody></table></div></div>\n";
}

std::string panel_html(const Panel& p, bool numbered, unsigned number) {
    std::string text = "<section class=panel><h3>";
    if (numbered)
        text += fmt::format("<span class=number>{}</span>", number);
    text += escaped(p.title) + "</h3>";
    if (!p.note.empty())
        text += fmt::format("<p class=note>{}</p>", escaped(p.note));
    if (p.tables.empty())
        text += fmt::format("<p class=none>{}</p>", escaped(p.none));
    text += "<div class=tables>";
    for (const Table& t : p.tables)
        text += table_html(t);
    return text + "</div></section>\n";
}

std::string head_html(const Section& s) {
    if (s.head.empty())
        return {};
    constexpr std::size_t eight = 16; ///< cells: a name and a figure each
    std::string text = fmt::format("<dl class=\"cards{}\">", s.head.size() == eight ? " eight" : "");
    for (std::size_t n = 0; n + 1 < s.head.size(); n += 2) {
        const Cell& c = s.head[n + 1];
        text += fmt::format("<div><dt>{}</dt><dd{}{}>{}</dd></div>", escaped(s.head[n].text), title_of(c),
                            attributes(c), escaped(c.text));
    }
    return text + "</dl>\n";
}

bool is_guest(const Section& s) {
    return s.id.starts_with("vm");
}

std::string section_html(const Section& s) {
    std::string text = fmt::format("<section class=part id=\"{}\"><h2>{}</h2>", escaped(s.id), escaped(s.title));
    if (!s.note.empty())
        text += fmt::format("<p class=note>{}</p>", escaped(s.note));
    text += head_html(s) + fmt::format("<div class=\"panels{}\">\n", is_guest(s) ? " four" : "");
    unsigned number = 0;
    for (const Panel& p : s.panels)
        text += panel_html(p, is_guest(s), ++number);
    return text + "</div></section>\n";
}

std::string processors_html(const Report& report) {
    std::string text = "<div class=where><div class=legend><span><i class=guests></i>guests: VMX non-root "
                       "operation</span><span><i class=root></i>VMM: VMX root operation</span>"
                       "<span><i class=outside></i>outside VMX operation</span></div>";
    for (std::size_t n = 0; n < report.processors.size(); ++n) {
        const Processor& p = report.processors[n];
        text += fmt::format("<div class=processor><span>CPU{}</span><div class=stack>", n);
        for (const auto& [name, part] :
             {std::pair{"guests", p.guests}, std::pair{"root", p.root}, std::pair{"outside", p.outside()}})
            if (part) {
                const double share = static_cast<double>(part) / static_cast<double>(p.retired);
                text += fmt::format("<div class={} style=\"flex-grow:{:.5f}\" title=\"{} instructions\">{}</div>", name,
                                    share, grouped(part), share > 0.12 ? percent(share) : "");
            }
        text += "</div></div>";
    }
    return text + "</div>\n";
}

std::string navigation(const std::vector<Section>& all, const Report& report) {
    std::string text = "<nav>";
    const auto link = [&](std::string_view id, std::string_view title) {
        text += fmt::format("<a href=\"#{}\">{}</a>", escaped(id), escaped(title));
    };
    for (const Section& s : all) {
        link(s.id, s.title.substr(0, s.title.find(':')));
        if (s.id == "run")
            link("time", "Over time");
    }
    if (!report.journeys.empty())
        link("frames", "One frame's way");
    link("exact", "How exact");
    return text + "</nav>\n";
}

} // namespace

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default:
            out += static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t' ? c : '?';
            break;
        }
    }
    return out;
}

std::string html(const Report& report) {
    const std::vector<Section> all = sections(report);
    std::string text =
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport "
        "content=\"width=device-width,initial-scale=1\">"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">\n";
    text += fmt::format("<title>Vitrine report: {}</title>\n<style>{}</style></head>\n<body>\n", escaped(report.title),
                        style());
    text += fmt::format("<header><p class=brand>Vitrine</p><h1>{}</h1></header>\n", escaped(report.title));
    text += navigation(all, report) + "<main>\n";
    for (const Section& s : all) {
        if (s.id != "run") {
            text += section_html(s);
            continue;
        }
        text += fmt::format("<section class=part id=run><h2>{}</h2><p class=note>Outcome: {}</p>", escaped(s.title),
                            escaped(s.note)) +
                head_html(s) + processors_html(report) + "<details><summary>in figures</summary>" +
                table_html(s.panels.front().tables.front()) + "</details></section>\n" + plots(report);
    }
    text += journeys_html(report);
    text += "<section class=part id=exact><h2>How exact</h2><ul>";
    for (const std::string_view remark : remarks())
        text += fmt::format("<li>{}</li>", escaped(remark));
    return text + "</ul></section>\n</main></body></html>\n";
}

} // namespace vitrine::report
