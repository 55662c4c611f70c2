// SPDX-License-Identifier: Apache-2.0
// Writes to control registers as MOV CR, LMSW and CLTS make them: which values are allowed, and what follows from a change.
#pragma once

#include "x86/cpu.h"

namespace vitrine {

/// PAE paging: PDPTEs are registers.
inline bool pae_paging(const Cpu& cpu) {
    return (cpu.cr0 & cr0::pg) && (cpu.cr4 & cr4::pae) && !cpu.long_mode();
}

/// Loads the four PDPTEs that `cr3` points to; #GP(0) for reserved bits, and then nothing has changed.
Faultable<> load_pdptes(Cpu& cpu, u64 cr3);

/// MOV to CR0, CR3 and CR4: all checks, the change, and the invalidations that the manual asks for.
Faultable<> write_cr0(Cpu& cpu, u64 value);
Faultable<> write_cr3(Cpu& cpu, u64 value);
Faultable<> write_cr4(Cpu& cpu, u64 value);

} // namespace vitrine
