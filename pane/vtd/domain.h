// SPDX-License-Identifier: Apache-2.0
// What memory a function reaches: a domain with second-stage tables, and the context entry that puts the function into it.
#pragma once

#include "pane/pci/pci.h"

#include "words/addresses.h"

namespace vitrine::pane {

class Domain {
public:
    /// An empty one, from which nothing is reached.
    void start();

    /// Device addresses from `from` on are the machine's memory from `to` on, for reading and writing; all multiples of 4 KiB.
    /// Only what was not mapped before.
    void map(DeviceAddress from, u64 to, u64 size);

    u16 number() const { return number_; }
    u64 table() const { return reinterpret_cast<u64>(root_); }

private:
    u64* entry(u64 address, unsigned level);

    u64* root_ = nullptr;
    u16 number_ = 0;
};

/// The function's DMA goes by the domain from now on; before, and after `detach`, it reaches nothing. What it had under way has ended, and
/// nothing of the domain is cached for it, when `detach` comes back.
void attach(const Function& function, const Domain& domain);
void detach(const Function& function, const Domain& domain);

/// For functions that Pane drives itself: they reach these ranges, address for address, and nothing else. Without VT-d there is nothing to do.
void give_own_memory(const Function& function, u64 base, u64 size);

/// Root table and caches; translation is on afterwards.
void start_domains();

} // namespace vitrine::pane
