// SPDX-License-Identifier: Apache-2.0
// Seam: guest-physical to physical. Without one a guest-physical address is a physical address; owned by x86, EPT implements it.
#pragma once

#include "words/addresses.h"
#include "x86/outcome.h"

namespace vitrine {

class Cpu;

/// Why the address is needed; decides permissions and what an EPT violation reports.
struct SecondLevelAccess {
    bool read = false, write = false, fetch = false;
    bool page_walk = false; ///< an entry of the guest's paging structures
    bool user = false;      ///< the linear address is a user-mode one: U/S = 1 in all entries (mode-based execute control)
    u64 linear = 0;
    bool linear_valid = true;
};

/// Where a guest-physical page lies and what may be done with it.
struct SecondLevelPage {
    u64 page = 0;       ///< physical address of the 4 KiB page
    u8 size_log2 = 12;  ///< of the mapping it came from
    bool readable = true, writable = true, executable = true; ///< for accesses of the kind asked for
    bool dirty = true; ///< a write needs no other look at the tables (their dirty flag is set or not in use)
};

class SecondLevel {
public:
    virtual ~SecondLevel() = default;
    /// What tags the translations made through it (EPTP); never 0.
    virtual u64 root() const = 0;
    /// Fault means that an exit (or #VE) has been recorded with the processor.
    /// Where the address lies, for people who look: changes nothing. False: nowhere.
    virtual bool examine(Cpu& cpu, GuestPhysical address, Physical& at) = 0;
    virtual Faultable<SecondLevelPage> translate(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) = 0;
};

} // namespace vitrine
