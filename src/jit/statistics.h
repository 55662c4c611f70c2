// SPDX-License-Identifier: Apache-2.0
// What those who only set up a translator and look at its figures must know of it.
#pragma once

#include "words/integers.h"

#include <string>
#include <vector>

namespace vitrine::jit {

class Translator;

/// What a machine's time on the host goes into: `outside` is what runs no guest code (devices, the scheduler, waiting).
enum class Tier : u8 { outside, interpreter, translation, translated, count };

/// Bytes of host code.
inline constexpr u64 default_code_cache = 64 << 20, least_code_cache = 1 << 20, most_code_cache = 1 << 30;

/// What it has done; for people.
struct TranslatorStats {
    u64 instructions = 0; ///< retired in runs of translated code, those that went to handlers included
    u64 blocks = 0, links = 0, runs = 0, dropped = 0, flushes = 0, code_bytes = 0;
    /// Instructions that went to the interpreter's handler, the most frequent mnemonic first: `always` because there is no translation,
    /// `slow` because the translation did not simply succeed (a miss in the TLB, a device, a fault).
    struct Handled {
        std::string mnemonic;
        u64 always = 0, slow = 0;
    };
    std::vector<Handled> handled;
};

} // namespace vitrine::jit
