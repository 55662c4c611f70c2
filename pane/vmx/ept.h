// SPDX-License-Identifier: Apache-2.0
// A guest's extended page tables: its own memory, its own devices and nothing else (SDM volume 3, The Extended Page Table Mechanism).
#pragma once

#include "words/addresses.h"

namespace vitrine::pane {

/// Guest-physical 0 to `size` is one range of the machine's memory; what is not mapped exits.
class Ept {
public:
    void build(u64 memory, u64 size);

    /// Memory types, as an entry has them.
    enum Type : u64 { uncached = 0, write_back = 6 << 3 };

    /// One more page of 4 KiB, readable and writable: the APIC-access page, or a page of an assigned device. Before the guest starts.
    void map_page(GuestPhysical from, u64 to, Type type = write_back);

    u64 pointer() const { return pointer_; }

private:
    u64* table(u64* entry);
    u64* directory_entry(u64 gpa);

    u64* root_ = nullptr;
    u64 pointer_ = 0;
};

} // namespace vitrine::pane
