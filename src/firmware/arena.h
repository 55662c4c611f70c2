// SPDX-License-Identifier: Apache-2.0
// RAM while a boot is being prepared: what of it is still free, and writes that stay inside it.
#pragma once

#include "firmware/board.h"
#include "firmware/memory_map.h"
#include "memory/space.h"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace vitrine::firmware {

class Arena {
public:
    /// Free is what `map` calls RAM, from low_memory::first_free on.
    Arena(Space& space, const MemoryMap& map);

    /// Takes exactly this range; false unless all of it is free.
    [[nodiscard]] bool take(u64 base, u64 size);

    /// Takes the lowest or highest aligned place in [from, below).
    std::optional<u64> lowest(u64 size, u64 align, u64 from, u64 below);
    std::optional<u64> highest(u64 size, u64 align, u64 from, u64 below);

    /// The longest free run below 4 GiB, for messages.
    u64 largest_free() const;

    /// All in RAM; ours to check.
    void write(u64 at, std::span<const u8> data);
    void zero(u64 at, u64 size);

    /// `text` and a zero byte.
    void write_string(u64 at, std::string_view text);

    Space& space() { return space_; }

    static constexpr u64 four_gib = 1ull << 32;

private:
    struct Free {
        u64 base;
        u64 end;
    };

    Space& space_;
    std::vector<Free> free_; ///< sorted, disjoint
};

} // namespace vitrine::firmware
