// SPDX-License-Identifier: Apache-2.0
// Events on their way to a handler: exits to a monitor, double faults, shutdown (SDM volume 3, Interrupt and Exception Handling).
#include "x86/cpu.h"

#include <fmt/format.h>

#include <iterator>

namespace vitrine {

namespace {

constexpr const char* vector_names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "coprocessor segment overrun", "#TS",
                                        "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};

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
    std::string text = e.kind == EventKind::external_interrupt ? fmt::format("interrupt {:02x}h", v)
                       : e.kind == EventKind::software_interrupt ? fmt::format("INT {:02x}h", v)
                       : v < std::size(vector_names)           ? std::string(vector_names[v])
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

/// What an exception changes besides calling its handler; not done when it exits to a monitor.
void side_effects(Cpu& cpu, const Event& e) {
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
    Event outer; // whose delivery raised `event`
    bool nested = false;
    for (;;) {
        if (event.kind == EventKind::exit) [[unlikely]]
            return interceptor->recorded(*this, nested ? &outer : nullptr);
        if (!event.injected && intercepted(intercept_of(event)) && interceptor->event(*this, event, nested ? &outer : nullptr))
            return;
        activity = Activity::active;
        side_effects(*this, event);
        glass_.tell(Topic::cpu, "event",
                    {{"cpu", index_}, {"vector", static_cast<u64>(event.vector)}, {"error", event.error}, {"cr2", event.cr2}, {"rip", rip}});
        delivering_ = true;
        const bool delivered = deliver_once(event).ok();
        delivering_ = false;
        if (delivered) {
            // Shadows cover the one instruction that the event has now come before or been caused by.
            sti_shadow = mov_ss_shadow = false;
            mtf_due |= intercepted(Intercept::monitor_trap);
            nmi_unblocked = false;
            events_changed();
            return;
        }
        if (pending.kind == EventKind::exit) {
            outer = event;
            nested = true;
            event = pending;
            continue;
        }
        fault_history_ += fmt::format("  {}, cs:rip {:04x}:{:016x}\n", describe(event), segments[cs].selector, rip);
        if (event.vector == Vector::df && event.kind == EventKind::hardware_exception)
            return shutdown(pending);
        outer = event;
        nested = true;
        if (doubles(event, pending)) {
            fault_history_ += fmt::format("  {} while that was being delivered\n", describe(pending));
            event = {.vector = Vector::df, .has_error = true, .error = 0};
        } else {
            event = pending;
        }
    }
}

/// A third fault: the processor stops working until RESET#. The report tells the whole story.
void Cpu::shutdown(const Event& event) {
    if (intercepted(Intercept::triple_fault) && interceptor->boundary(*this, Intercept::triple_fault, 0))
        return;
    activity = Activity::shutdown;
    std::string text = fmt::format("triple fault on processor {}\n{}  {} while that was being delivered\n", index_, fault_history_,
                                   describe(event));
    static constexpr const char* names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                            "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < 16; ++i)
        text += fmt::format("  {} {:016x}{}", names[i], gpr[i], i % 4 == 3 ? "\n" : "");
    text += fmt::format("  rip {:016x}  rflags {:08x}  cr0 {:08x}  cr2 {:016x}  cr3 {:016x}  cr4 {:08x}  efer {:03x}  cpl {}\n", rip,
                        rflags(), cr0, cr2, cr3, cr4, efer, cpl);
    static constexpr const char* segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    for (unsigned i = 0; i < segment_count; ++i)
        text += fmt::format("  {:4} {:04x} base {:016x} limit {:08x} rights {:05x}\n", segment_names[i], segments[i].selector,
                            segments[i].base, segments[i].limit, segments[i].rights);
    text += fmt::format("  gdtr base {:016x} limit {:04x}   idtr base {:016x} limit {:04x}\n", gdtr.base, gdtr.limit, idtr.base, idtr.limit);
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH]{};
    unsigned n = 0;
    const u64 linear = mode64() ? rip : (segments[cs].base + rip) & 0xffff'ffff;
    for (; n < sizeof bytes; ++n) {
        const Mapping m = examine(Linear{linear + n});
        if (!m.present || !space_.host(m.page))
            break;
        read_physical(m.page, &bytes[n], 1);
    }
    text += n == 0 ? std::string("  no code can be read at rip") : fmt::format("  {:016x}: {}", rip, disassemble(bytes, n, rip));
    (void)stop(StopKind::triple_fault, std::move(text));
}

} // namespace vitrine
