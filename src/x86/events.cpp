// SPDX-License-Identifier: Apache-2.0
// What happens between instructions, in the order of priority (SDM volume 3, Priority Among Concurrent Events).
#include "x86/cpu.h"

#include <utility>

namespace vitrine {

/// Something for this processor, perhaps from another one that runs now: that one's slice ends.
void Cpu::wake() {
    attention_ = true;
    if (Runner* runner = clock_.runner(); runner && runner != this)
        runner->interrupt_slice();
    else if (runner == this)
        leave_block();
}

void Cpu::set_interrupt(bool pending) {
    if (pending == interrupt_line_)
        return;
    interrupt_line_ = pending;
    if (pending)
        wake();
}

void Cpu::nmi() {
    nmi_pending = true;
    wake();
}

void Cpu::smi() {
    // No system-management mode: firmware that wants one does not find it (SMRAM is locked).
    glass_.odd(Topic::cpu, "smi.ignored", {{"cpu", index_}});
}

void Cpu::init() {
    init_pending = true;
    wake();
}

void Cpu::sipi(u8 vector) {
    if (activity != Activity::wait_for_sipi)
        return;
    sipi_pending = static_cast<u16>(0x100 | vector);
    wake();
}

bool Cpu::wakes() const {
    if (init_pending && !init_blocked)
        return true;
    if (interceptor && activity != Activity::wait_for_sipi && (mtf_due || preemption_due || trap_exit_due))
        return true;
    switch (activity) {
    case Activity::active: return true;
    case Activity::wait_for_sipi: return sipi_pending != 0;
    case Activity::hlt: return (virtual_interrupt && (flags & rflags::if_)) || pending_debug || nmi_open() || interrupt_open() || window_open();
    case Activity::mwait:
        return !monitor_armed || pending_debug || nmi_open() || interrupt_open() || window_open() ||
               (virtual_interrupt && ((flags & rflags::if_) || mwait_any_interrupt)) || (interrupt_line_ && mwait_any_interrupt);
    case Activity::shutdown: return nmi_open();
    }
    return false;
}

/// At most one event is delivered at a boundary; the next one waits for the handler's first instruction. So it does not matter how
/// often a boundary is looked at: slices end where somebody outside wants them to.
bool Cpu::deliver_pending() {
    if (pending_debug && !mov_ss_shadow) {
        boundary_ = Boundary::event;
        deliver({.vector = Vector::db, .dr6 = std::exchange(pending_debug, 0)});
        return true;
    }
    if (nmi_open() && !mov_ss_shadow && !sti_shadow) {
        boundary_ = Boundary::event;
        nmi_pending = false;
        nmi_blocked = true;
        deliver({.vector = Vector::nmi, .kind = EventKind::nmi});
        return true;
    }
    if (virtual_interrupt && (flags & rflags::if_) && !sti_shadow && !mov_ss_shadow && !intercepted(Intercept::interrupt_window)) {
        boundary_ = Boundary::event;
        deliver({.vector = static_cast<Vector>(interceptor->acknowledge_virtual(*this)), .kind = EventKind::external_interrupt});
        return true;
    }
    if (interrupt_open() && !intercepted(Intercept::external_interrupt) && !sti_shadow && !mov_ss_shadow) {
        boundary_ = Boundary::event;
        deliver({.vector = static_cast<Vector>(apic_->acknowledge()), .kind = EventKind::external_interrupt});
        return true;
    }
    return false;
}

/// VM exits at a boundary, among the events that are delivered there and come first. They wait for nothing: a trap flag or a timer
/// that is due ends the guest before the first instruction of a handler too.
bool Cpu::boundary_exit() {
    if (!intercepts) [[likely]]
        return false;
    const auto exits = [&](Intercept kind) {
        if (!interceptor->boundary(*this, kind, 0))
            return false;
        boundary_ = Boundary::fresh;
        return true;
    };
    if (trap_exit_due && exits(Intercept::trap_exit))
        return true;
    if (mtf_due && exits(Intercept::monitor_trap))
        return true;
    const bool fresh = boundary_ == Boundary::fresh, open = !sti_shadow && !mov_ss_shadow;
    if (fresh && pending_debug && !mov_ss_shadow)
        return false;
    if (preemption_due && exits(Intercept::preemption_timer))
        return true;
    if (intercepted(Intercept::nmi_window) && !nmi_blocked && open && exits(Intercept::nmi_window))
        return true;
    if (nmi_open() && open) {
        if (intercepted(Intercept::nmi)) {
            nmi_pending = false;
            return exits(Intercept::nmi);
        }
        if (fresh)
            return false;
    }
    if (intercepted(Intercept::interrupt_window) && (flags & rflags::if_) && open && exits(Intercept::interrupt_window))
        return true;
    if (fresh && virtual_interrupt && (flags & rflags::if_) && open)
        return false;
    // One that is no exit after all (it notified of posted interrupts) has been acknowledged: there may be another.
    while (interrupt_open() && open && intercepted(Intercept::external_interrupt))
        if (exits(Intercept::external_interrupt))
            return true;
    return false;
}

bool Cpu::attend() {
    if (init_pending && !init_blocked) {
        if (intercepted(Intercept::init)) {
            init_pending = false;
            if (activity != Activity::wait_for_sipi) // that state drops it
                (void)interceptor->boundary(*this, Intercept::init, 0);
        }
    }
    if (init_pending && !init_blocked) {
        init_pending = false;
        reset(Reset::init);
        if (index_ != 0)
            activity = Activity::wait_for_sipi;
    }
    if (!wakes()) {
        attention_ = true;
        return false;
    }
    if (activity == Activity::wait_for_sipi) {
        const u8 vector = static_cast<u8>(sipi_pending);
        sipi_pending = 0;
        if (intercepted(Intercept::sipi)) {
            (void)interceptor->boundary(*this, Intercept::sipi, vector);
        } else {
            segments[cs].selector = static_cast<u16>(vector << 8);
            segments[cs].base = u64{vector} << 12;
            rip = 0;
            activity = Activity::active;
            mode_changed();
        }
    }
    while (boundary_exit() || (boundary_ == Boundary::fresh && deliver_pending())) {
        if (stop_.kind != StopKind::none)
            return false;
        if (!intercepts)
            break;
    }
    if (!wakes())
        return false;
    if (activity == Activity::mwait)
        monitor_armed = false;
    activity = Activity::active;
    attention_ = false;
    stepping_ = boundary_ != Boundary::fresh || sti_shadow || mov_ss_shadow || (flags & (rflags::tf | rflags::rf)) || (dr7 & dr7::enabled) ||
                intercepted(Intercept::monitor_trap);
    if (stepping_)
        attention_ = true;
    // MOV SS and POP SS hold off code breakpoints on the next instruction altogether.
    if ((dr7 & dr7::enabled) && !(flags & rflags::rf) && !mov_ss_shadow && boundary_ != Boundary::breakpoint)
        if (const u64 hit = code_breakpoints()) {
            // A fault, not a trap: RF in the saved flags keeps it from coming again.
            deliver({.vector = Vector::db, .dr6 = hit});
            boundary_ = Boundary::breakpoint;
            return stop_.kind == StopKind::none;
        }
    return true;
}

/// Whether an exit for an open window is due: in HLT too.
bool Cpu::window_open() const {
    return (intercepted(Intercept::nmi_window) && !nmi_blocked) ||
           (intercepted(Intercept::interrupt_window) && (flags & rflags::if_));
}

u64 Cpu::code_breakpoints() const {
    const u64 linear = linear_rip().value;
    u64 hit = 0;
    for (unsigned i = 0; i < 4; ++i)
        if ((dr7 >> (2 * i) & 3) && (dr7 >> (16 + 4 * i) & 15) == 0 && dr[i] == linear)
            hit |= bit(i);
    return hit;
}

} // namespace vitrine
