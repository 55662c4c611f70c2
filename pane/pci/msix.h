// SPDX-License-Identifier: Apache-2.0
// MSI-X of a physical function, as Pane programs it: for its own drivers, and for what it lets a guest believe (PCI Local Bus 3.0, 6.8).
#pragma once

#include "pane/kernel/apic.h"
#include "pane/pci/pci.h"

namespace vitrine::pane {

struct Cpu;

/// Entries of the function's table; 0 when it has no MSI-X.
unsigned msix_entries(const Function& function);

/// Where the table and the pending bits lie in the machine's memory, 0 when the BAR is not placed.
u64 msix_table(const Function& function);
u64 msix_pending(const Function& function);

/// Writes an entry, masked or not.
void msix_write(const Function& function, unsigned entry, InterruptRequest request, bool masked);
void msix_enable(const Function& function, bool on);

/// For Pane's own drivers: the entry raises `vector` on `cpu`, through the interrupt remapping table when there is one, and MSI-X is on.
/// False: the function has no such entry.
bool msix_route(const Function& function, unsigned entry, u8 vector, const Cpu& cpu);

} // namespace vitrine::pane
