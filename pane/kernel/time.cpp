// SPDX-License-Identifier: Apache-2.0
// Finds the frequency of the time-stamp counter: CPUID leaf 15h, or channel 2 of the 8254 where the leaf is silent.
#include "pane/kernel/time.h"

#include "pane/kernel/apic.h"

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
