// SPDX-License-Identifier: Apache-2.0
// Paging structures of a machine under watch: which entries some walk has come by, and who changed each of them last.
// Host-side bookkeeping: no bit of it is machine state.
#pragma once

#include "memory/space.h"
#include "words/addresses.h"

#include <bitset>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace vitrine {

class Stale;

/// Whoever changed an entry of the paging structures.
struct TableWriter {
    Requester by;
    u64 rip = 0;          ///< of the store; meaningless for a device
    bool non_root = false; ///< in VMX non-root operation
    u64 time = 0, instructions = 0;
};

/// Where a stale use was found, and what made it stale: each is told once.
using StalePlace = std::tuple<u64, u64, u64, u16, std::string_view>; ///< rip, writer's rip, EPTP, VPID, kind

class TableWatch {
public:
    explicit TableWatch(Space& space);
    ~TableWatch();
    TableWatch(const TableWatch&) = delete;
    TableWatch& operator=(const TableWatch&) = delete;

    void attach(Stale& processor);
    void detach(Stale& processor);

    /// A look came by this entry: it is watched from now on. `exactly`: it has no bits that nobody caches.
    void watch(Physical entry, bool exactly = false);
    /// Grows with every write to an entry that is watched: what was compared with memory before must be compared again.
    u64 generation() const { return generation_; }
    /// The last store that changed more in the entry than what nobody caches; null when none was seen.
    const TableWriter* last_change(Physical entry) const;

    /// While a processor sets accessed and dirty flags, which change no translation.
    bool marking = false;

    std::set<StalePlace> told;

private:
    /// Entries are watched by the quadword: two neighbours of 32-bit paging share one history.
    struct History {
        u64 before = 0; ///< the entry before the last write
        TableWriter last;
        std::optional<TableWriter> earlier; ///< the last one before it that changed something
    };
    struct Page {
        std::bitset<512> watched;
        std::bitset<512> exactly;
        std::unordered_map<u16, History> histories;
        unsigned writes = 0; ///< since a look last came by
    };

    void written(Physical address, u64 length, Requester by);
    u64 value_at(Physical entry) const;

    Space& space_;
    std::unordered_map<u64, Page> pages_; ///< by page address
    std::vector<Stale*> processors_;
    u64 generation_ = 1;
};

} // namespace vitrine
