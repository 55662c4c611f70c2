// SPDX-License-Identifier: Apache-2.0
// A load from a file that an enemy wrote: any value in any field, for tests and the fuzzer. Whatever it leaves behind, a machine
// may refuse it or run with it; it may not do anything undefined.
#pragma once

#include "base/visitor.h"

#include <algorithm>
#include <functional>
#include <string>

namespace vitrine::machine {

class HostileVisitor final : public Visitor {
public:
    /// `choose(n)` gives a number below n: an enemy's, or a random one.
    explicit HostileVisitor(std::function<u64(u64)> choose) : choose_(std::move(choose)) {}

    /// One field in so many is changed, none at 0; the others keep their values.
    u64 rarity = 16;

    void number(std::string_view, u64& value, unsigned width) override {
        if (changes())
            value = another(value) & low_mask(8 * width);
    }

    void bytes(std::string_view, std::span<u8> data) override {
        if (!data.empty() && changes())
            data[choose_(data.size())] = static_cast<u8>(choose_(256));
    }

    void blob(std::string_view, std::vector<u8>& data, u64 limit) override {
        if (changes())
            data.resize(choose_(std::min<u64>(limit, 5000) + 1), static_cast<u8>(choose_(256)));
    }

    u64 count(std::string_view, u64 n, u64 limit) override { return changes() ? choose_(std::min<u64>(limit, 3000) + 1) : n; }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return true; }

    void refuse(std::string_view why) override {
        if (refused.empty())
            refused = why;
    }

    std::string refused; ///< why the state was not accepted

private:
    bool changes() { return rarity != 0 && choose_(rarity) == 0; }

    u64 another(u64 value) {
        switch (choose_(6)) {
        case 0: return value ^ bit(static_cast<unsigned>(choose_(64)));
        case 1: return 0;
        case 2: return ~0ull;
        case 3: return value + 1;
        case 4: return choose_(256);
        default: return choose_(~0ull);
        }
    }

    std::function<u64(u64)> choose_;
};

} // namespace vitrine::machine
