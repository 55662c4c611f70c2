// SPDX-License-Identifier: Apache-2.0
// The posted-interrupt descriptor's control word, and entries of the PID-pointer table (SDM volume 3, Posted-Interrupt
// Processing, IPI Virtualization; VT-d has the same descriptor).
#pragma once

#include "words/bits.h"

namespace vitrine::vtx {

/// The eight bytes behind the descriptor's 256 requests.
struct PostedControl {
    static constexpr u64 offset = 32; ///< in the descriptor, bytes

    Field outstanding{0, rw, "ON", "outstanding notification"};
    Field suppress{1, rw, "SN", "suppress notification"};
    Field vector{23, 16, rw, "NV", "notification vector"};
    Field destination{63, 32, rw, "NDST", "notification destination: an x2APIC id, or in bits 15:8 an xAPIC one"};
} inline constexpr posted_control;

/// An entry of the PID-pointer table.
struct PidPointer {
    Field valid{0, rw, "valid", "there is a descriptor"};
    Field reserved{5, 1, rw, "reserved", "must be zero"};
} inline constexpr pid_pointer;

} // namespace vitrine::vtx
