// SPDX-License-Identifier: Apache-2.0
// A guest's extended page tables: its own memory and nothing else (SDM volume 3, The Extended Page Table Mechanism).
#pragma once

#include "words/addresses.h"

namespace vitrine::pane {

/// Guest-physical 0 to `size` is one range of the machine's memory; what is not mapped exits.
class Ept {
public:
    void build(u64 memory, u64 size);

    /// One more page of 4 KiB, readable and writable, for the APIC-access page.
    void map_page(GuestPhysical from, u64 to);

    u64 pointer() const { return pointer_; }

private:
    u64* table(u64* entry);
    u64* directory_entry(u64 gpa);

    u64* root_ = nullptr;
    u64 pointer_ = 0;
};

} // namespace vitrine::pane
