// SPDX-License-Identifier: Apache-2.0
// Pane's one lock: held by whoever runs Pane's own code, open while a guest runs or a processor sleeps.
#pragma once

#include "pane/kernel/processor.h"

namespace vitrine::pane {

class Lock {
public:
    void take() {
        const u32 mine = __atomic_fetch_add(&next_, 1, __ATOMIC_RELAXED); // a ticket: first come, first served
        while (__atomic_load_n(&now_, __ATOMIC_ACQUIRE) != mine)
            relax();
    }

    void release() { __atomic_store_n(&now_, now_ + 1, __ATOMIC_RELEASE); }

private:
    u32 next_ = 0, now_ = 0;
};

extern Lock pane_lock;

} // namespace vitrine::pane
