// SPDX-License-Identifier: Apache-2.0
// Walking PRP entries and lists.
#include "devices/nvme_prp.h"

#include "base/error.h"

#include <algorithm>
#include <cstring>

namespace vitrine::nvme {

void Pieces::add(DeviceAddress address, u64 length) {
    VERIFY(count < limit);
    list[count++] = {address, static_cast<u32>(length)};
}

Status resolve_prps(const ReadMemory& read, u64 prp1, u64 prp2, u64 length, Pieces& pieces) {
    VERIFY(length > 0 && length <= largest_transfer);
    pieces.count = 0;
    if (prp1 & 3)
        return invalid_prp_offset;
    const u64 first = std::min(length, page_size - prp1 % page_size);
    pieces.add(DeviceAddress{prp1}, first);
    u64 left = length - first;
    if (!left)
        return success;
    if (left <= page_size) { // the second entry is the second page
        if (prp2 % page_size)
            return invalid_prp_offset;
        pieces.add(DeviceAddress{prp2}, left);
        return success;
    }
    u64 at = prp2;
    if (at % 8)
        return invalid_prp_offset;
    std::array<u64, page_size / 8> entries;
    while (left) {
        // The last slot of a list's page is a pointer to the next list when more entries follow than slots.
        const u64 slots = (page_size - at % page_size) / 8;
        const u64 needed = (left + page_size - 1) / page_size;
        const u64 here = needed <= slots ? needed : slots;
        std::array<u8, page_size> raw;
        if (!read(DeviceAddress{at}, {raw.data(), here * 8}))
            return data_transfer_error;
        std::memcpy(entries.data(), raw.data(), here * 8);
        const u64 pages = needed <= slots ? needed : slots - 1;
        for (u64 i = 0; i < pages; ++i) {
            if (entries[i] % page_size)
                return invalid_prp_offset;
            const u64 n = std::min(left, page_size);
            pieces.add(DeviceAddress{entries[i]}, n);
            left -= n;
        }
        if (!left)
            break;
        at = entries[slots - 1];
        if (at % page_size)
            return invalid_prp_offset; // only the first list may begin inside a page
    }
    return success;
}

} // namespace vitrine::nvme
