// SPDX-License-Identifier: Apache-2.0
// What firmware leaves behind: the boot processor's registers and the MSRs of every processor, as plain data for the
// machine to apply.
#pragma once

#include "words/integers.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::firmware {

/// A segment register with its hidden part. `access_rights` has the form that VMX uses for guest segments:
/// type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16.
struct SegmentState {
    u16 selector = 0;
    u64 base = 0;
    u32 limit = 0; ///< in bytes, granularity applied
    u32 access_rights = 0x10000;

    static constexpr u32 unusable = 0x10000;

    bool operator==(const SegmentState&) const = default;
};

struct TableRegister {
    u64 base = 0;
    u16 limit = 0;

    bool operator==(const TableRegister&) const = default;
};

struct MsrValue {
    u32 index;
    u64 value;

    bool operator==(const MsrValue&) const = default;
};

/// The general registers by the numbers that instructions use.
enum GeneralRegister : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

/// The state in which a kernel's first instruction runs. What is not named here is as after RESET.
struct BootState {
    std::string_view protocol; ///< "Linux", "Multiboot" or "PVH", for messages
    u64 rip = 0;
    u64 rflags = 2;
    std::array<u64, 16> general{}; ///< indexed by GeneralRegister
    u64 cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
    SegmentState es, cs, ss, ds, fs, gs, ldtr, tr;
    TableRegister gdtr, idtr;
    std::vector<MsrValue> every_processor; ///< MTRRs; IA32_FEATURE_CONTROL is the machine's
};

} // namespace vitrine::firmware
