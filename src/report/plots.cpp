// SPDX-License-Identifier: Apache-2.0
// Counts over virtual time as stacked bars. Axes and legends are text beside the drawing, so that they stay legible at
// any width.
#include "report/tables.h"
#include "report/writers.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::report {

namespace {

constexpr std::size_t colours = 8; ///< the last one is of all others together
constexpr double height = 1000;

struct Layer {
    std::string name, key;
    u64 total = 0;
    std::vector<u64> counts;
};

/// The highest rows, and the rest as one.
std::vector<Layer> layers_of(const Series& series) {
    std::vector<Layer> layers;
    for (const Series::Row* row : series.rows()) {
        if (layers.size() < colours - 1 || series.rows().size() == colours) {
            layers.push_back({row->name, row->key, row->total, row->counts});
            continue;
        }
        if (layers.size() == colours - 1)
            layers.push_back({"others", "others", 0, std::vector<u64>(series.intervals())});
        layers.back().total += row->total;
        for (std::size_t n = 0; n < row->counts.size(); ++n)
            layers.back().counts[n] += row->counts[n];
    }
    return layers;
}

/// An even digit times a power of ten, or 1, at least n.
u64 rounded_up(u64 n) {
    for (u64 power = 1;; power *= 10)
        for (const u64 digit : {1, 2, 4, 6, 8})
            if (digit * power >= n)
                return digit * power;
}

std::string bars(const std::vector<Layer>& layers, std::size_t intervals, u64 top) {
    std::string text;
    std::vector<u64> below(intervals);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        std::string path, counts;
        for (std::size_t n = 0; n < intervals; ++n) {
            const u64 count = layers[l].counts[n];
            counts += fmt::format("{}{}", n ? " " : "", count);
            if (!count)
                continue;
            const double y = height * (1 - static_cast<double>(below[n] + count) / static_cast<double>(top));
            path += fmt::format("M{} {:.1f}h.9v{:.1f}h-.9z", n, y,
                                height * static_cast<double>(count) / static_cast<double>(top));
            below[n] += count;
        }
        text += fmt::format("<path class=c{} d=\"{}\" data-row=\"{}\" data-counts=\"{}\"/>", l, path,
                            escaped(layers[l].key), counts);
    }
    return text;
}

/// What an interval holds, for whoever points at it.
std::string hints(const std::vector<Layer>& layers, const Series& s, u64 end) {
    std::string text;
    for (std::size_t n = 0; n < s.intervals(); ++n) {
        std::string words;
        for (const Layer& l : layers)
            if (l.counts[n])
                words += fmt::format("\n{} {}", grouped(l.counts[n]), l.name);
        if (!words.empty())
            text += fmt::format("<rect x={} y=0 width=1 height={}><title>{} to {}{}</title></rect>", n, height,
                                time_text(s.origin() + n * s.width()),
                                time_text(std::min(end, s.origin() + (n + 1) * s.width())), escaped(words));
    }
    return text;
}

std::string plot(const Series& s, u64 end) {
    const std::vector<Layer> layers = layers_of(s);
    u64 highest = 0;
    for (std::size_t n = 0; n < s.intervals(); ++n) {
        u64 all = 0;
        for (const Layer& l : layers)
            all += l.counts[n];
        highest = std::max(highest, all);
    }
    const u64 top = rounded_up(highest);
    std::string text = fmt::format(
        "<figure class=plot data-series=\"{}\"><figcaption><b>{}</b> in intervals of {}</figcaption><div class=chart>",
        escaped(s.key()), escaped(s.title()), time_text(s.width()));
    text += fmt::format("<div class=y><span>{}</span><span>{}</span><span>0</span></div>", grouped(top),
                        top % 2 ? "" : grouped(top / 2));
    text += fmt::format("<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=none role=img aria-label=\"{} over virtual "
                        "time\"><path class=grid d=\"M0 .5h{}M0 {}h{}\"/>",
                        s.intervals(), height, escaped(s.title()), s.intervals(), height / 2, s.intervals());
    text += bars(layers, s.intervals(), top) + "<g class=hints>" + hints(layers, s, end) + "</g></svg>";
    // The last interval may not be over.
    const u64 span = s.intervals() * s.width();
    text += fmt::format("<div class=x><span>{}</span><span>{}</span><span>{}</span></div></div><ul class=legend>",
                        time_text(s.origin()), time_text(s.origin() + span / 2), time_text(s.origin() + span));
    for (std::size_t l = 0; l < layers.size(); ++l)
        text += fmt::format("<li><i class=c{}></i>{} <b data-figure=\"series.{}.{}\" data-value=\"{}\">{}</b></li>", l,
                            escaped(layers[l].name), escaped(s.key()), escaped(layers[l].key), layers[l].total,
                            grouped(layers[l].total));
    return text + "</ul></figure>\n";
}

} // namespace

std::string plots(const Report& report) {
    std::string text;
    for (const Series& s : report.series)
        if (!s.rows().empty())
            text += plot(s, report.end);
    return "<section class=part id=time><h2>Over virtual time</h2>" +
           (text.empty() ? "<p class=none>No VM exit, no interrupt and no frame was seen.</p>"
                         : "<div class=plots>" + text + "</div>") +
           "</section>\n";
}

} // namespace vitrine::report
