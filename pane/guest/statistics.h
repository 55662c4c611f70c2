// SPDX-License-Identifier: Apache-2.0
// What is counted for each guest; the report prints it.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Statistics {
    static constexpr unsigned most_reasons = 80;

    u64 exits[most_reasons]{};
    u64 ept_violations = 0;        ///< that were not an access to a device
    u64 device_accesses = 0;       ///< to memory where a device answers
    u64 foreign_ports = 0;         ///< accesses to ports where nothing answers
    u64 refused_msrs = 0;          ///< accesses that got #GP
    u64 physical_interrupts = 0;   ///< taken by Pane while the guest ran
    u64 injected = 0;              ///< virtual interrupts that Pane put into a VM entry, the 8259s' among them
    u64 from_8259 = 0;             ///< of the injected ones
    u64 exceptions_injected = 0;
    u64 entries = 0;
    u64 device_interrupts = 0;     ///< of its devices, that came to Pane and were injected
    u64 posted_taken = 0;          ///< posted ones that Pane found in a descriptor, because the guest was not running
    u64 device_accesses_trapped = 0; ///< to its devices' memory, where Pane stands between
    u64 config_accesses = 0;       ///< to its devices' configuration space
    u64 refused_interrupts = 0;    ///< of its devices, for which nothing was left; they stay masked
    u64 dma_faults = 0, interrupt_faults = 0; ///< blocked requests of its devices that the remapping units have recorded
};

} // namespace vitrine::pane
