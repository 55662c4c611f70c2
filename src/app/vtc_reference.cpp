// SPDX-License-Identifier: Apache-2.0
// Pages of registers, from the tables that the adapters are made of.
#include "app/vtc_reference.h"

#include "vtc/spec/i82576.h"
#include "vtc/spec/i82599.h"
#include "vtc/spec/sources.h"

#include <fmt/format.h>

namespace vitrine::app {

namespace {

/// A name that no table has would say nothing.
constexpr bool all_there(const vtc::RegisterSource& source, std::span<const vtc::RegisterRow> rows) {
    for (const std::string_view name : source.not_there) {
        bool found = false;
        for (const vtc::RegisterRow& row : rows)
            found |= name == row.name;
        if (!found)
            return false;
    }
    return true;
}

static_assert(all_there(vtc::igb_header, vtc::i82576::registers) && all_there(vtc::igbvf_header, vtc::i82576::vf_registers));
static_assert(all_there(vtc::ixgbe_header, vtc::i82599::registers) && all_there(vtc::ixgbevf_header, vtc::i82599::vf_registers));

std::string table(std::span<const vtc::RegisterRow> rows, const vtc::RegisterSource& source) {
    std::string text = "| offset | name | registers | access | writable bits | after a reset | meaning | confirmed by |\n"
                       "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for (const vtc::RegisterRow& r : rows)
        text += fmt::format("| {:05x}h | {} | {} | {} | {} | {} | {} | {} |\n", r.offset, r.name, r.count == 1 ? std::string("1") : fmt::format("{}, {:x}h apart", r.count, r.stride),
                            vtc::access_of(r), r.writable == 0 ? std::string() : r.writable == ~0u ? std::string("all") : fmt::format("{:x}h", r.writable),
                            r.reset ? fmt::format("{:x}h", r.reset) : std::string("0"), r.meaning, vtc::confirmed_by(source, r));
    return text;
}

std::string page(std::string_view chip, std::span<const vtc::RegisterRow> rows, const vtc::RegisterSource& source, std::span<const vtc::RegisterRow> vf_rows,
                 const vtc::RegisterSource& vf_source) {
    return fmt::format("# Registers of the {}\n\n"
                       "Each has 32 bits. What is not listed reads as zero, and an access to it is told and counted. `Confirmed by` is the stock driver whose own\n"
                       "header has the register at this place; where it is empty, the datasheet has been remembered and nobody has confirmed it. What a register\n"
                       "does beyond being stored is known by what the stock drivers do with it.\n\n"
                       "## Physical function, BAR 0\n\n{}\n## Virtual function, BAR 0\n\nIts queues' rings are the adapter's own registers, seen through it.\n\n{}",
                       chip, table(rows, source), table(vf_rows, vf_source));
}

} // namespace

std::string i82576_reference() { return page("82576", vtc::i82576::registers, vtc::igb_header, vtc::i82576::vf_registers, vtc::igbvf_header); }

std::string i82599_reference() { return page("82599", vtc::i82599::registers, vtc::ixgbe_header, vtc::i82599::vf_registers, vtc::ixgbevf_header); }

} // namespace vitrine::app
