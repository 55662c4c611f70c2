// SPDX-License-Identifier: Apache-2.0
// How Pane stops: through the configured port if there is one, else with interrupts closed.
#include "pane/kernel/panic.h"

#include "pane/kernel/processor.h"

namespace vitrine::pane {

constinit FailureExit failure_exit;

void stop_machine() {
    if (failure_exit.port)
        out8(failure_exit.port, failure_exit.value);
    for (;;)
        asm volatile("cli; hlt");
}

} // namespace vitrine::pane
