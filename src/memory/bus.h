// SPDX-License-Identifier: Apache-2.0
// A map of regions (memory-mapped or port) to devices: finds, checks and dispatches an access, and tells what it rejects.
#pragma once

#include "base/device.h"
#include "glass/glass.h"

#include <string_view>
#include <vector>

namespace vitrine {

class Bus {
public:
    Bus(std::string_view name, Glass& glass) : name_(name), glass_(glass) {}

    /// Maps `region` at `base`, or moves it there. Where regions overlap, the one mapped last is seen.
    void map(Region& region, u64 base);
    void unmap(Region& region);

    /// The region that answers `address`; null where nobody does.
    Region* find(u64 address) const;

    /// Reads or writes 1, 2, 4 or 8 bytes. An access nobody answers, that straddles a region's end or has a size which the
    /// device does not take reads as all ones, is dropped on write, and is told.
    void access(u64 address, Access& access);

    /// The address of the first mapped byte at or after `address`; all ones without one.
    const std::vector<Region*>& regions() const { return regions_; }

    /// Raised whenever the map changes, so that caches of look-ups know.
    u64 generation() const { return generation_; }

private:
    void reject(std::string_view why, u64 address, Access& access);

    std::string name_;
    Glass& glass_;
    std::vector<Region*> regions_; ///< sorted by base; overlapping ones in the order of mapping
    u64 generation_ = 0;
};

} // namespace vitrine
