// SPDX-License-Identifier: Apache-2.0
// A virtual processor's posted-interrupt descriptor: units set requests in it, the processor takes them while the guest runs, Pane otherwise.
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Cpu;
struct Vcpu;

struct alignas(64) PostedDescriptor {
    u64 requests[4];
    u64 control;
    u64 reserved[3];

    void reset();

    /// It runs on `cpu`: notifications go there and are no interrupts for Pane.
    void runs_on(const Cpu& cpu);

    /// It is not on a processor. If it sleeps, a notification is to wake it, by way of `cpu`; if it only waits for its turn there are none.
    void waits(const Cpu& cpu, bool asleep);

    /// Takes what has been requested since the last look; false when there was nothing.
    bool take(u64 (&requested)[4]);

private:
    void set_control(const Cpu& cpu, u8 vector, bool suppress);
};
static_assert(sizeof(PostedDescriptor) == 64);

/// At Pane's start: what a notification for a sleeper does.
void posted_start();

} // namespace vitrine::pane
