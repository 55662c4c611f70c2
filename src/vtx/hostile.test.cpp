// SPDX-License-Identifier: Apache-2.0
// Tests that no hypervisor, however wrong or malicious, gets further than what the manual gives it.
#include "vtx/hostile_hypervisor.h"

#include <gtest/gtest.h>

namespace vitrine::vtx {
namespace {

TEST(VmxHostile, NothingBreaks) {
    u64 entries = 0;
    for (u64 seed = 0; seed < 60; ++seed) {
        RandomChoices choices(seed);
        HostileHypervisor h(choices);
        for (unsigned n = 0; n < 400; ++n)
            h.act();
        entries += h.unit.entries();
    }
    EXPECT_GT(entries, 500u) << "it hardly came into a guest, and so has shown little";
}

} // namespace
} // namespace vitrine::vtx
