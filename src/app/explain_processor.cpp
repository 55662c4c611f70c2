// SPDX-License-Identifier: Apache-2.0
// Explanations from the processor's tables.
#include "app/explain_processor.h"

#include "x86/model.h"
#include "x86/msr.h"
#include "x86/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vitrine::app {

namespace {

constexpr CpuidLeafRow leaves[] = {
#define CPUID_LEAF(leaf, meaning) {leaf, meaning},
#include "x86/spec/cpuid_leaves.def"
#undef CPUID_LEAF
};

constexpr u64 none = ~0ull;

/// The number behind "word ", decimal or 0x…; `none` for anything else.
u64 number_behind(std::string_view text, std::string_view word) {
    if (!text.starts_with(word) || text.size() <= word.size() || text[word.size()] != ' ')
        return none;
    text.remove_prefix(word.size() + 1);
    int base = 10;
    if (text.starts_with("0x")) {
        text.remove_prefix(2);
        base = 16;
    }
    u32 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? value : none;
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
}

} // namespace

std::optional<std::string> explain_exception(std::string_view what) {
    const u64 n = number_behind(what, "vector");
    for (const VectorRow& row : exception_rows()) {
        std::string_view bare = row.mnemonic;
        if (bare.starts_with('#'))
            bare.remove_prefix(1);
        if (!same(what, row.mnemonic) && !same(what, bare) && !same(what, row.name) && n != row.vector)
            continue;
        return fmt::format("{} is vector {}, {}: {}, {}\n  {}\n", row.mnemonic, row.vector, row.name, row.kind,
                           row.error_code ? "with an error code" : "without an error code", row.causes);
    }
    if (n >= 32 && n < 256)
        return fmt::format("vector {} is free for interrupts\n", n);
    return std::nullopt;
}

std::optional<std::string> explain_msr(std::string_view what) {
    const u64 n = number_behind(what, "msr");
    for (const MsrRow& row : msr_rows()) {
        if (!same(what, row.name) && !same(what, row.id) && (n == none || !row.covers(static_cast<u32>(n))))
            continue;
        std::string text = row.count == 1
                               ? fmt::format("{} is MSR {:x}h", row.name, row.index)
                               : fmt::format("{}: MSRs {:x}h to {:x}h", row.name, row.index, row.index + row.count - 1);
        text += row.read && row.write ? ", read and written"
                : row.read            ? ", read only: WRMSR gives #GP"
                                      : ", written only: RDMSR gives #GP";
        return text + (row.exists ? ", on models that have what it belongs to\n" : "\n");
    }
    if (n != none)
        return fmt::format("MSR {:x}h does not exist: RDMSR and WRMSR give #GP and the event msr.unknown\n", n);
    return std::nullopt;
}

std::string_view cpuid_leaf_meaning(unsigned leaf) {
    for (const CpuidLeafRow& row : leaves)
        if (row.leaf == leaf)
            return row.meaning;
    return {};
}

std::optional<std::string> explain_cpuid(std::string_view what) {
    const u64 n = number_behind(what, "cpuid");
    if (n == none)
        return std::nullopt;
    const std::string_view meaning = cpuid_leaf_meaning(static_cast<u32>(n));
    std::string text = fmt::format(
        "CPUID {:x}h: {}\n", n,
        meaning.empty() ? "nothing (zeros, or beyond the last leaf what the last basic one gives)" : meaning);
    static constexpr std::array names{"EAX", "EBX", "ECX", "EDX"};
    for (const FeatureRow& row : feature_rows())
        if (row.leaf == n)
            text += fmt::format("  subleaf {} {} bit {:<2}  {}\n", row.subleaf, names[static_cast<unsigned>(row.reg)],
                                row.bit, row.name);
    return text;
}

} // namespace vitrine::app
