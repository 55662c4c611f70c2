// SPDX-License-Identifier: Apache-2.0
// State as text.
#include "machine/dump_visitor.h"

#include <fmt/format.h>

#include <iterator>

namespace vitrine::machine {

void DumpVisitor::indent() { text_.append(2 * (parts_.size() - 1), ' '); }

void DumpVisitor::end_row() {
    if (parts_.back().row)
        text_ += '\n';
    parts_.back().row = false;
}

/// Counts an element of the present part; false when there have been enough.
bool DumpVisitor::room() {
    Part& part = parts_.back();
    for (const Part& p : parts_)
        if (p.elements > most_)
            return false;
    if (++part.elements > most_) {
        end_row();
        indent();
        text_ += "...\n";
        return false;
    }
    return true;
}

void DumpVisitor::number(std::string_view name, u64& value, unsigned width) {
    if (!room())
        return;
    if (name.empty()) {
        Part& part = parts_.back();
        if (!part.row)
            indent();
        fmt::format_to(std::back_inserter(text_), "{}{:0{}x}", part.row ? " " : "", value, 2 * width);
        part.row = true;
        if (++part.unnamed % 8 == 0)
            end_row();
        return;
    }
    end_row();
    indent();
    fmt::format_to(std::back_inserter(text_), "{:<24} {:0{}x}\n", name, value, 2 * width);
}

void DumpVisitor::bytes(std::string_view name, std::span<u8> data) {
    if (!room())
        return;
    end_row();
    indent();
    fmt::format_to(std::back_inserter(text_), "{:<24} {} bytes:", name, data.size());
    for (std::size_t i = 0; i < data.size() && i < most_; ++i)
        fmt::format_to(std::back_inserter(text_), " {:02x}", data[i]);
    text_ += data.size() > most_ ? " ...\n" : "\n";
}

void DumpVisitor::blob(std::string_view name, std::vector<u8>& data, u64) { bytes(name, data); }

u64 DumpVisitor::count(std::string_view name, u64 n, u64) {
    if (room()) {
        end_row();
        indent();
        fmt::format_to(std::back_inserter(text_), "{:<24} {} elements\n", name, n);
    }
    return n;
}

void DumpVisitor::begin(std::string_view name) {
    if (room() && !name.empty()) {
        end_row();
        indent();
        text_ += name;
        text_ += '\n';
    }
    parts_.emplace_back();
}

void DumpVisitor::end() {
    end_row();
    parts_.pop_back();
}

} // namespace vitrine::machine
