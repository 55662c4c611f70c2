// SPDX-License-Identifier: Apache-2.0
// What `vitrine explain` says about the processor: exceptions, model-specific registers, CPUID leaves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vitrine::app {

/// "#GP" or "GP"; "vector 13". Nothing: it is none.
std::optional<std::string> explain_exception(std::string_view what);

/// "IA32_EFER", or "msr 0xc0000080".
std::optional<std::string> explain_msr(std::string_view what);

/// "cpuid 7" or "cpuid 0x80000001".
std::optional<std::string> explain_cpuid(std::string_view what);

/// One leaf's meaning, from the table of leaves; empty: there is none.
struct CpuidLeafRow {
    unsigned leaf;
    std::string_view meaning;
};

std::string_view cpuid_leaf_meaning(unsigned leaf);

} // namespace vitrine::app
