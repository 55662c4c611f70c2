// SPDX-License-Identifier: Apache-2.0
// Events on their way to a handler: exits to a monitor, double faults, shutdown (SDM volume 3, Interrupt and Exception Handling).
#include "x86/cpu.h"
#include "x86/explain.h"
#include "x86/vectors.h"

#include <fmt/format.h>

namespace vitrine {

namespace {

enum class Class : u8 { benign, contributory, page_fault };

Class class_of(const Event& e) {
    if (e.kind != EventKind::hardware_exception)
        return Class::benign;
    switch (e.vector) {
    case Vector::de:
    case Vector::ts:
    case Vector::np:
    case Vector::ss:
    case Vector::gp:
    case Vector::cp: return Class::contributory;
    case Vector::pf:
    case Vector::ve: return Class::page_fault;
    default: return Class::benign;
    }
}

/// SDM: Conditions for Generating a Double Fault.
bool doubles(const Event& first, const Event& second) {
    const Class a = class_of(first), b = class_of(second);
    return (a == Class::contributory && b == Class::contributory) || (a == Class::page_fault && b != Class::benign);
}

std::string describe(const Event& e) {
    const unsigned v = static_cast<unsigned>(e.vector);
    const VectorRow* row = find_vector(static_cast<u8>(v));
    std::string text = e.kind == EventKind::external_interrupt  ? fmt::format("interrupt {:02x}h", v)
                       : e.kind == EventKind::software_interrupt ? fmt::format("INT {:02x}h", v)
                       : row                                     ? std::string(row->mnemonic)
                                                                 : fmt::format("exception {}", v);
    if (e.has_error)
        text += fmt::format("({:04x})", e.error);
    if (e.vector == Vector::pf && e.kind == EventKind::hardware_exception)
        text += fmt::format(" at {:016x}: {} of a {} page by the {}", e.cr2,
                            e.error & pfec::i ? "fetch" : e.error & pfec::w ? "write" : "read",
                            e.error & pfec::rsvd ? "badly mapped (reserved bit)" : e.error & pfec::p ? "protected" : "not-present",
                            e.error & pfec::u ? "user" : "supervisor");
    return text;
}

/// The bit in Cpu::intercepts that concerns the event.
Intercept intercept_of(const Event& e) {
    switch (e.kind) {
    case EventKind::external_interrupt: return Intercept::external_interrupt;
    case EventKind::nmi: return Intercept::nmi;
    default: return Intercept::exception;
    }
}

/// What is said about the delivery of one event, of which there may be very many.
constexpr unsigned most_told = 8;

/// Events whose delivery raises another one that is delivered in its place, without an instruction between (#AC on a stack of CPL 3 that
/// is not aligned): so many, and there is no end, for nothing changes any more.
constexpr u64 most_deliveries = 1000;

/// What an exception changes besides calling its handler; not done when it exits to a monitor.
void side_effects(Cpu& cpu, const Event& e) {
    // What MOV SS held back is lost when the next instruction faults or is INT1; INT n, INT3 and INTO call their handler first,
    // and the debug exception comes before its first instruction.
    if (e.kind == EventKind::hardware_exception || e.kind == EventKind::privileged_software_exception)
        cpu.pending_debug = 0;
    if (e.kind == EventKind::nmi)
        cpu.nmi_blocked = true;
    if (e.kind != EventKind::hardware_exception || e.injected)
        return;
    if (e.vector == Vector::pf)
        cpu.cr2 = e.cr2;
    if (e.vector == Vector::db) {
        constexpr u64 breakpoints = 15, lbr_and_btf = 3;
        cpu.dr6 = (cpu.dr6 & ~breakpoints) | e.dr6;
        cpu.dr7 &= ~dr7::gd;
        cpu.msr.debugctl &= ~lbr_and_btf;
    }
}

} // namespace

void Cpu::deliver(Event event) {
    fault_history_.clear();
    cut_left_ = 0;
    Event outer; // whose delivery raised `event`
    bool nested = false;
    for (u64 deliveries = 1;; ++deliveries) {
        if (event.kind == EventKind::exit) [[unlikely]]
            return interceptor->recorded(*this, nested ? &outer : nullptr);
        if (!event.injected && intercepted(intercept_of(event)) && interceptor->event(*this, event, nested ? &outer : nullptr))
            return;
        if (deliveries > most_deliveries || (deliveries > delivery_time && intercepted(Intercept::instruction_timeout))) [[unlikely]]
            return hang(event);
        activity = Activity::active;
        monitor_armed = false;
        side_effects(*this, event);
        if (glass_.on(Topic::cpu)) [[unlikely]]
            glass_.tell(Topic::cpu, "event", {{"what", describe(event)}, {"cs", segments[cs].selector}, {"rip", rip}});
        delivering_ = true;
        const bool delivered = deliver_once(event).ok();
        delivering_ = false;
        if (delivered) {
            // Shadows cover the one instruction that the event has now come before or been caused by.
            sti_shadow = mov_ss_shadow = false;
            mtf_due |= intercepted(Intercept::monitor_trap);
            nmi_unblocked = false;
            events_changed();
            if (step_stop_ || watch_hit_) [[unlikely]]
                stop_for_debugger();
            return;
        }
        if (pending.kind == EventKind::exit) {
            outer = event;
            nested = true;
            event = pending;
            continue;
        }
        // What exits by itself does so before it makes a double fault or a third one (SDM, Basic VM-Exit Information: "triple fault").
        if (intercepted(intercept_of(pending)) && interceptor->event(*this, pending, &event))
            return;
        const bool told = deliveries <= most_told;
        if (told)
            fault_history_ += fmt::format("  {}\n{}", describe(event), explain_delivery(*this, static_cast<u8>(event.vector)));
        const bool third = event.vector == Vector::df && event.kind == EventKind::hardware_exception;
        // SDM, Interrupt 14: CR2 is overwritten even if the page fault results in a double fault or occurs while one is delivered.
        if (pending.vector == Vector::pf && (third || doubles(event, pending)))
            cr2 = pending.cr2;
        if (third)
            return shutdown(pending);
        outer = event;
        nested = true;
        if (doubles(event, pending)) {
            fault_history_ += fmt::format("  {} while that was being delivered: together a double fault\n", describe(pending));
            event = {.vector = Vector::df, .has_error = true, .error = 0};
        } else {
            if (told)
                fault_history_ += "  could not be delivered; what its delivery raised comes in its place:\n";
            event = pending;
        }
    }
}

/// The delivery of events that does not come to an end: an instruction timeout, or else a processor that takes no interrupt any more and
/// can be ended by RESET# alone: the machine stops and tells the story's beginning.
void Cpu::hang(const Event& event) {
    if (intercepted(Intercept::instruction_timeout)) {
        (void)interceptor->boundary(*this, Intercept::instruction_timeout, 0);
        return interceptor->recorded(*this, &event);
    }
    (void)stop(StopKind::triple_fault,
               fmt::format("processor {} hangs at {:04x}:{:x}: the delivery of each event raises another one, {} so far\n{}  ... {}\n{}", index_,
                           segments[cs].selector, rip, most_deliveries, fault_history_, describe(event), explain_registers(*this)));
}

/// A third fault: the processor stops working until RESET#. The report tells the whole story.
void Cpu::shutdown(const Event& event) {
    if (intercepted(Intercept::triple_fault) && interceptor->boundary(*this, Intercept::triple_fault, 0))
        return;
    activity = Activity::shutdown;
    const Linear here = linear_rip();
    std::string text = fmt::format("triple fault on processor {} at {:04x}:{:x}\n{}  {} while that was being delivered: the third fault\n",
                                   index_, segments[cs].selector, rip, fault_history_, describe(event));
    if (Linear page{cr2}; fault_history_.find("#PF") != std::string::npos)
        text += "the page fault's address (CR2):\n  " + explain_walk(*this, page);
    text += explain_registers(*this) + explain_code_around(*this);
    if (!examine(here).present)
        text += "the code's address:\n  " + explain_walk(*this, here);
    text.pop_back();
    (void)stop(StopKind::triple_fault, std::move(text));
}

} // namespace vitrine
