// SPDX-License-Identifier: Apache-2.0
// Seam: whoever sees writes to memory says who changed an entry of the unit's tables; the machine gives one with --stale max.
#pragma once

#include "words/addresses.h"

#include <optional>
#include <string>

namespace vitrine::vtd {

/// The last store that changed an entry.
struct EntryChange {
    std::string by{};  ///< "CPU0,L1,rip=…,at=…", or a device
    u64 rip = 0;       ///< 0 for a device
    u64 time = 0;      ///< virtual nanoseconds
};

class EntryWatch {
public:
    virtual ~EntryWatch() = default;
    /// The quadword is watched from now on.
    virtual void watch(Physical quadword) = 0;
    /// Grows with every write to what is watched.
    virtual u64 generation() const = 0;
    virtual std::optional<EntryChange> last_change(Physical quadword) const = 0;
};

} // namespace vitrine::vtd
