// SPDX-License-Identifier: Apache-2.0
// ELF executables of 32 and 64 bits, as far as a boot loader needs them: what to load where, the entry, and notes.
#pragma once

#include "firmware/arena.h"
#include "firmware/boot.h"
#include "firmware/reader.h"

#include <optional>
#include <string_view>
#include <vector>

namespace vitrine::firmware {

struct ElfSegment {
    u64 virtual_address;
    u64 physical_address;
    std::span<const u8> data; ///< the rest, up to `size`, is zero
    u64 size;
};

struct ElfImage {
    u16 machine;
    bool is_64;
    u64 entry; ///< as the file has it
    std::vector<ElfSegment> segments;
    std::vector<std::span<const u8>> notes;

    /// The entry as a physical address: the file's is virtual where it lies in a segment's virtual range.
    u64 physical_entry() const;

    /// Contents of the first note of this owner and type.
    std::optional<std::span<const u8>> note(std::string_view owner, u32 type) const;
};

bool is_elf(const Reader& file);

/// Little-endian x86 executables; others get an error that names what they are.
Expected<ElfImage> parse_elf(const File& file);

/// A piece of a kernel that must lie where it says.
struct Piece {
    u64 address;
    std::span<const u8> data;
    u64 size;
};

/// Takes the pieces' memory and fills it. The error says which address the machine does not have.
Expected<> load_pieces(const File& file, std::span<const Piece> pieces, Arena& arena);
Expected<> load_segments(const File& file, const ElfImage& image, Arena& arena);

} // namespace vitrine::firmware
