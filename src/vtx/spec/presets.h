// SPDX-License-Identifier: Apache-2.0
// Since which generation of Intel's server processors there is what: for `--vmx NAME`. What is not listed has been there since Nehalem.
// From "vmx flags" of /proc/cpuinfo of such processors (public reports), Bochs' processor database, and Linux' and FreeBSD's commit
// messages; a row that none of them has confirmed says so. What Vitrine does not implement is in no preset.
#pragma once

#include "words/integers.h"

namespace vitrine::vtx {

enum class Generation : u8 { nehalem, westmere, sandybridge, ivybridge, haswell, broadwell, skylake, icelake, sapphirerapids };

struct GenerationRow {
    Generation generation;
    const char* name;
    const char* meaning;
};

struct SinceRow {
    const char* capability; ///< as `--vmx -NAME` takes it
    Generation since;
    bool confirmed;
};

// clang-format off
inline constexpr GenerationRow generation_rows[] = {
    {Generation::nehalem,        "nehalem",        "2008, Xeon 5500: EPT and VPID"},
    {Generation::westmere,       "westmere",       "2010, Xeon 5600: a guest may run in real mode"},
    {Generation::sandybridge,    "sandybridge",    "2012, Xeon E5: PAUSE-loop exiting"},
    {Generation::ivybridge,      "ivybridge",      "2013, Xeon E5 v2: virtual interrupts"},
    {Generation::haswell,        "haswell",        "2014, Xeon E5 v3: accessed and dirty flags of EPT, VMCS shadowing, VM functions"},
    {Generation::broadwell,      "broadwell",      "2016, Xeon E5 v4: page-modification logging"},
    {Generation::skylake,        "skylake",        "2017, Xeon Scalable: TSC scaling, mode-based execute control"},
    {Generation::icelake,        "icelake",        "2021, Xeon Scalable, third generation: sub-page write permissions"},
    {Generation::sapphirerapids, "sapphirerapids", "2023, Xeon Scalable, fourth generation: five levels of EPT, IPI virtualization, bus locks, timeouts"},
};

inline constexpr SinceRow since_rows[] = {
    {"unrestricted-guest",                        Generation::westmere,       true},
    {"ept-1g",                                    Generation::westmere,       false},
    {"pause-loop-exiting",                        Generation::sandybridge,    false},
    {"apic-register-virtualization",              Generation::ivybridge,      true},
    {"virtual-interrupt-delivery",                Generation::ivybridge,      true},
    {"process-posted-interrupts",                 Generation::ivybridge,      true},
    {"rdrand-exiting",                            Generation::ivybridge,      false},
    {"invpcid",                                   Generation::haswell,        false},
    {"ept-a-d",                                   Generation::haswell,        true},
    {"vmcs-shadowing",                            Generation::haswell,        true},
    {"vmwrite-to-vm-exit-information-fields",     Generation::haswell,        true},
    {"vm-functions",                              Generation::haswell,        true},
    {"ept-violation-#ve",                         Generation::haswell,        true},
    {"rdseed-exiting",                            Generation::broadwell,      false},
    {"pml",                                       Generation::broadwell,      true},
    {"xsaves-xrstors",                            Generation::skylake,        true},
    {"tsc-scaling",                               Generation::skylake,        true},
    {"mode-based-execute-control-for-ept",        Generation::skylake,        true},
    {"zero-length-injection",                     Generation::skylake,        true},
    {"sub-page-write-permissions-for-ept",        Generation::icelake,        true},
    {"ept-walk-length-5",                         Generation::sapphirerapids, true},
    {"tertiary-controls",                         Generation::sapphirerapids, true},
    {"ipi-virtualization",                        Generation::sapphirerapids, true},
    {"bus-lock-detection",                        Generation::sapphirerapids, true},
    {"instruction-timeout",                       Generation::sapphirerapids, true},
};
// clang-format on

} // namespace vitrine::vtx
