// SPDX-License-Identifier: Apache-2.0
// Physical region pages: a transfer's two PRP entries, and the lists that the second may point to, as pieces of memory
// (NVM Express 1.4, section 4.3).
#pragma once

#include "devices/spec/nvme.h"
#include "words/addresses.h"

#include <array>
#include <functional>
#include <span>

namespace vitrine::nvme {

inline constexpr u64 largest_transfer = 128_KiB;

/// The pieces of one transfer, in order. A transfer has at most one page more than its length in pages.
struct Pieces {
    struct Piece {
        DeviceAddress address;
        u32 length;
    };

    static constexpr unsigned limit = largest_transfer / page_size + 1;

    std::array<Piece, limit> list;
    unsigned count = 0;

    std::span<const Piece> all() const { return {list.data(), count}; }

    void add(DeviceAddress address, u64 length);
};

using ReadMemory = std::function<bool(DeviceAddress from, std::span<u8> data)>;

/// Resolves a transfer of 1 to `largest_transfer` bytes; each list page is read once. Lists are followed no further
/// than the length demands, so a list that points to itself ends.
Status resolve_prps(const ReadMemory& read, u64 prp1, u64 prp2, u64 length, Pieces& pieces);

} // namespace vitrine::nvme
