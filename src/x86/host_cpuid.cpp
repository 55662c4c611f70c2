// SPDX-License-Identifier: Apache-2.0
// What the host's own CPUID says: which computing instructions may be run natively.
#include "x86/model.h"

#include "words/bits.h"

#include <cpuid.h>

namespace vitrine {

namespace {

/// Vector registers are usable only when the host's system saves them.
u64 host_xcr0() {
    u32 a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit(27)))
        return 0;
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | u64{high} << 32;
}

/// XCR0 bits that instructions of the feature need.
u64 needed_xcr0(const FeatureRow& row) {
    switch (row.id) {
    case Feature::avx:
    case Feature::avx2:
    case Feature::fma:
    case Feature::f16c:
    case Feature::vaes:
    case Feature::vpclmulqdq:
    case Feature::avx_vnni: return 0x6;
    default: return std::string_view(row.key).substr(0, 6) == "avx512" ? 0xe6 : 0;
    }
}

} // namespace

bool host_has(Feature f) {
    const FeatureRow& row = feature_rows()[static_cast<unsigned>(f)];
    CpuidResult r;
    if (row.leaf > __get_cpuid_max(row.leaf & 0x8000'0000, nullptr))
        return false;
    if (row.subleaf != 0) {
        u32 last, b, c, d;
        __cpuid_count(row.leaf, 0, last, b, c, d);
        if (row.leaf == 7 && row.subleaf > last)
            return false;
    }
    __cpuid_count(row.leaf, row.subleaf, r.eax, r.ebx, r.ecx, r.edx);
    const u64 xcr0 = needed_xcr0(row);
    return ((r[row.reg] >> row.bit) & 1) && (host_xcr0() & xcr0) == xcr0;
}

} // namespace vitrine
