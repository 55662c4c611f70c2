// SPDX-License-Identifier: Apache-2.0
// Both writers say the same, the page is closed and fetches nothing, and nothing that a guest says becomes markup.
#include "report/writers.h"

#include "report/fake_probe.h"
#include "report/tables.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace vitrine::report {
namespace {

Report sample() {
    Stage s;
    s.enter(0, 0x1000, 0x5000, 0, 0x8000'0030);
    s.leave(0, 0x1000, vtx::ExitReason::io_instruction, 1'234'567, u64{0x20} << 16, 0x11);
    s.tell(
        Topic::vtc, "received",
        {{"adapter", "<b>nic</b>"}, {"frame", "a > b & \"c\""}, {"pool", 1}, {"queue", 2}, {"why", "exact address"}});
    s.tell(Topic::vtd, "dma.blocked", {{"fault", 5}, {"why", "<script>"}});
    Report r = s.finish();
    r.title = "a<b";
    r.remapping.present = true;
    r.adapters.push_back({"<b>nic</b>", "chip", 1, 0, 0, {{1, "vf<0>", 3, 300, 0, 0, 0, {{"flow-director", 7}, {"spoofed", 0}}}}, {{"no-filter", 5}, {"runt", 0}}});
    return r;
}

TEST(Writers, EachFigureIsInBoth) {
    const Report r = sample();
    const std::string page = html(r), words = text(r);
    std::set<std::string> names;
    unsigned figures = 0;
    for (const Section& s : sections(r)) {
        std::vector<Cell> cells = s.head;
        for (const Panel& p : s.panels)
            for (const Table& t : p.tables)
                for (const auto& row : t.rows) {
                    EXPECT_EQ(row.size(), t.columns.size()) << t.title;
                    cells.insert(cells.end(), row.begin(), row.end());
                }
        for (const Cell& c : cells) {
            EXPECT_NE(words.find(c.text), std::string::npos) << c.text;
            if (!c.number())
                continue;
            ++figures;
            EXPECT_TRUE(names.insert(c.figure).second) << c.figure << " twice";
            EXPECT_NE(
                page.find("data-figure=\"" + escaped(c.figure) + "\" data-value=\"" + std::to_string(c.value) + "\""),
                std::string::npos)
                << c.figure;
        }
    }
    EXPECT_GT(figures, 30u);
}

TEST(Writers, WhatAnAdapterLostHasReasons) {
    const std::string words = text(sample());
    for (const char* line : {"flow-director", "no-filter"})
        EXPECT_NE(words.find(line), std::string::npos) << line;
    for (const char* line : {"spoofed", "runt"})
        EXPECT_EQ(words.find(line), std::string::npos) << line << " did not happen";
}

TEST(Writers, ThePageIsWholeAndFetchesNothing) {
    const std::string page = html(sample());
    for (const char* never : {"<script", "http:", "https:", "src=", "url(", "@import", "<link", "<b>nic", "a<b"})
        EXPECT_EQ(page.find(never), std::string::npos) << never;
    EXPECT_NE(page.find("a&lt;b"), std::string::npos);
    EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
    // Every element that is opened is closed, in order.
    static const std::set<std::string> empty{"meta", "path", "rect", "!DOCTYPE"};
    std::vector<std::string> open;
    const std::regex tag("<(/?)([!a-zA-Z][a-zA-Z0-9]*)((?:\"[^\"]*\"|[^\">])*)>");
    std::string rest = page;
    rest.erase(rest.find("<style>"), rest.find("</style>") - rest.find("<style>") + 8);
    for (auto i = std::sregex_iterator(rest.begin(), rest.end(), tag); i != std::sregex_iterator(); ++i) {
        if (empty.contains((*i)[2]))
            continue;
        if ((*i)[1].length() == 0) {
            open.push_back((*i)[2]);
            continue;
        }
        ASSERT_FALSE(open.empty()) << i->str();
        EXPECT_EQ(open.back(), (*i)[2]);
        open.pop_back();
    }
    EXPECT_TRUE(open.empty());
}

TEST(Writers, Numbers) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(~u64{0}), "18,446,744,073,709,551,615");
    EXPECT_EQ(time_text(999), "999 ns");
    EXPECT_EQ(time_text(1'234'567), "1.235 ms");
    EXPECT_EQ(escaped("<a href=\"x\">'&'</a>\x01"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;?");
}

TEST(Writers, AnEmptyRunHasAReport) {
    const Report r;
    EXPECT_NE(html(r).find("No VM exit"), std::string::npos);
    EXPECT_NE(text(r).find("virtual time"), std::string::npos);
}

} // namespace
} // namespace vitrine::report
