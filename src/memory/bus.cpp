// SPDX-License-Identifier: Apache-2.0
// The bus: look-up and checks before a device sees anything.
#include "memory/bus.h"

#include "base/error.h"

#include <algorithm>

namespace vitrine {

void Bus::map(Region& region, u64 base) {
    if (region.mapped && region.base == base)
        return;
    if (region.mapped)
        unmap(region);
    region.base = base;
    region.mapped = true;
    regions_.insert(std::upper_bound(regions_.begin(), regions_.end(), base,
                                     [](u64 b, const Region* r) { return b < r->base; }),
                    &region);
    ++generation_;
}

void Bus::unmap(Region& region) {
    if (!region.mapped)
        return;
    std::erase(regions_, &region);
    region.mapped = false;
    ++generation_;
}

Region* Bus::find(u64 address) const {
    // Regions are few; overlaps are rare but legal while firmware moves BARs about.
    Region* found = nullptr;
    for (Region* r : regions_) {
        if (r->base > address)
            break;
        if (address - r->base < r->size)
            found = r;
    }
    return found;
}

void Bus::access(u64 address, Access& access) {
    Region* region = find(address);
    if (!region)
        return reject(".nobody-answers", address, access);
    access.offset = address - region->base;
    if (access.size > region->size - access.offset)
        return reject(".straddles-end", address, access);
    if (access.size < region->min_size || access.size > region->max_size)
        return reject(".size", address, access);
    if (!region->unaligned && !is_aligned(access.offset, access.size))
        return reject(".unaligned", address, access);
    if (!access.write)
        access.value = 0;
    region->device->access(*region, access);
    access.value &= low_mask(8 * access.size);
    if (glass_.on(Topic::memory)) [[unlikely]]
        glass_.tell(Topic::memory, name_ + (access.write ? ".write" : ".read"),
                    {{"address", address}, {"size", access.size}, {"value", access.value}, {"region", region->name}});
}

void Bus::reject(std::string_view why, u64 address, Access& access) {
    glass_.odd(Topic::memory, name_ + std::string(why),
               {{"address", address}, {"size", access.size}, {"write", access.write}, {"value", access.write ? access.value : 0}});
    if (!access.write)
        access.value = low_mask(8 * access.size);
}

} // namespace vitrine
