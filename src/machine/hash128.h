// SPDX-License-Identifier: Apache-2.0
// A 128-bit hash (XXH3) that can be added: the hash of a machine is the sum of the hashes of its parts.
#pragma once

#include "words/integers.h"

#include <span>
#include <string>

namespace vitrine::machine {

struct Hash128 {
    u128 value = 0;

    constexpr bool operator==(const Hash128&) const = default;
    Hash128& operator+=(Hash128 o) {
        value += o.value;
        return *this;
    }
    Hash128& operator-=(Hash128 o) {
        value -= o.value;
        return *this;
    }

    /// 32 hexadecimal digits.
    std::string text() const;
    static bool parse(std::string_view text, Hash128& out);
};

/// `seed` keeps equal contents in different places apart.
Hash128 hash_of(std::span<const u8> data, u64 seed = 0);

} // namespace vitrine::machine
