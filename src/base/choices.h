// SPDX-License-Identifier: Apache-2.0
// For tests and fuzzing: where the choices of somebody hostile come from, a random generator or a fuzzer's input.
#pragma once

#include "words/integers.h"

#include <random>

namespace vitrine {

class Choices {
public:
    virtual ~Choices() = default;
    virtual u64 any() = 0;
    virtual u64 below(u64 end) = 0; ///< 0 to end - 1
};

/// The same choices for the same seed, everywhere.
class RandomChoices final : public Choices {
public:
    explicit RandomChoices(u64 seed) : random_(seed) {}

    u64 any() override { return random_(); }
    u64 below(u64 end) override { return random_() % end; }

private:
    std::mt19937_64 random_;
};

} // namespace vitrine
