// SPDX-License-Identifier: Apache-2.0
// The remapping hardware as Pane uses it: every unit of the machine with one set of tables (Intel VT-d, Software Programming Model).
#pragma once

#include "pane/pci/pci.h"

namespace vitrine::pane {

struct Config;
struct MachineTables;

/// What there is and is used. Without `on` no device can be assigned to a guest.
struct VtdUse {
    bool on;       ///< DMA and interrupts are remapped
    bool posted;   ///< device interrupts go to guests without Pane
    bool extended; ///< APIC ids of 32 bits in interrupt entries
    bool large_pages, snoop_control, coherent;
    unsigned levels; ///< of second-stage tables
};
extern VtdUse vtd_use;

/// Finds the units by the DMAR table and turns both remappings on: from then on no function reaches memory but by a domain, and no
/// interrupt arrives but by an entry. Says in one line what is used, or why nothing is.
void vtd_start(const MachineTables& machine, const Config& config);

/// Whether firmware has set memory of its own apart for the function (RMRR), which would have to stay open to it.
bool vtd_reserves_memory_for(u16 id);

// Within the room: the units.

inline constexpr unsigned most_units = 8;

/// One remapping unit: its registers, and its invalidation queue.
class VtdUnit {
public:
    void start(u64 registers);

    u64 base() const { return base_; }
    u32 read32(u64 at) const { return *reinterpret_cast<volatile u32*>(base_ + at); }
    u64 read64(u64 at) const { return *reinterpret_cast<volatile u64*>(base_ + at); }
    void write32(u64 at, u32 value) const { *reinterpret_cast<volatile u32*>(base_ + at) = value; }
    void write64(u64 at, u64 value) const { *reinterpret_cast<volatile u64*>(base_ + at) = value; }

    u64 capability() const { return capability_; }
    u64 extended_capability() const { return extended_; }

    /// Sets or clears a bit of the global command register, and waits until the status shows it.
    void command(u64 bit, bool set = true) const;

    void start_queue();

    /// One descriptor; comes back when it has been carried out.
    void invalidate(u64 low, u64 high);

private:
    void submit(u64 low, u64 high);

    u64 base_ = 0, capability_ = 0, extended_ = 0;
    u64* queue_ = nullptr;
    u32 tail_ = 0;
    volatile u32 done_ = 0;
};

extern VtdUnit units[most_units];
extern unsigned unit_count;

/// On all units.
void vtd_invalidate(u64 low, u64 high = 0);

/// Makes what was written to a table visible to units that do not look into the processors' caches.
void vtd_flush(const void* table, u64 size);

} // namespace vitrine::pane
