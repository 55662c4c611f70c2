// SPDX-License-Identifier: Apache-2.0
// State to a hash.
#include "machine/hash_visitor.h"

#include <algorithm>
#include <utility>

namespace vitrine::machine {

// A chain: the hash of a piece is the seed of the next.
void HashVisitor::drain() {
    const Hash128 h = hash_of({buffer_.data(), used_}, static_cast<u64>(chain_.value));
    chain_.value = (chain_.value << 1 | chain_.value >> 127) ^ h.value;
    used_ = 0;
}

void HashVisitor::bytes(std::string_view, std::span<u8> data) {
    while (!data.empty()) {
        const std::size_t n = std::min(data.size(), buffer_.size());
        put(data.data(), n);
        data = data.subspan(n);
    }
}

void HashVisitor::blob(std::string_view name, std::vector<u8>& data, u64) {
    u64 size = data.size();
    put(&size, sizeof size);
    bytes(name, data);
}

u64 HashVisitor::count(std::string_view, u64 n, u64) {
    put(&n, sizeof n);
    return n;
}

void HashVisitor::begin(std::string_view name) { put(name.data(), std::min(name.size(), buffer_.size())); }

void HashVisitor::end() {}

Hash128 HashVisitor::take(u64 seed) {
    put(&seed, sizeof seed);
    drain();
    return std::exchange(chain_, {});
}

} // namespace vitrine::machine
