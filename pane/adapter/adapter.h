// SPDX-License-Identifier: Apache-2.0
// The physical network adapter, an 82576 or 82599, for all of Pane: queue pairs for guests' virtio adapters (VMDq),
// virtual functions.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Config;
struct Guest;

/// Before guests: finds the adapter of the configuration, takes it over, makes the queue pairs, offers the virtual
/// functions.
void adapter_start(const Config& config);

/// When all processors run: interrupts, spread over them, and the link.
void adapter_open();

/// The guest begins anew: what is for it is received again.
void adapter_power_on(const Guest& guest);

/// Work that is left, in the scheduler's loop; when it wants to be called again (TSC).
u64 adapter_advance(u64 now);

/// What the adapter has for a guest, and what for nobody.
void adapter_report(const Guest& guest);
void adapter_report();

} // namespace vitrine::pane
