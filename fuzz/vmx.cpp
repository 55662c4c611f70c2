// SPDX-License-Identifier: Apache-2.0
// Fuzzes VT-x: a hypervisor that executes VMX instructions with random VMCSs, regions, tables and guests.
#include "choices.h"
#include "vtx/hostile_hypervisor.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace vitrine;
    FuzzedDataProvider input(data, size);
    FuzzedChoices choices(input);
    vtx::HostileHypervisor hypervisor(choices);
    while (input.remaining_bytes() > 0)
        hypervisor.act();
    return 0;
}
