// SPDX-License-Identifier: Apache-2.0
// Which virtual machine a VMCS belongs to. The machine knows no virtual machines, only VMCSs: those that are entered
// with the same EPT are one.
#pragma once

#include "report/model.h"
#include "report/pic_writes.h"
#include "report/probe.h"

#include <deque>
#include <map>

namespace vitrine::report {

/// What is known of a VMCS.
struct VmcsRecord {
    struct GuestRecord* guest = nullptr;
    u64 root = 0, eptp = 0, descriptor = 0;
    bool live = false; ///< not cleared since its last VM entry
};

/// A guest, and what must be remembered to count for it.
struct GuestRecord {
    Guest sums;
    PicWrites pic;
    const VmcsRecord* last = nullptr; ///< entered last
};

class Guests {
public:
    static constexpr std::size_t most = 64, most_vmcs = 4096, most_listed = 64;

    /// VM entry on this VMCS. Null: there are too many.
    GuestRecord* entered(const ProcessorView& view);

    /// VMCLEAR: the region may become another guest's. Until it is entered anew it says nothing about its EPT.
    void cleared(u64 vmcs);

    /// Null when it is nobody's.
    GuestRecord* by_vmcs(u64 vmcs);
    GuestRecord* by_number(unsigned number);

    /// The guest whose EPT leads this guest-physical address to this physical one; 0: none does.
    unsigned owner(Probe& probe, u64 guest_physical, u64 physical);

    /// The posted-interrupt descriptor of a VMCS at its last entry.
    u64 descriptor_of(u64 vmcs) const;

    std::deque<GuestRecord>& all() { return guests_; }

private:
    GuestRecord* find_by_root(u64 root);

    std::deque<GuestRecord> guests_; ///< their addresses last
    std::map<u64, VmcsRecord> vmcs_; ///< their addresses last, too
};

} // namespace vitrine::report
