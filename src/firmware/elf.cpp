// SPDX-License-Identifier: Apache-2.0
// Reads ELF headers with every offset checked, and puts segments into memory.
#include "firmware/elf.h"

#include "firmware/spec/file_kinds.h"

#include <algorithm>
#include <fmt/format.h>

namespace vitrine::firmware {

namespace {

constexpr u32 pt_load = 1, pt_note = 4;
constexpr u16 et_exec = 2, et_dyn = 3;

/// Where the two classes keep the fields of file and program headers.
struct Layout {
    u64 header_size, entry, phoff, phentsize, phnum, ph_size;
    u64 p_offset, p_vaddr, p_paddr, p_filesz, p_memsz;
};

constexpr Layout layout_32{52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20};
constexpr Layout layout_64{64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40};

u64 number(const Reader& r, u64 offset, bool wide) {
    return wide ? r.peek<u64>(offset) : r.peek<u32>(offset);
}

std::string machine_name(u16 machine) {
    for (const MachineName& m : elf_machines)
        if (m.number == machine)
            return m.name;
    return fmt::format("machine number {}", machine);
}

} // namespace

bool is_elf(const Reader& file) {
    return file.matches(0, "\x7f"
                           "ELF");
}

Expected<ElfImage> parse_elf(const File& file) {
    const Reader r(file.data);
    const u8 elf_class = r.peek<u8>(4), encoding = r.peek<u8>(5);
    if ((elf_class != 1 && elf_class != 2) || (encoding != 1 && encoding != 2))
        return file.wrong("the ELF header is damaged");
    if (encoding == 2)
        return file.wrong("is a big-endian ELF file of another architecture; this machine is x86-64");
    ElfImage image{};
    image.is_64 = elf_class == 2;
    const Layout& at = image.is_64 ? layout_64 : layout_32;
    if (!r.has(0, at.header_size))
        return file.wrong("the ELF header is cut off; the file is truncated");
    image.machine = r.peek<u16>(18);
    if (image.machine != elf_i386 && image.machine != elf_x86_64)
        return file.wrong("is an ELF file for " + machine_name(image.machine) + "; this machine is x86-64");
    if (const u16 type = r.peek<u16>(16); type != et_exec && type != et_dyn)
        return file.wrong("is an ELF file, but no executable (an object file or a core dump?)");
    image.entry = number(r, at.entry, image.is_64);

    const u64 table = number(r, at.phoff, image.is_64);
    const u64 entry_size = r.peek<u16>(at.phentsize), count = r.peek<u16>(at.phnum);
    if (count > 0 && entry_size < at.ph_size)
        return file.wrong("the ELF program headers are damaged");
    if (!r.has(table, entry_size * count))
        return file.wrong("the ELF program headers are cut off; the file is truncated");
    for (u64 i = 0; i < count; ++i) {
        const u64 ph = table + i * entry_size;
        const u32 type = r.peek<u32>(ph);
        if (type != pt_load && type != pt_note)
            continue;
        const u64 size_in_file = number(r, ph + at.p_filesz, image.is_64);
        const auto data = r.bytes(number(r, ph + at.p_offset, image.is_64), size_in_file);
        if (!data)
            return file.wrong(fmt::format("ELF segment {} is cut off; the file is truncated", i));
        if (type == pt_note) {
            image.notes.push_back(*data);
            continue;
        }
        const ElfSegment s{number(r, ph + at.p_vaddr, image.is_64), number(r, ph + at.p_paddr, image.is_64), *data,
                           number(r, ph + at.p_memsz, image.is_64)};
        if (s.size < size_in_file)
            return file.wrong(
                fmt::format("ELF segment {} is larger in the file than in memory; the file is damaged", i));
        if (s.size > 0)
            image.segments.push_back(s);
    }
    if (image.segments.empty())
        return file.wrong("is an ELF file with nothing to load");
    return image;
}

u64 ElfImage::physical_entry() const {
    for (const ElfSegment& s : segments)
        if (entry >= s.virtual_address && entry - s.virtual_address < s.size)
            return entry - s.virtual_address + s.physical_address;
    return entry;
}

std::optional<std::span<const u8>> ElfImage::note(std::string_view owner, u32 type) const {
    for (const auto& segment : notes) {
        const Reader r(segment);
        for (u64 at = 0; r.has(at, 12);) {
            const u64 name_size = r.peek<u32>(at), size = r.peek<u32>(at + 4);
            const u64 name = at + 12, contents = name + align_up(name_size, 4);
            const auto bytes = r.bytes(contents, size);
            if (!bytes)
                break;
            if (r.peek<u32>(at + 8) == type && name_size == owner.size() + 1 && r.matches(name, owner) &&
                r.peek<u8>(name + owner.size()) == 0)
                return *bytes;
            at = contents + align_up(size, 4);
        }
    }
    return {};
}

Expected<> load_pieces(const File& file, std::span<const Piece> pieces, Arena& arena) {
    // Pieces may touch or overlap: their union is taken, once.
    std::vector<Window> taken;
    for (const Piece& p : pieces) {
        if (p.address + p.size < p.address)
            return file.wrong(fmt::format("wants to be loaded past the end of the address space, at {:#x}", p.address));
        taken.push_back({p.address, p.size});
    }
    std::sort(taken.begin(), taken.end(), [](const Window& a, const Window& b) { return a.base < b.base; });
    for (std::size_t i = 0; i < taken.size();) {
        const u64 base = taken[i].base;
        u64 end = taken[i].end();
        while (++i < taken.size() && taken[i].base <= end)
            end = std::max(end, taken[i].end());
        if (!arena.take(base, end - base))
            return file.wrong(fmt::format("must be loaded at {:#x} to {:#x}, where this machine has no free RAM; "
                                          "give more with --memory (it has {} MiB)",
                                          base, end - 1, arena.space().ram_size() >> 20));
    }
    for (const Piece& p : pieces) {
        arena.write(p.address, p.data);
        arena.zero(p.address + p.data.size(), p.size - p.data.size());
    }
    return {};
}

Expected<> load_segments(const File& file, const ElfImage& image, Arena& arena) {
    std::vector<Piece> pieces;
    for (const ElfSegment& s : image.segments)
        pieces.push_back({s.physical_address, s.data, s.size});
    return load_pieces(file, pieces, arena);
}

} // namespace vitrine::firmware
