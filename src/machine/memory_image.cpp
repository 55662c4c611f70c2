// SPDX-License-Identifier: Apache-2.0
// RAM in pieces. A piece is: u64 number of the piece; a bitmap of its pages, lowest bit first; the pages whose bits are set.
#include "machine/memory_image.h"

#include "machine/memory_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

constexpr u64 pages_per_piece = 1024;
constexpr u64 map_bytes = pages_per_piece / 8;
constexpr u64 head_bytes = 8 + map_bytes;

void put_number(std::vector<u8>& to, u64 value) {
    for (unsigned i = 0; i < 8; ++i)
        to.push_back(static_cast<u8>(value >> (8 * i)));
}

u64 get_number(std::span<const u8> from) {
    u64 value = 0;
    for (unsigned i = 0; i < 8; ++i)
        value |= static_cast<u64>(from[i]) << (8 * i);
    return value;
}

} // namespace

Expected<> save_memory(Space& space, SectionWriter& file) {
    std::vector<u8> piece;
    for (u64 first = 0; first < space.ram_pages(); first += pages_per_piece) {
        const u64 pages = std::min(pages_per_piece, space.ram_pages() - first);
        piece.clear();
        put_number(piece, first / pages_per_piece);
        piece.resize(head_bytes);
        for (u64 n = 0; n < pages; ++n) {
            const u8* page = space.ram() + (first + n) * page_size;
            if (!(space.flags(first + n) & page_touched) || is_zero_page(page))
                continue;
            piece[8 + n / 8] |= static_cast<u8>(1 << (n % 8));
            piece.insert(piece.end(), page, page + page_size);
        }
        if (piece.size() > head_bytes)
            TRY(file.add(memory_section, piece));
    }
    return {};
}

Expected<> load_memory(Space& space, SectionReader& file) {
    for (u64 expected = 0; file.next() == memory_section;) {
        const std::vector<u8> piece = TRY(file.take(memory_section, head_bytes + pages_per_piece * page_size));
        if (piece.size() < head_bytes)
            return file.error(memory_section, "has a piece that is too short");
        const u64 number = get_number(piece);
        if (number < expected || number >= (space.ram_pages() + pages_per_piece - 1) / pages_per_piece)
            return file.error(memory_section, fmt::format("has piece {} where one from {} on must stand", number, expected));
        expected = number + 1;
        const std::span<const u8> map = std::span(piece).subspan(8, map_bytes);
        u64 pages = 0;
        for (const u8 byte : map)
            pages += static_cast<u64>(std::popcount(byte));
        if (piece.size() != head_bytes + pages * page_size)
            return file.error(memory_section, fmt::format("has {} bytes in piece {}, which must have {}", piece.size(), number,
                                                          head_bytes + pages * page_size));
        const u8* from = piece.data() + head_bytes;
        for (u64 n = 0; n < pages_per_piece; ++n) {
            if (!(map[n / 8] >> (n % 8) & 1))
                continue;
            const u64 page = number * pages_per_piece + n;
            if (page >= space.ram_pages())
                return file.error(memory_section, fmt::format("has page {} of {}", page, space.ram_pages()));
            space.note_write(space.physical_of(page * page_size), page_size, Requester{});
            std::memcpy(space.ram() + page * page_size, from, page_size);
            from += page_size;
        }
    }
    return {};
}

} // namespace vitrine::machine
