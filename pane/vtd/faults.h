// SPDX-License-Identifier: Apache-2.0
// Blocked DMA and blocked interrupts: each is charged to the guest that owns the function.
#pragma once

namespace vitrine::pane {

/// The units tell of faults by an interrupt from now on.
void start_faults();

/// What the units have recorded. The scheduler's loop comes here after their interrupt; the last report, before it is printed.
void look_at_faults();

} // namespace vitrine::pane
