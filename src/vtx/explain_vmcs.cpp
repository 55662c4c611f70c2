// SPDX-License-Identifier: Apache-2.0
// The current VMCS for people: area by area, values with their bits by name, last writers.
#include "vtx/explain.h"
#include "vtx/unit.h"
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <span>

namespace vitrine::vtx {

namespace {

template <class Layout> auto fields_of(const Layout& layout) {
    return std::bit_cast<std::array<Field, sizeof(Layout) / sizeof(Field)>>(layout);
}

const auto pin_fields = fields_of(pin);
const auto primary_fields = fields_of(primary);
const auto secondary_fields = fields_of(secondary);
const auto tertiary_fields = fields_of(tertiary);
const auto exit_fields = fields_of(exiting);
const auto entry_fields = fields_of(entering);
const auto interruption_fields = fields_of(interruption);
const auto interruptibility_fields = fields_of(interruptibility);
const auto pending_debug_fields = fields_of(pending_debug_exceptions);
const auto ept_pointer_fields = fields_of(ept_pointer);

/// Which fields have bits with names.
std::span<const Field> bits_of(F f) {
    switch (f) {
    case F::pin_based: return pin_fields;
    case F::primary: return primary_fields;
    case F::secondary: return secondary_fields;
    case F::tertiary: return tertiary_fields;
    case F::exit_controls: return exit_fields;
    case F::entry_controls: return entry_fields;
    case F::entry_interruption_information:
    case F::exit_interruption_information:
    case F::idt_vectoring_information: return interruption_fields;
    case F::guest_interruptibility_state: return interruptibility_fields;
    case F::guest_pending_debug_exceptions: return pending_debug_fields;
    case F::eptp: return ept_pointer_fields;
    case F::guest_rflags: return rflags_fields();
    case F::guest_cr0:
    case F::host_cr0:
    case F::cr0_mask:
    case F::cr0_read_shadow: return cr0_fields();
    case F::guest_cr4:
    case F::host_cr4:
    case F::cr4_mask:
    case F::cr4_read_shadow: return cr4_fields();
    case F::guest_efer:
    case F::host_efer: return efer_fields();
    default: return {};
    }
}

/// One-bit fields that are set by name, wider ones with their value.
std::string names(u64 value, std::span<const Field> fields) {
    std::string text;
    for (const Field& f : fields) {
        if (!f(value))
            continue;
        text += text.empty() ? "" : ", ";
        text += f.width() == 1 ? f.name() : fmt::format("{} {:x}", f.name(), f(value));
    }
    return text;
}

std::string meaning(Unit& unit, F f) {
    const Vmcs& v = unit.vmcs();
    if (f == F::exit_reason) {
        const ExitRow* row = find_exit(static_cast<ExitReason>(v[f] & 0xffff));
        return fmt::format("{}{}{}", row ? row->name : "no such reason", v[f] & entry_failure_flag ? ", at VM entry" : "",
                           v[f] & bus_lock_flag ? ", a bus lock was asserted" : "");
    }
    if (f == F::exit_qualification)
        return qualification_text(static_cast<ExitReason>(v[F::exit_reason] & 0xffff), v[f]);
    if (f == F::vm_instruction_error) {
        return text_of(static_cast<VmError>(v[f]));
    }
    if (f == F::guest_activity_state) {
        constexpr const char* states[] = {"active", "HLT", "shutdown", "wait-for-SIPI"};
        return v[f] < std::size(states) ? states[v[f]] : "reserved";
    }
    return names(v[f], bits_of(f));
}

bool contains(std::string_view name, std::string_view part) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    const auto found = std::search(name.begin(), name.end(), part.begin(), part.end(), [&](char a, char b) { return low(a) == low(b); });
    return found != name.end() || part.empty();
}

} // namespace

std::string explain_vmcs(Unit& unit, std::string_view part) {
    Vmcs& v = unit.vmcs();
    if (!v.valid())
        return unit.in_operation() ? "no VMCS is current\n" : "the processor is not in VMX operation\n";
    std::string text = fmt::format("VMCS at {:x}{}, {}, {}\n", v.pointer(), v.shadow() ? " (shadow)" : "",
                                   v.launched ? "launched" : "clear", unit.in_non_root() ? "in use: VMX non-root operation" : "VMX root operation");
    // The guest-state area of a running guest is in the processor: what is here is what the last VM exit saved.
    constexpr const char* areas[] = {"control", "VM-exit information", "guest state", "host state"};
    for (unsigned area = 0; area < std::size(areas); ++area) {
        std::string lines;
        for (unsigned n = 0; n < field_count; ++n) {
            const F f = static_cast<F>(n);
            if (row(f).encoding.area() != static_cast<FieldArea>(area) || !contains(row(f).name, part))
                continue;
            const std::string what = meaning(unit, f);
            const Vmcs::Writer& w = v.writer(f);
            lines += fmt::format("  {:<46} {:0{}x}{}", row(f).name, v[f], row(f).encoding.width() / 4, what.empty() ? "" : " [" + what + "]");
            if (w.known)
                lines += fmt::format(" by {:x}, {} entries ago", w.rip, unit.entries() - w.entries);
            lines += '\n';
        }
        if (!lines.empty())
            text += fmt::format("{}{}\n", areas[area], area == 2 && unit.in_non_root() ? " (as the last VM exit left it: the guest runs)" : "") + lines;
    }
    return text;
}

} // namespace vitrine::vtx
