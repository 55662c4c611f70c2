// SPDX-License-Identifier: Apache-2.0
// Exit qualifications as text (SDM volume 3, Exit Qualification).
#include "vtx/explain.h"

#include <fmt/format.h>

#include <array>

namespace vitrine::vtx {

namespace {

constexpr const char* registers[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                     "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};

std::string cr_access(u64 q) {
    const u64 number = bits(q, 3, 0);
    const char* const name = registers[bits(q, 11, 8)];
    switch (bits(q, 5, 4)) {
    case 0: return fmt::format("MOV to CR{} from {}", number, name);
    case 1: return fmt::format("MOV from CR{} to {}", number, name);
    case 2: return "CLTS";
    default: return fmt::format("LMSW {:x}{}", bits(q, 31, 16), q & bit(6) ? " from memory" : "");
    }
}

std::string io(u64 q) {
    return fmt::format("port {:x}, {} byte{}, {}{}{}", bits(q, 31, 16), bits(q, 2, 0) + 1, bits(q, 2, 0) ? "s" : "",
                       q & bit(3) ? "in" : "out", q & bit(4) ? ", string" : "", q & bit(5) ? ", REP" : "");
}

std::string mov_dr(u64 q) {
    return q & bit(4) ? fmt::format("MOV from DR{} to {}", bits(q, 2, 0), registers[bits(q, 11, 8)])
                      : fmt::format("MOV to DR{} from {}", bits(q, 2, 0), registers[bits(q, 11, 8)]);
}

std::string ept_violation(u64 q) {
    const EptViolation& e = ept_violation_qualification;
    std::string text = e.fetch(q) ? "fetch" : e.read(q) && e.write(q) ? "read and write" : e.write(q) ? "write" : "read";
    text += fmt::format(", the entries allow {}{}{}", e.readable(q) ? "R" : "-", e.writable(q) ? "W" : "-", e.executable(q) ? "X" : "-");
    if (e.linear_valid(q) && !e.translated(q))
        text += ", of a paging-structure entry";
    if (e.nmi_unblocking(q))
        text += ", IRET has unblocked NMIs";
    return text;
}

std::string task_switch(u64 q) {
    constexpr const char* sources[] = {"CALL", "IRET", "JMP", "task gate"};
    return fmt::format("to TSS {:x} by {}", bits(q, 15, 0), sources[bits(q, 31, 30)]);
}

std::string apic_access(u64 q) {
    constexpr const char* types[] = {"linear read", "linear write", "linear fetch", "linear during event delivery"};
    const u64 type = bits(q, 15, 12);
    return fmt::format("offset {:x}, {}", bits(q, 11, 0), type < std::size(types) ? types[type] : "guest-physical");
}

std::string entry_failure_text(u64 q) {
    switch (q) {
    case entry_failure::pdpte: return "PDPTE loading";
    case entry_failure::nmi_with_sti: return "NMI with blocking by STI";
    case entry_failure::link_pointer: return "VMCS link pointer";
    default: return {};
    }
}

} // namespace

std::string qualification_text(ExitReason reason, u64 q) {
    const ExitRow* row = find_exit(reason);
    switch (row ? row->shape : Qualification::none) {
    case Qualification::none: return {};
    case Qualification::exception: return q ? fmt::format("{:x}", q) : std::string(); // a page fault's address, or DR6
    case Qualification::sipi: return fmt::format("vector {:x}", bits(q, 7, 0));
    case Qualification::task_switch: return task_switch(q);
    case Qualification::linear_address: return fmt::format("linear address {:x}", q);
    case Qualification::displacement: return q ? fmt::format("displacement {:x}", q) : std::string();
    case Qualification::cr_access: return cr_access(q);
    case Qualification::mov_dr: return mov_dr(q);
    case Qualification::io: return io(q);
    case Qualification::entry_failure: return entry_failure_text(q);
    case Qualification::msr_entry: return fmt::format("entry {} of the area", q);
    case Qualification::mwait: return q & 1 ? "address-range monitoring armed" : "not armed";
    case Qualification::apic_access: return apic_access(q);
    case Qualification::vector: return fmt::format("vector {:x}", bits(q, 7, 0));
    case Qualification::ept_violation: return ept_violation(q);
    case Qualification::apic_offset: return fmt::format("offset {:x}", bits(q, 11, 0));
    case Qualification::spp: return spp_qualification.miss(q) ? "SPPT miss" : "SPPT misconfiguration";
    case Qualification::timeout: return timeout_qualification.context_invalid(q) ? "the guest's context is lost" : "the guest can go on";
    case Qualification::pml_full: return q & bit(12) ? "IRET has unblocked NMIs" : std::string();
    }
    return {};
}

} // namespace vitrine::vtx
