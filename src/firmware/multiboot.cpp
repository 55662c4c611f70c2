// SPDX-License-Identifier: Apache-2.0
// Loads a Multiboot kernel and writes the information structure that EBX points to.
#include "firmware/multiboot.h"

#include "firmware/bytes.h"
#include "firmware/elf.h"
#include "firmware/modes.h"
#include "firmware/reader.h"
#include "firmware/spec/multiboot.h"

#include <algorithm>
#include <fmt/format.h>

namespace vitrine::firmware {

namespace {

namespace mb = multiboot;

struct Loaded {
    u64 entry;
    u64 end; ///< one past the highest byte: modules go above
};

/// The header's own addresses say what is loaded where, whatever format the file has.
Expected<Loaded> load_by_addresses(const File& file, u64 header, Arena& arena) {
    const Reader r(file.data);
    if (!r.has(header, mb::entry_addr + 4))
        return file.wrong("the Multiboot header is cut off; the file is truncated");
    const u64 header_address = r.peek<u32>(header + mb::header_addr), load = r.peek<u32>(header + mb::load_addr);
    const u64 load_end = r.peek<u32>(header + mb::load_end_addr), bss_end = r.peek<u32>(header + mb::bss_end_addr);
    if (load > header_address || header_address - load > header)
        return file.wrong(fmt::format("the Multiboot header is wrong: load_addr {:#x} lies {}", load,
                                      load > header_address ? "above header_addr" : "before the start of the file"));
    const u64 from = header - (header_address - load);
    if (load_end != 0 && load_end < load)
        return file.wrong(
            fmt::format("the Multiboot header is wrong: load_end_addr {:#x} is below load_addr {:#x}", load_end, load));
    const u64 length = load_end ? load_end - load : file.data.size() - from;
    const auto data = r.bytes(from, length);
    if (!data)
        return file.wrong(
            fmt::format("is truncated: its Multiboot header announces {} bytes from offset {:#x}, the file has {}",
                        length, from, file.data.size()));
    if (bss_end != 0 && bss_end < load + length)
        return file.wrong(
            fmt::format("the Multiboot header is wrong: bss_end_addr {:#x} is below the end of the data, {:#x}",
                        bss_end, load + length));
    const u64 size = bss_end ? bss_end - load : length;
    const Piece piece{load, *data, size};
    TRY(load_pieces(file, {&piece, 1}, arena));
    return Loaded{r.peek<u32>(header + mb::entry_addr), load + size};
}

Expected<Loaded> load_elf(const File& file, Arena& arena) {
    const ElfImage image = TRY(parse_elf(file));
    TRY(load_segments(file, image, arena));
    u64 end = 0;
    for (const ElfSegment& s : image.segments)
        end = std::max(end, s.physical_address + s.size);
    return Loaded{image.physical_entry(), end};
}

Expected<> check_flags(const File& file, u32 flags) {
    if (flags & mb::want_video)
        return file.wrong(
            "asks for a video mode (Multiboot flag 2), and this machine has no display; build it without");
    if (const u32 unknown = flags & mb::must_understand & ~(mb::align_modules | mb::want_memory))
        return file.wrong(
            fmt::format("has Multiboot flags {:#x} that its loader must understand and that are not in the "
                        "specification",
                        unknown));
    return {};
}

/// Everything the kernel is told, laid out from one address: information, modules, memory map, strings.
class Information {
public:
    Information(const BootRequest& request, const Platform& platform, const std::vector<PlacedModule>& modules)
        : map_(platform.map), modules_(modules) {
        strings_size_ = loader_name.size() + 1;
        command_line_ = request.program_name;
        if (!request.append.empty())
            command_line_ += (command_line_.empty() ? "" : " ") + request.append;
        strings_size_ += command_line_.size() + 1;
        for (const PlacedModule& m : modules)
            strings_size_ += m.command_line.size() + 1;
    }

    u64 size() const { return strings_offset() + strings_size_; }

    Bytes at(u64 base) const {
        Bytes b(size());
        u64 string = strings_offset();
        const auto add_string = [&](std::string_view s) {
            const u64 here = string;
            for (const char c : s)
                b.put(string++, static_cast<u8>(c));
            ++string;
            return static_cast<u32>(base + here);
        };
        namespace i = mb::info;
        b.put(i::flags, i::has_memory | i::has_cmdline | i::has_mods | i::has_mmap | i::has_boot_loader_name);
        b.put(i::mem_lower, static_cast<u32>(map_.kib_low()));
        b.put(i::mem_upper, static_cast<u32>(map_.kib_above_1m()));
        b.put(i::cmdline, add_string(command_line_));
        b.put(i::boot_loader_name, add_string(loader_name));
        b.put(i::mods_count, static_cast<u32>(modules_.size()));
        b.put(i::mods_addr, static_cast<u32>(base + i::size));
        u64 offset = i::size;
        for (const PlacedModule& m : modules_) {
            b.put(offset, static_cast<u32>(m.start));
            b.put(offset + 4, static_cast<u32>(m.start + m.size));
            b.put(offset + 8, add_string(m.command_line));
            offset += mb::module_size;
        }
        b.put(i::mmap_addr, static_cast<u32>(base + offset));
        b.put(i::mmap_length, static_cast<u32>(map_.entries().size() * mb::mmap_entry_size));
        for (const MapEntry& e : map_.entries()) {
            b.put(offset, static_cast<u32>(mb::mmap_entry_size - 4));
            b.put(offset + 4, e.base);
            b.put(offset + 12, e.size);
            b.put(offset + 20, static_cast<u32>(e.type));
            offset += mb::mmap_entry_size;
        }
        return b;
    }

private:
    static constexpr std::string_view loader_name = "Vitrine";

    u64 strings_offset() const {
        return mb::info::size + modules_.size() * mb::module_size + map_.entries().size() * mb::mmap_entry_size;
    }

    const MemoryMap& map_;
    const std::vector<PlacedModule>& modules_;
    std::string command_line_;
    u64 strings_size_ = 0;
};

} // namespace

std::optional<u64> find_multiboot_header(std::span<const u8> data) {
    const Reader r(data);
    for (u64 at = 0; at + 12 <= mb::search_length && r.has(at, 12); at += 4)
        if (r.peek<u32>(at) == mb::header_magic &&
            static_cast<u32>(mb::header_magic + r.peek<u32>(at + mb::flags) + r.peek<u32>(at + mb::checksum)) == 0)
            return at;
    return {};
}

Expected<BootState> load_multiboot(const BootRequest& request, const Platform& platform, Arena& arena) {
    const File& file = request.kernel;
    const auto header = find_multiboot_header(file.data);
    VERIFY(header);
    const u32 flags = Reader(file.data).peek<u32>(*header + mb::flags);
    TRY(check_flags(file, flags));
    if (!(flags & mb::address_fields) && file.data[0] == 'M' && file.data[1] == 'Z')
        return not_a_kernel(file); // Xen has an EFI program with a Multiboot header, for instance
    if (!(flags & mb::address_fields) && !is_elf(Reader(file.data)))
        return file.wrong(
            "has a Multiboot header without addresses (flag 16), and is no ELF file: nothing says where to load it");
    const Loaded loaded =
        flags & mb::address_fields ? TRY(load_by_addresses(file, *header, arena)) : TRY(load_elf(file, arena));
    if (loaded.entry >= Arena::four_gib)
        return file.wrong(
            fmt::format("the entry {:#x} lies above 4 GiB, and Multiboot starts in 32-bit mode", loaded.entry));

    const auto modules = TRY(place_modules(request, std::max(loaded.end, low_memory::end), true, arena));
    const Information information(request, platform, modules);
    const u64 at = TRY(low_room(arena, information.size(), 16));
    arena.write(at, information.at(at).span());

    BootState state = TRY(protected_mode(arena, static_cast<u32>(loaded.entry)));
    state.protocol = "Multiboot";
    state.general[rax] = mb::loader_magic;
    state.general[rbx] = at;
    return state;
}

} // namespace vitrine::firmware
