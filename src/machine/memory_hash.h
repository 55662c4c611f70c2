// SPDX-License-Identifier: Apache-2.0
// The hash of RAM: a sum over pages, of which only those written since the last time are hashed again.
#pragma once

#include "machine/hash128.h"
#include "memory/space.h"

namespace vitrine::machine {

class MemoryHash {
public:
    explicit MemoryHash(Space& space);
    ~MemoryHash();
    MemoryHash(const MemoryHash&) = delete;
    MemoryHash& operator=(const MemoryHash&) = delete;

    /// Collects the dirty pages of the space and gives the hash. Pages that hold only zeros count nothing, so a page never
    /// written and one written back to zero are the same state.
    Hash128 renew();

private:
    Space& space_;
    Hash128* pages_; ///< one for each page of RAM, mapped sparsely
    Hash128 sum_{};
};

/// The page's contribution. The same on every host and for every history.
Hash128 page_hash(u64 ram_page, const u8* data);
bool is_zero_page(const u8* data);

} // namespace vitrine::machine
