// SPDX-License-Identifier: Apache-2.0
// The machine's own interrupt controllers: local APIC (x2APIC where there is one), I/O APIC, and the 8259s, which stay masked.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

/// What a device writes, and where, to raise an interrupt.
struct InterruptRequest {
    u64 address = 0;
    u32 data = 0;
};

/// Vectors that Pane uses; everything below is an exception.
namespace vector {
inline constexpr u8 timer = 0x40, kick = 0x41, serial = 0x42, spurious = 0xff;
/// Posted interrupts: for a virtual processor that runs, which takes them itself, and for one that waits, which must be woken.
inline constexpr u8 posted = 0x43, posted_wake = 0x44;
/// For devices, given out one by one.
inline constexpr u8 first_device = 0x50, last_device = 0xef;
}

/// On each processor.
void apic_start();
u32 apic_id();
void apic_end_of_interrupt();

/// Interrupts this processor at `deadline` on the time-stamp counter, once; ~0 is never.
void apic_set_timer(u64 deadline);

void apic_send(u32 destination, u8 vector);

/// Whether APIC ids have 32 bits.
bool apic_is_x2apic();

/// The message by which a device raises `vector` on a processor, where no remapping stands between.
InterruptRequest apic_request(u32 destination, u8 vector);

/// INIT, then SIPI twice with the page that the processor starts in.
void apic_start_processor(u32 destination, u8 page);

/// Ticks of the APIC timer for one of the TSC, as a fraction; measured by `time_start`.
void apic_measure_timer(u64 tsc_hz);

/// Masks the physical 8259s for good, and routes the serial port's interrupt to the first processor.
void route_interrupts(u32 io_apic, u32 serial_pin, u32 destination);

/// Writes a redirection entry of the physical I/O APIC.
void io_apic_route(u32 io_apic, u32 pin, u64 entry);

struct PhysicalPicState {
    u8 master_mask, slave_mask, master_request, slave_request;
};

/// Reads the physical 8259s without changing them: to show that no guest has.
PhysicalPicState physical_pic();

} // namespace vitrine::pane
