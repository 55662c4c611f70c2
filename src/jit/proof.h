// SPDX-License-Identifier: Apache-2.0
// Proves of a translated block, from its bytes alone, that it can touch nothing but what it is given: the processor's
// state, the TLB's tags and targets, and guest RAM behind a probe that succeeded for as many bytes and for that
// kind of access.
#pragma once

#include "jit/emitter.h"

#include <optional>
#include <span>
#include <string>

namespace vitrine::jit {

/// What the code may know.
struct ProofContext {
    TranslatedAccess::Layout layout;
    Stubs stubs;
};

/// The code as it will lie at `at`. `entries`: offsets besides 0 where it may be entered. Nothing if all is well, else
/// what is wrong.
std::optional<std::string> disprove(std::span<const u8> code, u64 at, std::span<const u64> entries,
                                    const ProofContext& context);

} // namespace vitrine::jit
