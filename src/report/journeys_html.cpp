// SPDX-License-Identifier: Apache-2.0
// The ways of single frames, drawn: a lane for each place, time downwards.
#include "report/tables.h"
#include "report/writers.h"

#include <fmt/format.h>

#include <set>
#include <tuple>

namespace vitrine::report {

namespace {

constexpr unsigned lane_count = static_cast<unsigned>(Lane::count);

/// Half a lane is the unit across; a row is two units high, its point in the middle.
std::string lane_drawing(const Journey& j, std::size_t n) {
    const unsigned at = 2 * static_cast<unsigned>(j.steps[n].lane) + 1;
    std::string lines;
    if (n > 0)
        lines += fmt::format("<path class=\"way{}\" d=\"M{} 0L{} 1\"/>", j.steps[n].inferred ? " inferred" : "",
                             2 * static_cast<unsigned>(j.steps[n - 1].lane) + 1, at);
    if (n + 1 < j.steps.size())
        lines += fmt::format("<path class=\"way{}\" d=\"M{} 1V2\"/>", j.steps[n + 1].inferred ? " inferred" : "", at);
    return fmt::format("<div class=lanes><svg viewBox=\"0 0 {} 2\" preserveAspectRatio=none "
                       "aria-hidden=true>{}</svg><i class=\"dot l{}\" style=\"left:{:.3f}%\"></i></div>",
                       2 * lane_count, lines, static_cast<unsigned>(j.steps[n].lane), 100.0 * at / (2 * lane_count));
}

std::string step_html(const Journey& j, std::size_t n) {
    const Step& s = j.steps[n];
    const LaneRow& lane = lanes[static_cast<unsigned>(s.lane)];
    const u64 since = n ? s.time - j.steps[n - 1].time : 0;
    return fmt::format(
        "<li>{}<div class=when><b>{}</b><span>{} ns</span><span>instruction {}</span></div><div class=what><span "
        "class=\"lane l{}\">{}</span> <b>{}</b>{}<span class=detail>{}</span></div></li>\n",
        lane_drawing(j, n),
        n == 0       ? "arrival"
        : since == 0 ? "at once"
                     : "+" + time_text(since),
        grouped(s.time), grouped(s.instructions), static_cast<unsigned>(s.lane), lane.name, escaped(s.what),
        s.inferred ? " <em>inferred from the order of events</em>" : "", escaped(s.detail));
}

/// How much there is to see: a guest, many lanes, a virtual function.
auto worth(const Journey& j) {
    std::set<Lane> seen;
    for (const Step& s : j.steps)
        seen.insert(s.lane);
    return std::tuple(j.end == JourneyEnd::guest, seen.size(), j.function != j.adapter);
}

std::string journey_html(const Journey& j, bool open) {
    const u64 took = j.steps.empty() ? 0 : j.steps.back().time - j.steps.front().time;
    std::string text = fmt::format("<details class=journey{}><summary><b>Frame {}</b> to {} pool {}{}{}: "
                                   "{}{}</summary><p class=note>{}</p><ol><li class=names><div class=lanes>",
                                   open ? " open" : "", j.number, escaped(j.adapter), j.pool,
                                   j.function.empty() || j.function == j.adapter ? "" : ", " + escaped(j.function),
                                   j.guest ? fmt::format(", VM {}", j.guest) : "", escaped(text_of(j.end)),
                                   took ? ", after " + time_text(took) : std::string(), escaped(j.frame));
    for (const LaneRow& lane : lanes)
        text += fmt::format("<span title=\"{}\">{}</span>", escaped(lane.what), escaped(lane.name));
    text += "</div></li>\n";
    for (std::size_t n = 0; n < j.steps.size(); ++n)
        text += step_html(j, n);
    return text + "</ol></details>\n";
}

} // namespace

std::string journeys_html(const Report& report) {
    if (report.journeys.empty())
        return {};
    // The most telling one is open.
    std::size_t best = 0;
    for (std::size_t n = 1; n < report.journeys.size(); ++n)
        if (worth(report.journeys[n]) > worth(report.journeys[best]))
            best = n;
    std::string text = fmt::format(
        "<section class=part id=frames><h2>One frame's way</h2><p class=note>The first frames of each pool and "
        "outcome, {} of {}: from the wire through the filter, the ring and "
        "its remapped DMA to the interrupt and whoever takes it. Each step is an event at an exact virtual time.</p>\n",
        report.journeys.size(), grouped(report.frames_seen));
    text += journey_html(report.journeys[best], true);
    for (std::size_t n = 0; n < report.journeys.size(); ++n)
        if (n != best)
            text += journey_html(report.journeys[n], false);
    return text + "</section>\n";
}

} // namespace vitrine::report
