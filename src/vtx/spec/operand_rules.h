// SPDX-License-Identifier: Apache-2.0
// What INVEPT and INVVPID check of their operands; a broken rule is VMfailValid 28 (SDM volume 3, VMX Instruction Reference).
#pragma once

#include "vtx/spec/ept_entry.h"
#include "vtx/spec/manuals.h"

namespace vitrine::vtx {

/// The operands: type, the descriptor's two words, and what the processor says about addresses.
struct InvalidateOperand {
    u64 type = 0, low = 0, high = 0;
    u64 ept_vpid = 0; ///< IA32_VMX_EPT_VPID_CAP
    unsigned physical_bits = 46, linear_bits = 48;
};

struct OperandRule {
    const char* id;
    const Section* section;
    const char* sentence;
    bool (*must)(const InvalidateOperand&);
    void (*violate)(InvalidateOperand&);
};

// clang-format off
inline constexpr OperandRule invept_rules[] = {
    {"invept.type", &sdm::invept, "The INVEPT type must be one that IA32_VMX_EPT_VPID_CAP reports: 1 (single-context) or 2 (all-context).",
     [](const InvalidateOperand& o) { return (o.type == 1 && vtx::ept_vpid.invept_single(o.ept_vpid)) || (o.type == 2 && vtx::ept_vpid.invept_all(o.ept_vpid)); },
     [](InvalidateOperand& o) { o.type = 3; }},
    {"invept.eptp", &sdm::invept, "For single-context invalidation, VM entry with the EPTP in the descriptor must not fail because of it.",
     [](const InvalidateOperand& o) {
         const u64 type = ept_pointer.memory_type(o.low);
         return o.type != 1 || (((type == 0 && vtx::ept_vpid.uncacheable(o.ept_vpid)) || (type == 6 && vtx::ept_vpid.write_back(o.ept_vpid))) &&
                                ept_walk_supported(o.low, o.ept_vpid) && !(o.low & (ept_pointer.reserved.mask() | ept_pointer.shadow_stack.mask())) &&
                                !(o.low >> o.physical_bits) && (!ept_pointer.accessed_dirty(o.low) || vtx::ept_vpid.accessed_dirty(o.ept_vpid)));
     },
     [](InvalidateOperand& o) { o.type = 1; o.low = 0x1001; }},
    // Bits 127:64 of the descriptor are reserved, but the manual's operation does not check them; kvm-unit-tests and Bochs agree
    // that INVEPT with them set is not refused on silicon. (Not confirmed here.)
};

inline constexpr OperandRule invvpid_rules[] = {
    {"invvpid.type", &sdm::invvpid, "The INVVPID type must be one that IA32_VMX_EPT_VPID_CAP reports: 0 to 3.",
     [](const InvalidateOperand& o) { return o.type <= 3 && (o.ept_vpid >> (vtx::ept_vpid.invvpid_address.low() + o.type) & 1); },
     [](InvalidateOperand& o) { o.type = 4; }},
    {"invvpid.reserved", &sdm::invvpid, "Bits 63:16 of the descriptor must be 0.",
     [](const InvalidateOperand& o) { return !(o.low >> 16); },
     [](InvalidateOperand& o) { o.low |= bit(16); }},
    {"invvpid.vpid-zero", &sdm::invvpid, "The VPID must not be 0000H except for all-context invalidation.",
     [](const InvalidateOperand& o) { return o.type == 2 || (o.low & 0xffff) != 0; },
     [](InvalidateOperand& o) { o.type = 1; o.low = 0; }},
    {"invvpid.address", &sdm::invvpid, "For individual-address invalidation the linear address must be canonical.",
     [](const InvalidateOperand& o) { return o.type != 0 || sign_extend(o.high, o.linear_bits) == o.high; },
     [](InvalidateOperand& o) { o.type = 0; o.low = 1; o.high = bit(62); }},
};
// clang-format on

} // namespace vitrine::vtx
