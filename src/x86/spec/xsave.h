// SPDX-License-Identifier: Apache-2.0
// Layout of the XSAVE area's standard format on Intel processors: it comes from here, never from the host.
#pragma once

#include "words/integers.h"

namespace vitrine {

/// State components by their bit in XCR0 or IA32_XSS (SDM volume 1, Managing State Using the XSAVE Feature Set).
struct XsaveComponent {
    u8 bit;
    u16 offset, size;     ///< in the standard format
    bool aligned;         ///< to 64 bytes in the compacted format
    const char* name;
};

inline constexpr u16 xsave_legacy_size = 512, xsave_header_size = 64;

// clang-format off
inline constexpr XsaveComponent xsave_components[] = {
    {2,  576,  256, false, "AVX"},
    {5, 1088,   64, false, "opmask"},
    {6, 1152,  512, false, "ZMM_Hi256"},
    {7, 1664, 1024, false, "Hi16_ZMM"},
    {9, 2688,    8, false, "PKRU"},
};
// clang-format on

/// Bytes of the standard format for the components in `mask` (CPUID 0DH.0).
constexpr u32 xsave_standard_size(u64 mask) {
    u32 size = xsave_legacy_size + xsave_header_size;
    for (const XsaveComponent& c : xsave_components)
        if ((mask >> c.bit) & 1)
            size = c.offset + c.size;
    return size;
}

/// Bytes of the compacted format for the components in `mask` (CPUID 0DH.1).
constexpr u32 xsave_compacted_size(u64 mask) {
    u32 size = xsave_legacy_size + xsave_header_size;
    for (const XsaveComponent& c : xsave_components)
        if ((mask >> c.bit) & 1)
            size = (c.aligned ? (size + 63) & ~63u : size) + c.size;
    return size;
}

static_assert(xsave_standard_size(3) == 576 && xsave_standard_size(7) == 832 && xsave_standard_size(0x2e7) == 2696);
static_assert(xsave_compacted_size(0x207) == 840);

} // namespace vitrine
