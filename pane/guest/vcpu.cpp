// SPDX-License-Identifier: Apache-2.0
// A virtual processor between exits: what is injected, what it waits for, what wakes it.
#include "pane/guest/vcpu.h"

#include "pane/guest/guest.h"
#include "pane/kernel/cpu.h"
#include "pane/schedule.h"
#include "pane/vmx/capabilities.h"
#include "pane/vtd/vtd.h"

#include "vtx/spec/controls.h"

namespace vitrine::pane {

namespace {

namespace type = vtx::interruption_type;

constexpr u32 event_word(u64 kind, u8 vector, bool has_error_code = false) {
    const auto& i = vtx::interruption;
    return static_cast<u32>(i.valid.mask() | i.type.with(0, kind) | vector | (has_error_code ? i.deliver_error_code.mask() : 0));
}

constexpr u64 rflags_if = 1 << 9;

} // namespace

void Vcpu::inject_exception(u8 vector, u32 error_code, bool has_error_code) {
    ++guest->statistics.exceptions_injected;
    const bool real_mode = !(vmread(F::guest_cr0) & control::cr0_pe); // no error codes there
    event = {event_word(type::hardware_exception, vector, has_error_code && !real_mode), error_code, 0};
}

void Vcpu::skip_instruction() {
    vmwrite(F::guest_rip, vmread(F::guest_rip) + vmread(F::exit_instruction_length));
    const u64 state = vmread(F::guest_interruptibility_state);
    const u64 shadow = vtx::interruptibility.blocking_by_sti.mask() | vtx::interruptibility.blocking_by_mov_ss.mask();
    if (state & shadow)
        vmwrite(F::guest_interruptibility_state, state & ~shadow);
}

bool Vcpu::uses_posting() const { return vtd_use.posted && guest->assigned_count; }

void Vcpu::take_posted() {
    u64 requested[4];
    if (!uses_posting() || !posted.take(requested))
        return;
    for (unsigned n = 0; n < 4; ++n)
        for (u64 word = requested[n]; word; word &= word - 1)
            if (apic.accept_posted(static_cast<u8>(64 * n + static_cast<unsigned>(__builtin_ctzll(word)))))
                ++guest->statistics.posted_taken;
}

void Vcpu::prepare_entry() {
    take_posted();
    const auto& blocking = vtx::interruptibility;
    u64 primary = vmx_use.primary;
    const u64 state = vmread(F::guest_interruptibility_state);
    const bool shadow = blocking.blocking_by_sti(state) || blocking.blocking_by_mov_ss(state);
    const bool open = (vmread(F::guest_rflags) & rflags_if) && !shadow;

    if (nmi_pending && vmx_use.virtual_nmis) {
        if (!event && !shadow && !blocking.blocking_by_nmi(state)) {
            event = {event_word(type::nmi, 2), 0, 0};
            nmi_pending = false;
        } else {
            primary |= vtx::primary.nmi_window_exiting.mask();
        }
    }

    u8 vector = 0;
    if (vmx_use.interrupt_delivery && apic.enabled()) {
        // SVI too: where an end of interrupt exits, Pane has changed the in-service register behind the processor's back.
        vmwrite(F::guest_interrupt_status, static_cast<u64>(apic.serving()) << 8 | apic.pending());
        for (unsigned n = 0; n < 4; ++n)
            vmwrite(vtx::after(F::eoi_exit_bitmap_0, n), apic.level_vectors(n));
    } else {
        vector = apic.deliverable();
        const u8 waiting = apic.pending();
        if (vmx_use.tpr_shadow) // an exit when the guest lowers its priority far enough for what waits
            vmwrite(F::tpr_threshold, !vector && waiting && apic.task_priority() >> 4 >= waiting >> 4 ? waiting >> 4 : 0);
    }
    bool ext_int = guest->pic.asserted() && apic.takes_ext_int();
    if (!event && open && (ext_int || vector)) {
        if (ext_int) {
            event = {event_word(type::external_interrupt, guest->pic.acknowledge(*guest)), 0, 0};
            ++guest->statistics.from_8259;
            ext_int = guest->pic.asserted();
        } else {
            apic.begin_service(vector);
            event = {event_word(type::external_interrupt, vector), 0, 0};
            vector = apic.deliverable();
        }
        ++guest->statistics.injected;
    }
    if (ext_int || vector)
        primary |= vtx::primary.interrupt_window_exiting.mask();

    vmwrite(F::primary, primary);
    vmwrite(F::entry_interruption_information, event.information);
    if (event) {
        vmwrite(F::entry_exception_error_code, event.error_code);
        vmwrite(F::entry_instruction_length, event.length);
        event = {};
    }
}

void Vcpu::notify() {
    if (state == State::halted && can_wake()) {
        state = State::runnable;
        woken(*this);
    }
    if (on)
        kick(*on);
}

bool Vcpu::can_wake() {
    take_posted();
    if (nmi_pending || init_pending)
        return true;
    return interrupts_open && (apic.deliverable() || (guest->pic.asserted() && apic.takes_ext_int()));
}

bool Vcpu::receive(const Message& m) {
    using apic::DeliveryMode;
    switch (m.mode) {
    case DeliveryMode::fixed:
    case DeliveryMode::lowest_priority: return apic.accept(m.vector, m.level);
    case DeliveryMode::nmi:
        nmi_pending = true;
        notify();
        return true;
    case DeliveryMode::init:
        init_pending = true;
        sipi_pending = false;
        if (state != State::runnable) {
            state = State::runnable; // to take the signal; it waits again then
            woken(*this);
        }
        notify();
        return true;
    case DeliveryMode::start_up:
        if (state != State::wait_for_sipi && !init_pending)
            return false;
        sipi_pending = true;
        sipi_page = m.vector;
        state = State::runnable;
        woken(*this);
        return true;
    default: return false; // SMI and ExtINT: there is no SMM here, and the 8259s have their own wire
    }
}

void Vcpu::take_signals() {
    if (init_pending) {
        init_pending = nmi_pending = false;
        event = {};
        apic.reset(true);
        if (!sipi_pending)
            state = number == 0 ? State::runnable : State::wait_for_sipi;
        reset_vmcs(number == 0 ? 0xf000 : 0);
    }
    if (sipi_pending) {
        sipi_pending = false;
        state = State::runnable;
        reset_vmcs(static_cast<u16>(sipi_page << 8));
        if (vmx_use.vpid)
            invvpid(vmx_use.invvpid_type, vpid); // INIT drops all translations
    }
}

} // namespace vitrine::pane
