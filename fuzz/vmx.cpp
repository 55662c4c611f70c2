// SPDX-License-Identifier: Apache-2.0
// Fuzzes VT-x: a hypervisor that executes VMX instructions with random VMCSs, regions, tables and guests.
#include "vtx/hostile_hypervisor.h"

#include <fuzzer/FuzzedDataProvider.h>

namespace {

using namespace vitrine;

struct FuzzedChoices final : vtx::Choices {
    explicit FuzzedChoices(FuzzedDataProvider& provider) : input(provider) {}

    u64 any() override { return input.ConsumeIntegral<u64>(); }
    u64 below(u64 end) override { return input.ConsumeIntegralInRange<u64>(0, end - 1); }

    FuzzedDataProvider& input;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    FuzzedDataProvider input(data, size);
    FuzzedChoices choices(input);
    vtx::HostileHypervisor hypervisor(choices);
    while (input.remaining_bytes() > 0)
        hypervisor.act();
    return 0;
}
