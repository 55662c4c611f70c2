// SPDX-License-Identifier: Apache-2.0
// Time is the time-stamp counter; its frequency comes from CPUID, or is measured against the 8254.
#pragma once

#include "pane/kernel/processor.h"

namespace vitrine::pane {

void time_start();
u64 tsc_frequency();

/// value * to / from, without overflow on the way; ~0 when the result has no room.
inline u64 scale(u64 value, u64 to, u64 from) {
    u64 low, high, rest;
    asm("mulq %3" : "=a"(low), "=d"(high) : "a"(value), "r"(to));
    if (high >= from)
        return ~0ull;
    asm("divq %4" : "=a"(low), "=d"(rest) : "a"(low), "d"(high), "r"(from));
    return low;
}

inline u64 microseconds(u64 n) { return scale(n, tsc_frequency(), 1'000'000); }

inline void wait_microseconds(u64 n) {
    const u64 start = rdtsc(), ticks = microseconds(n);
    while (rdtsc() - start < ticks)
        relax();
}

/// How far the TSC is from what it was at Pane's start.
u64 milliseconds_since_start();

/// Ticks of the local APIC's timer a second, as CPUID 15h tells it to guests; the TSC's where it does not.
u64 crystal_frequency();

} // namespace vitrine::pane
