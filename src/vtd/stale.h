// SPDX-License-Identifier: Apache-2.0
// --stale max for the remapping unit: each use of a cached entry that memory no longer agrees with, and who changed it.
#pragma once

#include "base/clock.h"
#include "glass/glass.h"
#include "vtd/caches.h"
#include "vtd/entry_watch.h"

#include <set>
#include <span>
#include <tuple>

namespace vitrine::vtd {

/// One stale use, or several of the same entry.
struct StaleUse {
    std::string_view kind{};
    u16 source = 0, domain = 0;
    u64 address = 0; ///< device address, or the interrupt's index
    std::string device{}, cached{}, memory{}, entry{};
    std::optional<EntryChange> change{};
    u64 count = 1;
};

/// The kinds of stale uses, as they are counted and told.
std::span<const std::string_view> stale_kinds();

enum class StaleKind : u8 { context, iotlb, paging_structure, interrupt_entry };

class StaleFinder {
public:
    /// So long an invalidation may be under way: uses meanwhile are no finding yet. What a driver frees lazily is flushed within it.
    static constexpr u64 grace = 100'000'000;

    StaleFinder(EntryWatch& watch, Clock& clock, Glass& glass);

    u64 generation() const { return watch_.generation(); }
    u64 now() const { return clock_.now(); }

    void watch(const Steps& steps);
    /// An entry was used that memory, through `steps`, no longer agrees with.
    void note(Cached& entry, StaleKind kind, StaleUse use, const Steps& steps);
    /// The entry with pending uses goes: its invalidation has come, or the run is over.
    void settle(Cached& entry);

    /// Who changed what a walk saw, newest first; empty when nobody was seen.
    std::string changed_by(const Steps& steps) const;

private:
    void count(const StaleUse& use);

    EntryWatch& watch_;
    Clock& clock_;
    Glass& glass_;
    std::set<std::tuple<std::string_view, u16, u64, u64>> told_;
};

} // namespace vitrine::vtd
