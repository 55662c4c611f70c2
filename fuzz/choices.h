// SPDX-License-Identifier: Apache-2.0
// Choices that a fuzzer's input makes.
#pragma once

#include "base/choices.h"

#include <fuzzer/FuzzedDataProvider.h>

namespace vitrine {

struct FuzzedChoices final : Choices {
    explicit FuzzedChoices(FuzzedDataProvider& provider) : input(provider) {}

    u64 any() override { return input.ConsumeIntegral<u64>(); }
    u64 below(u64 end) override { return input.ConsumeIntegralInRange<u64>(0, end - 1); }

    FuzzedDataProvider& input;
};

} // namespace vitrine
