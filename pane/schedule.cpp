// SPDX-License-Identifier: Apache-2.0
// The loop of each processor: pick, enter, handle the exit. The guest that has had least goes first; a slice is 5 ms.
#include "pane/schedule.h"

#include "pane/adapter/adapter.h"
#include "pane/console/console.h"
#include "pane/guest/guest.h"
#include "pane/kernel/apic.h"
#include "pane/kernel/cpu.h"
#include "pane/kernel/interrupts.h"
#include "pane/kernel/lock.h"
#include "pane/kernel/time.h"
#include "pane/report.h"
#include "pane/vmx/capabilities.h"
#include "pane/vmx/exits.h"

#include "vtx/spec/controls.h"
#include "vtx/spec/exits.h"

namespace vitrine::pane {

namespace {

u64 fair_time;     ///< what the guest that was picked last had used: whoever wakes up does not get more than a slice ahead
bool all_has_ended;

u64 slice() { return microseconds(5000); }

bool may_run(const Vcpu& v, const Cpu& cpu) {
    return v.guest->schedulable() && v.state == Vcpu::State::runnable && (!v.on || v.on == &cpu);
}

Vcpu* pick(Cpu& cpu, u64 now) {
    if (Vcpu* v = cpu.running; v && may_run(*v, cpu) && now < v->slice_end)
        return v;
    Vcpu* best = nullptr;
    for (unsigned g = 0; g < guest_count; ++g)
        for (unsigned n = 0; n < guests[g]->vcpu_count; ++n) {
            Vcpu* v = guests[g]->vcpus[n];
            if (!may_run(*v, cpu))
                continue;
            if (!best || v->guest->used < best->guest->used || (v->guest == best->guest && v->ran < best->ran))
                best = v;
        }
    if (best) {
        best->slice_end = now + slice();
        fair_time = best->guest->used;
    }
    return best;
}

/// Lets all timers that are due do their work; when the next one is due.
u64 advance_guests(u64 now) {
    u64 earliest = ~0ull;
    for (unsigned n = 0; n < guest_count; ++n) {
        Guest& g = *guests[n];
        if (!g.schedulable())
            continue;
        u64 next = g.next_event();
        if (next <= now) {
            g.advance(now);
            next = g.next_event();
        }
        earliest = next < earliest ? next : earliest;
    }
    return earliest;
}

/// Resets and stops wait until no processor has anything of the guest.
void answer_requests() {
    for (unsigned n = 0; n < guest_count; ++n) {
        Guest& g = *guests[n];
        if (g.request == Guest::Request::none)
            continue;
        bool busy = false;
        for (unsigned k = 0; k < g.vcpu_count; ++k)
            busy |= g.vcpus[k]->on != nullptr;
        if (busy)
            continue;
        const Guest::Request request = g.request;
        g.request = Guest::Request::none;
        if (request == Guest::Request::stop) {
            g.end(Ending::stopped, "stopped at the prompt");
        } else {
            ++g.resets;
            g.paused = false;
            g.power_on();
            woken(*g.vcpus[0]);
        }
    }
}

void sleep(Cpu& cpu, u64 deadline) {
    if (cpu.running)
        cpu.running->unload();
    const u64 start = rdtsc();
    apic_set_timer(deadline);
    cpu.asleep = true;
    pane_lock.release();
    wait_for_interrupt();
    pane_lock.take();
    cpu.asleep = false;
    apic_set_timer(~0ull);
    cpu.idle += rdtsc() - start;
}

/// With posted interrupts the processor acknowledges the interrupt that it exits for: nobody else will call its handler.
void take_acknowledged() {
    const u64 information = vmread(F::exit_interruption_information);
    if ((vmread(F::exit_reason) & 0xffff) == static_cast<u64>(vtx::ExitReason::external_interrupt) && vtx::interruption.valid(information))
        interrupt_taken(static_cast<u8>(vtx::interruption.vector(information)));
}

/// Into the guest with a bound on how long it stays there, and back. Its account begins at `began`.
void run(Cpu& cpu, Vcpu& v, u64 began, u64 deadline) {
    v.prepare_entry();
    if (vmx_use.preemption_timer) {
        const u64 now = rdtsc();
        const u64 ticks = (deadline > now ? deadline - now : 0) >> vmx_use.preemption_rate;
        vmwrite(F::preemption_timer_value, ticks > 0xffff'ffff ? 0xffff'ffff : ticks);
    } else {
        apic_set_timer(deadline);
    }
    ++v.guest->statistics.entries;
    const bool acknowledges = v.uses_posting();
    cpu.in_guest = true;
    pane_lock.release();
    const bool entered = vmx_enter(&v.registers, v.launched, vtx::row(F::host_rsp).encoding.value);
    if (entered) {
        if (acknowledges)
            take_acknowledged();
        take_pending_interrupts();
    }
    pane_lock.take();
    cpu.in_guest = false;
    if (!entered)
        panic("VM entry of {} fails: {}", v.guest->config.name,
              vtx::text_of(static_cast<vtx::VmError>(vmread(F::vm_instruction_error))));
    v.launched = true;
    handle_exit(v);
    const u64 used = rdtsc() - began; // Pane's work for the guest is on the guest's account
    v.ran += used;
    v.guest->used += used;
}

} // namespace

void run_processor(Cpu& cpu) {
    pane_lock.take();
    for (;;) {
        const u64 looked = rdtsc();
        console_poll();
        look_at_arrivals();
        const u64 before = rdtsc();
        const u64 adapter = adapter_advance(before);
        const u64 began = looked + (rdtsc() - before); // the adapter's work is on nobody's account, all other work on the next guest's
        if (cpu.running && !may_run(*cpu.running, cpu))
            cpu.running->unload();
        answer_requests();
        const u64 now = rdtsc();
        u64 event = advance_guests(now);
        event = adapter < event ? adapter : event;
        if (all_has_ended)
            finish();
        if (const u64 live = report_live(now); live < event)
            event = live;
        Vcpu* v = pick(cpu, now);
        if (!v) {
            sleep(cpu, event);
            continue;
        }
        if (cpu.running != v) {
            if (cpu.running)
                cpu.running->unload();
            v->load(cpu);
        }
        v->take_signals();
        if (v->state != Vcpu::State::runnable)
            continue;
        run(cpu, *v, began, event < v->slice_end ? event : v->slice_end);
    }
}

void woken(Vcpu& v) {
    Guest& g = *v.guest;
    const u64 least = fair_time > slice() ? fair_time - slice() : 0;
    if (g.used < least)
        g.used = least; // time that was slept through is not saved up
    for (unsigned n = 0; n < cpu_count; ++n)
        if (cpus[n]->asleep) {
            kick(*cpus[n]);
            return;
        }
}

void guest_has_ended(Guest& g) {
    console_flush(g);
    say("\npane: guest '{}' has ended: {} ({})", g.config.name, ending_names[static_cast<unsigned>(g.ending)], g.why);
    for (unsigned n = 0; n < guest_count; ++n)
        if (guests[n]->alive())
            return;
    all_has_ended = true;
}

} // namespace vitrine::pane
