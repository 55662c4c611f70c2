// SPDX-License-Identifier: Apache-2.0
// What a collector asks of the machine when it is told of something. Asking changes nothing.
#pragma once

#include "words/integers.h"

#include <optional>

namespace vitrine::report {

/// A processor and its current VMCS at this instant.
struct ProcessorView {
    u64 retired = 0; ///< instructions
    u64 rax = 0;
    bool root = false;     ///< VMX root operation
    bool non_root = false; ///< VMX non-root operation
    u64 vmcs = 0;
    u64 eptp = 0;       ///< 0: EPT is not used
    u16 vpid = 0;       ///< 0: VPID is not used
    u64 descriptor = 0; ///< of posted interrupts; 0: they are not processed
};

class Probe {
public:
    virtual ~Probe() = default;
    virtual ProcessorView look(unsigned cpu) = 0;
    /// Where EPT leads a guest-physical address; nothing where it is not mapped.
    virtual std::optional<u64> translate(u64 eptp, u64 guest_physical) = 0;
};

} // namespace vitrine::report
