// SPDX-License-Identifier: Apache-2.0
// Hashing RAM page by page.
#include "machine/memory_hash.h"

#include "base/error.h"

#include <cstring>

#include <sys/mman.h>

namespace vitrine::machine {

bool is_zero_page(const u8* data) {
    u64 first;
    std::memcpy(&first, data, sizeof first);
    return first == 0 && std::memcmp(data, data + 8, page_size - 8) == 0;
}

Hash128 page_hash(u64 ram_page, const u8* data) {
    return is_zero_page(data) ? Hash128{} : hash_of({data, page_size}, ram_page + 1);
}

MemoryHash::MemoryHash(Space& space) : space_(space) {
    void* p = ::mmap(nullptr, space.ram_pages() * sizeof(Hash128), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    VERIFY(p != MAP_FAILED);
    pages_ = static_cast<Hash128*>(p);
}

MemoryHash::~MemoryHash() { ::munmap(pages_, space_.ram_pages() * sizeof(Hash128)); }

Hash128 MemoryHash::renew() {
    for (const u64 page : space_.collect_dirty()) {
        const Hash128 now = page_hash(page, space_.ram() + page * page_size);
        sum_ -= pages_[page];
        sum_ += now;
        pages_[page] = now;
    }
    return sum_;
}

} // namespace vitrine::machine
