// SPDX-License-Identifier: Apache-2.0
// What the unit's tests share: a driver that is a GoogleTest fixture.
#pragma once

#include "vtd/test_driver.h"
#include "vtd/unit.h"

#include <gtest/gtest.h>

namespace vitrine::vtd {

struct Vtd : testing::Test, Driver {
    u64 got = 0;

    /// What a read of the address gives, or all ones.
    u64 at(u64 address, u16 source = device) {
        got = 0;
        return read(address, got, source) ? got : ~0ull;
    }
};

struct CachingMode : testing::Test, Driver {
    CachingMode() : Driver({.caching_mode = true}) {}
};

inline constexpr u64 fixed_to_1 = 1 | 0x41ull << 16 | 1ull << 40; ///< vector 41h to APIC 1, in 8-bit mode

} // namespace vitrine::vtd
