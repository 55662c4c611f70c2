// SPDX-License-Identifier: Apache-2.0
// A report as sections of tables: what both writers show. Each figure has a name, by which tests and scripts find it.
#pragma once

#include "report/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace vitrine::report {

struct Cell {
    std::string text;
    std::string figure; ///< its name; empty: no figure
    u64 value = 0;      ///< of the figure: a count, or nanoseconds
    double share = -1;  ///< of the column's whole, 0 to 1; negative: not shown

    static Cell words(std::string text) { return {std::move(text), {}, 0, -1}; }

    static Cell count(std::string figure, u64 n, double share = -1);
    static Cell time(std::string figure, u64 nanoseconds);

    bool number() const { return !figure.empty(); }
};

struct Column {
    std::string_view name;
    bool secondary = false; ///< may be left out where there is little room
};

struct Table {
    std::string title, note;
    std::vector<Column> columns;
    std::vector<std::vector<Cell>> rows;
};

/// One of the four paths, or whatever belongs together.
struct Panel {
    std::string title, note;
    std::vector<Table> tables;
    std::string none; ///< what to say when there are no tables
};

struct Section {
    std::string id, title, note;
    std::vector<Cell> head; ///< the most important figures; their texts are what they are
    std::vector<Panel> panels;
};

std::vector<Section> sections(const Report& report);

/// What the figures are, and how exact: one sentence each.
std::vector<std::string_view> remarks();

// ---- numbers for people

std::string grouped(u64 n);             ///< 1,234,567
std::string time_text(u64 nanoseconds); ///< 1.234 ms
std::string percent(double share);

} // namespace vitrine::report
