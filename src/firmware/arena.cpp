// SPDX-License-Identifier: Apache-2.0
// A free list of RAM, first and last fit.
#include "firmware/arena.h"

#include <algorithm>

namespace vitrine::firmware {

namespace {

constexpr Requester firmware_itself = Requester::from_cpu(0);

} // namespace

Arena::Arena(Space& space, const MemoryMap& map) : space_(space) {
    for (const MapEntry& e : map.entries()) {
        const u64 base = std::max(e.base, low_memory::first_free);
        if (e.type == MemoryType::ram && base < e.end())
            free_.push_back({base, e.end()});
    }
}

bool Arena::take(u64 base, u64 size) {
    if (size == 0)
        return true;
    if (base + size < base)
        return false;
    const u64 end = base + size;
    const auto f =
        std::find_if(free_.begin(), free_.end(), [&](const Free& r) { return base >= r.base && end <= r.end; });
    if (f == free_.end())
        return false;
    const Free after{end, f->end};
    f->end = base;
    const auto next = f->base == f->end ? free_.erase(f) : f + 1;
    if (after.base != after.end)
        free_.insert(next, after);
    return true;
}

std::optional<u64> Arena::lowest(u64 size, u64 align, u64 from, u64 below) {
    for (const Free& r : free_) {
        const u64 end = std::min(r.end, below);
        const u64 base = align_up(std::max(r.base, from), align);
        if (base <= end && size <= end - base) {
            VERIFY(take(base, size));
            return base;
        }
    }
    return {};
}

std::optional<u64> Arena::highest(u64 size, u64 align, u64 from, u64 below) {
    for (auto r = free_.rbegin(); r != free_.rend(); ++r) {
        const u64 end = std::min(r->end, below);
        if (size > end)
            continue;
        const u64 base = align_down(end - size, align);
        if (base >= std::max(r->base, from)) {
            VERIFY(take(base, size));
            return base;
        }
    }
    return {};
}

u64 Arena::largest_free() const {
    u64 most = 0;
    for (const Free& r : free_)
        if (r.base < four_gib)
            most = std::max(most, r.end - r.base);
    return most;
}

void Arena::write(u64 at, std::span<const u8> data) {
    if (data.empty())
        return;
    VERIFY(space_.ram_offset(Physical{at}) != ~0ull && space_.ram_offset(Physical{at + data.size() - 1}) != ~0ull);
    space_.write(Physical{at}, data, firmware_itself);
}

void Arena::zero(u64 at, u64 size) {
    static constexpr std::array<u8, page_size> zeros{};
    while (size > 0) {
        const u64 n = std::min(size, page_size - at % page_size);
        const u64 offset = space_.ram_offset(Physical{at});
        VERIFY(offset != ~0ull);
        if (space_.flags(offset / page_size) & page_touched) // the others are zero
            space_.write(Physical{at}, std::span(zeros).first(n), firmware_itself);
        at += n;
        size -= n;
    }
}

void Arena::write_string(u64 at, std::string_view text) {
    write(at, {reinterpret_cast<const u8*>(text.data()), text.size()});
    zero(at + text.size(), 1);
}

} // namespace vitrine::firmware
