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
    /// For accesses of the kind asked for. A write may be allowed and the page not writable: then each write asks.
    bool readable = true, writable = true, executable = true;
    bool dirty = true; ///< a write needs no other look at the tables (their dirty flag is set or not in use)
};

/// An entry of paging structures that a look came by.
struct TableEntry {
    Physical at{};
    u64 value = 0;
    u8 level = 0; ///< 1: the lowest
};

/// Where a look begins: at the root, or at a table whose address and rights are remembered.
struct SecondLevelStart {
    u8 level = 0; ///< 0: at the root
    u64 table = 0;
    u64 rights = 0; ///< of the entries above, as they are in an entry
};

/// What is found at a guest-physical address by looking alone.
struct SecondLevelLook {
    bool present = false; ///< there is a translation, and every entry makes sense
    u64 page = 0;         ///< physical address of the 4 KiB page
    u8 size_log2 = 12;
    u64 rights = 0; ///< that all entries give, as they are in an entry
    bool readable = false, writable = false, executable = false, user_executable = false;
    u8 count = 0;
    static constexpr unsigned most_entries = 5;
    TableEntry entries[most_entries];
    u64 rights_below[most_entries]; ///< what all entries down to this one give
};

class SecondLevel {
public:
    virtual ~SecondLevel() = default;
    /// What tags the translations made through it (EPTP); never 0.
    virtual u64 root() const = 0;
    /// A walk that changes nothing and tells what it came by.
    virtual void look(Cpu& cpu, GuestPhysical address, const SecondLevelStart& start, SecondLevelLook& found) = 0;
    /// Where the address lies, for people who look: changes nothing. False: nowhere.
    virtual bool examine(Cpu& cpu, GuestPhysical address, Physical& at) = 0;
    /// Fault means that an exit (or #VE) has been recorded with the processor.
    virtual Faultable<SecondLevelPage> translate(Cpu& cpu, GuestPhysical address, const SecondLevelAccess& access) = 0;
};

} // namespace vitrine
