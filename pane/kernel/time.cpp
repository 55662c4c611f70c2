// SPDX-License-Identifier: Apache-2.0
// Finds the frequency of the time-stamp counter: CPUID leaf 15h, or channel 2 of the 8254 where the leaf is silent.
#include "pane/kernel/time.h"

#include "pane/kernel/apic.h"
#include "words/bits.h"

// GCC calls this for a 128-bit quotient, and Pane links no library.
extern "C" vitrine::u128 __udivti3(vitrine::u128 dividend, vitrine::u128 divisor) {
    using namespace vitrine;
    u128 quotient = 0, rest = 0;
    const auto high = static_cast<u64>(dividend >> 64);
    int n = high ? 127 : 63;
    if (!(divisor >> 64) && high < static_cast<u64>(divisor)) { // one division of the processor's own does it
        u64 q, r;
        asm("divq %4" : "=a"(q), "=d"(r) : "a"(static_cast<u64>(dividend)), "d"(high), "r"(static_cast<u64>(divisor)));
        return q;
    }
    for (; n >= 0; --n) {
        rest = rest << 1 | (dividend >> n & 1);
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= u128{1} << n;
        }
    }
    return quotient;
}

namespace vitrine::pane {

namespace {

u64 frequency, crystal, start;

u64 from_cpuid() {
    if (cpuid(0).eax < 0x15)
        return 0;
    const CpuidResult r = cpuid(0x15);
    if (!r.eax || !r.ebx || !r.ecx)
        return 0;
    crystal = r.ecx;
    return scale(r.ecx, r.ebx, r.eax);
}

u64 measured() {
    constexpr u64 pit_hz = 1'193'182, parts = 50; // a fiftieth of a second
    constexpr u64 count = pit_hz / parts;
    out8(0x61, static_cast<u8>((in8(0x61) & ~2) | 1)); // gate on, speaker off
    out8(0x43, 0xb0);                                  // channel 2, mode 0
    out8(0x42, static_cast<u8>(count));
    out8(0x42, static_cast<u8>(count >> 8));
    const u64 before = rdtsc();
    while (!(in8(0x61) & 0x20))
        relax();
    return (rdtsc() - before) * parts;
}

} // namespace

void time_start() {
    frequency = from_cpuid();
    if (!frequency)
        frequency = measured();
    if (!crystal)
        crystal = frequency;
    start = rdtsc();
}

u64 tsc_frequency() { return frequency; }

u64 crystal_frequency() { return crystal; }

u64 milliseconds_since_start() { return scale(rdtsc() - start, 1000, frequency); }

} // namespace vitrine::pane
