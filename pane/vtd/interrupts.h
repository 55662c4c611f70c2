// SPDX-License-Identifier: Apache-2.0
// Entries of the interrupt remapping table: which function may raise what, and where it goes.
#pragma once

#include "pane/kernel/apic.h"

namespace vitrine::pane {

struct MachineTables;

/// One entry, for one source. Until it is opened, and after it is closed, the source's interrupt is blocked and told as a fault.
class InterruptEntry {
public:
    /// Panics when the table is full: callers keep count of theirs. Another `take` does nothing.
    void take(u16 source);

    bool taken() const { return source_id_ != none; }

    /// What the function must write to name this entry.
    InterruptRequest request() const;

    /// `vector` on the processor with this APIC id: Pane's own.
    void to_processor(u32 apic_id, u8 vector);

    /// The guest's vector into a virtual processor's posted-interrupt descriptor.
    void post(u64 descriptor, u8 vector);

    void close();

private:
    static constexpr u32 none = ~0u;

    void write(u64 low, u64 high);
    u64 source() const;

    u32 source_id_ = none;
    u16 index_ = 0;
};

/// The message of a function that Pane drives itself, through an entry of its own when interrupts are remapped.
InterruptRequest own_request(u16 source, u32 apic_id, u8 vector);

/// Which requester the I/O APIC is.
void set_io_apic_source(u16 id);

/// The serial port's interrupt, which must go by an entry from now on.
void route_io_apic(const MachineTables& machine);

void start_interrupt_entries();

} // namespace vitrine::pane
