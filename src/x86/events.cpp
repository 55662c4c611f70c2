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
    if (init_pending)
        return true;
    switch (activity) {
    case Activity::active: return true;
    case Activity::wait_for_sipi: return sipi_pending != 0;
    case Activity::hlt: return pending_debug || (nmi_pending && !nmi_blocked) || (interrupt_line_ && (flags & rflags::if_));
    case Activity::mwait: return pending_debug || (nmi_pending && !nmi_blocked) || (interrupt_line_ && ((flags & rflags::if_) || mwait_any_interrupt));
    case Activity::shutdown: return nmi_pending && !nmi_blocked;
    }
    return false;
}

/// At most one event is delivered at a boundary; the next one waits for the handler's first instruction. So it does not matter how
/// often a boundary is looked at: slices end where somebody outside wants them to.
bool Cpu::deliver_pending() {
    if (pending_debug && !mov_ss_shadow) {
        deliver({.vector = Vector::db, .dr6 = std::exchange(pending_debug, 0)});
        return true;
    }
    if (nmi_pending && !nmi_blocked && !mov_ss_shadow && !sti_shadow) {
        nmi_pending = false;
        nmi_blocked = true;
        deliver({.vector = Vector::nmi, .kind = EventKind::nmi});
        return true;
    }
    if (interrupt_line_ && (flags & rflags::if_) && !sti_shadow && !mov_ss_shadow) {
        deliver({.vector = static_cast<Vector>(apic_->acknowledge()), .kind = EventKind::external_interrupt});
        return true;
    }
    return false;
}

bool Cpu::attend() {
    if (init_pending) {
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
        segments[cs].selector = static_cast<u16>(vector << 8);
        segments[cs].base = u64{vector} << 12;
        rip = 0;
        mode_changed();
    }
    activity = Activity::active;
    attention_ = false;
    if (boundary_ == Boundary::fresh && deliver_pending()) {
        boundary_ = Boundary::event;
        if (stop_.kind != StopKind::none)
            return false;
    }
    stepping_ = boundary_ != Boundary::fresh || sti_shadow || mov_ss_shadow || (flags & (rflags::tf | rflags::rf)) || (dr7 & dr7::enabled);
    if (stepping_)
        attention_ = true;
    if ((dr7 & dr7::enabled) && !(flags & rflags::rf) && boundary_ != Boundary::breakpoint)
        if (const u64 hit = code_breakpoints()) {
            // A fault, not a trap: RF in the saved flags keeps it from coming again.
            deliver({.vector = Vector::db, .dr6 = hit});
            boundary_ = Boundary::breakpoint;
            return stop_.kind == StopKind::none;
        }
    return true;
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
