// SPDX-License-Identifier: Apache-2.0
// What this processor's VT-x can do, what Pane uses of it, and what it does instead where something is missing.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Cpu;

/// Control words as they are written to every VMCS, and the features that depend on the processor.
struct VmxUse {
    u32 pin, primary, secondary, exiting, entering;
    bool io_bitmaps, virtual_nmis, preemption_timer, tpr_shadow, apic_accesses, apic_registers, interrupt_delivery, x2apic, vpid,
        rdtscp, invpcid, xsaves, pat, posted, debug_controls, ept_2m, ept_accessed_dirty;
    unsigned preemption_rate;
    u64 invvpid_type;
};
extern VmxUse vmx_use;

/// Says line by line what is used and what is gone without; panics when something needed is missing.
void vmx_check();

/// VMXON on this processor.
void vmx_on(Cpu& cpu);

u32 vmcs_revision();

} // namespace vitrine::pane
