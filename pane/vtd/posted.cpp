// SPDX-License-Identifier: Apache-2.0
// The descriptor is changed by remapping units and processors at any time, so every change is one locked instruction
// (SDM volume 3, Posted-Interrupt Processing; Intel VT-d, Interrupt Posting).
#include "pane/vtd/posted.h"

#include "pane/guest/guest.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/vtd/vtd.h"

#include "vtd/spec/structures.h"

namespace vitrine::pane {

void PostedDescriptor::reset() {
    for (u64& r : requests)
        __atomic_store_n(&r, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&control, vtd::descriptor_control.suppress.mask(), __ATOMIC_RELEASE);
}

void PostedDescriptor::set_control(const Cpu& cpu, u8 vector, bool suppress) {
    const auto& d = vtd::descriptor_control;
    const u64 destination = vtd_use.extended ? cpu.apic_id : cpu.apic_id << 8;
    u64 old = __atomic_load_n(&control, __ATOMIC_RELAXED), fresh;
    do
        fresh = d.destination.with(d.vector.with(d.suppress.with(old, suppress), vector), destination);
    while (!__atomic_compare_exchange_n(&control, &old, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void PostedDescriptor::runs_on(const Cpu& cpu) { set_control(cpu, vector::posted, false); }

void PostedDescriptor::waits(const Cpu& cpu, bool asleep) { set_control(cpu, asleep ? vector::posted_wake : vector::posted, !asleep); }

bool PostedDescriptor::take(u64 (&requested)[4]) {
    // First the notification, then the requests: one that comes in between brings a new notification.
    __atomic_and_fetch(&control, ~vtd::descriptor_control.outstanding.mask(), __ATOMIC_ACQ_REL);
    bool some = false;
    for (unsigned n = 0; n < 4; ++n) {
        requested[n] = __atomic_load_n(&requests[n], __ATOMIC_RELAXED) ? __atomic_exchange_n(&requests[n], 0, __ATOMIC_ACQ_REL) : 0;
        some |= requested[n] != 0;
    }
    return some;
}

void posted_start() {
    set_look(
        vector::posted_wake,
        [](void*, u32) {
            for (unsigned n = 0; n < guest_count; ++n)
                for (unsigned k = 0; k < guests[n]->vcpu_count; ++k)
                    if (Vcpu& v = *guests[n]->vcpus[k]; v.state == Vcpu::State::halted && v.uses_posting())
                        v.notify();
        },
        nullptr);
}

} // namespace vitrine::pane
