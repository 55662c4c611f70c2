// SPDX-License-Identifier: Apache-2.0
// XXH3-128 and its text.
#include "machine/hash128.h"

#include <string_view>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace vitrine::machine {

Hash128 hash_of(std::span<const u8> data, u64 seed) {
    const XXH128_hash_t h = XXH3_128bits_withSeed(data.data(), data.size(), seed);
    return {static_cast<u128>(h.high64) << 64 | h.low64};
}

std::string Hash128::text() const {
    std::string s;
    for (int shift = 124; shift >= 0; shift -= 4)
        s += "0123456789abcdef"[static_cast<unsigned>(value >> shift) & 15];
    return s;
}

bool Hash128::parse(std::string_view text, Hash128& out) {
    if (text.size() != 32)
        return false;
    out = {};
    for (const char c : text) {
        const std::size_t digit = std::string_view("0123456789abcdef").find(c);
        if (digit == std::string_view::npos)
            return false;
        out.value = out.value << 4 | digit;
    }
    return true;
}

} // namespace vitrine::machine
