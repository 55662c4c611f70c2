// SPDX-License-Identifier: Apache-2.0
// Seam: what a processor asks of its local APIC; owned by x86, implemented by interrupts.
#pragma once

#include "base/device.h"
#include "base/visitor.h"
#include "words/addresses.h"
#include "words/integers.h"

namespace vitrine {

class ApicPort {
public:
    virtual ~ApicPort() = default;

    /// INTA: takes the interrupt that set_interrupt announced; its vector moves from IRR to ISR. When the local APIC has none
    /// but ExtINT is pending, this is the 8259's vector.
    virtual u8 acknowledge() = 0;

    /// IA32_APIC_BASE. A write that the architecture forbids returns false (#GP).
    virtual u64 base() const = 0;
    virtual bool set_base(u64 value) = 0;

    /// True when `p` lies in the 4 KiB of an enabled xAPIC (not in x2APIC mode).
    virtual bool covers(Physical p) const = 0;

    /// An access to that page; offset is relative to it.
    virtual void access(Access& access) = 0;

    /// MSRs 800h to 8ffh (x2APIC) and 6e0h (IA32_TSC_DEADLINE). False is #GP: not in x2APIC mode, reserved register, reserved bits.
    virtual bool read_msr(u32 msr, u64& value) = 0;
    virtual bool write_msr(u32 msr, u64 value) = 0;

    /// An IPI that the processor sends by itself (it has posted interrupts): fixed, an edge, to the physical destination. As in a
    /// posted-interrupt descriptor the destination is an x2APIC id, or in bits 15:8 an xAPIC one. ICR keeps its value.
    virtual void notify(u32 destination, u8 vector) = 0;

    /// CR8 is bits 7:4 of the TPR.
    virtual u8 cr8() const = 0;
    virtual void set_cr8(u8 value) = 0;

    /// The processor's TSC changed its relation to virtual time (WRMSR to TSC or TSC_ADJUST): TSC = now + offset.
    virtual void tsc_offset_changed(u64 offset) = 0;

    /// INIT resets the APIC but not its id and base; a cold reset resets all.
    virtual void reset(Reset kind) = 0;
};

} // namespace vitrine
