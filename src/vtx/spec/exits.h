// SPDX-License-Identifier: Apache-2.0
// Basic exit reasons, and what shape the exit qualification of each has (SDM volume 3, Exit Qualification).
#pragma once

#include "words/bits.h"

namespace vitrine::vtx {

enum class Qualification : u8 {
    none, exception, sipi, task_switch, linear_address, displacement, cr_access, mov_dr, io, entry_failure, msr_entry, mwait,
    apic_access, vector, ept_violation, apic_offset, pml_full, timeout, spp,
};

enum class ExitReason : u16 {
#define EXIT_REASON(id, number, shape, name) id = number,
#include "vtx/spec/exits.def"
#undef EXIT_REASON
};

struct ExitRow {
    ExitReason reason;
    const char* id;
    Qualification shape;
    const char* name;
};

inline constexpr ExitRow exit_rows[] = {
#define EXIT_REASON(id, number, shape, name) {ExitReason::id, #id, Qualification::shape, name},
#include "vtx/spec/exits.def"
#undef EXIT_REASON
};

/// Bits of the exit-reason field besides the basic exit reason.
inline constexpr u32 entry_failure_flag = 1u << 31, bus_lock_flag = 1u << 26;

/// Null for a number that no exit has.
constexpr const ExitRow* find_exit(ExitReason reason) {
    for (const ExitRow& r : exit_rows)
        if (r.reason == reason)
            return &r;
    return nullptr;
}

/// Exit Qualification for EPT Violations.
struct EptViolation {
    Field read{0, ro, "read", "the access was a data read"};
    Field write{1, ro, "write", "the access was a data write"};
    Field fetch{2, ro, "fetch", "the access was an instruction fetch"};
    Field readable{3, ro, "readable", "all entries allowed reading"};
    Field writable{4, ro, "writable", "all entries allowed writing"};
    Field executable{5, ro, "executable", "all entries allowed fetching"};
    Field user_executable{6, ro, "user-executable", "all entries allowed fetching by user-mode addresses (mode-based execute control)"};
    Field linear_valid{7, ro, "linear address valid", "the guest-linear address field is valid"};
    Field translated{8, ro, "final", "the access was to the translation of the linear address, not to a paging-structure entry"};
    Field nmi_unblocking{12, ro, "NMI unblocking due to IRET", "IRET unblocked NMIs before the violation"};
} inline constexpr ept_violation_qualification;

/// Exit Qualification for SPP-Related Events.
struct SppEvent {
    Field miss{11, ro, "SPPT miss", "an entry is not valid; 0: one is misconfigured"};
    Field nmi_unblocking{12, ro, "NMI unblocking due to IRET", "IRET unblocked NMIs before"};
} inline constexpr spp_qualification;

/// Exit Qualification for Instruction Timeouts.
struct Timeout {
    Field context_invalid{0, ro, "VM context invalid", "the guest cannot go on"};
    Field nmi_unblocking{12, ro, "NMI unblocking due to IRET", "IRET unblocked NMIs before"};
} inline constexpr timeout_qualification;

/// Exit qualifications of VM-entry failures due to invalid guest state.
namespace entry_failure {
inline constexpr u64 other = 0, pdpte = 2, nmi_with_sti = 3, link_pointer = 4;
}

/// VMX-abort indicators.
namespace abort_indicator {
inline constexpr u32 saving_guest_msrs = 1, host_pdptes = 2, corrupted_vmcs = 3, loading_host_msrs = 4, machine_check = 5,
                     host_not_64_bit = 6;
}

} // namespace vitrine::vtx
