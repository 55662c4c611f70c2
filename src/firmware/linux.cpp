// SPDX-License-Identifier: Apache-2.0
// Checks a bzImage's setup header, places kernel, initrd and command line, and fills the zero page.
#include "firmware/linux.h"

#include "firmware/bytes.h"
#include "firmware/modes.h"
#include "firmware/reader.h"
#include "firmware/spec/linux_boot.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace vitrine::firmware {

namespace {

using namespace linux_boot;

template <class T>
T read(const Reader& r, HeaderField<T> f) {
    return r.peek<T>(f.offset);
}

template <class T>
void write(Bytes& zero_page, HeaderField<T> f, u64 value) {
    zero_page.put(f.offset, static_cast<T>(value));
}

/// The parts of the setup header that decide something, with the defaults of older protocols filled in.
struct Header {
    u16 protocol;
    std::span<const u8> code; ///< the protected-mode part
    u64 setup_size;           ///< real-mode part, boot sector included
    bool relocatable, has_64_bit_entry;
    u64 alignment, preferred, init_size;
    u64 initrd_end; ///< one past the highest byte
    u64 cmdline_size;
};

Expected<Header> parse(const File& file) {
    const Reader r(file.data);
    Header h{};
    h.protocol = read(r, version);
    if (h.protocol < 0x206)
        return file.wrong(
            fmt::format("is a Linux kernel of boot protocol {}.{:02}; 2.06 or later is needed (Linux 2.6.22)",
                        h.protocol >> 8, h.protocol & 0xff));
    if (!(read(r, loadflags) & loaded_high))
        return file.wrong("is a zImage, which loads below 1 MiB; a bzImage is needed");
    const u64 sectors = read(r, setup_sects) ? read(r, setup_sects) : 4;
    h.setup_size = (sectors + 1) * sector;
    const u64 code_size = read(r, syssize) * 16ull;
    if (!r.has(h.setup_size, std::max<u64>(code_size, entry_64 + 1)))
        return file.wrong(fmt::format("the bzImage is truncated: its header announces {} bytes, the file has {}",
                                      h.setup_size + code_size, file.data.size()));
    h.code = file.data.subspan(h.setup_size);
    h.relocatable = read(r, relocatable_kernel) != 0;
    h.alignment = read(r, kernel_alignment);
    h.preferred = h.protocol >= 0x20a ? read(r, pref_address) : 1_MiB;
    h.init_size =
        std::max<u64>(h.protocol >= 0x20a ? read(r, init_size) : h.code.size() * init_size_guess, h.code.size());
    h.has_64_bit_entry = h.protocol >= 0x20c && (read(r, xloadflags) & xlf_kernel_64);
    h.initrd_end = read(r, initrd_addr_max) + 1ull;
    h.cmdline_size = read(r, cmdline_size);
    if (h.relocatable && (!std::has_single_bit(h.alignment) || h.alignment > 1_GiB))
        return file.wrong(
            fmt::format("the setup header is damaged: kernel_alignment is {:#x}, no power of two", h.alignment));
    return h;
}

/// Where the protected-mode code goes: where it prefers, else as low as a relocatable kernel can.
Expected<u64> place_kernel(const File& file, const Header& h, Arena& arena) {
    u64 at = h.preferred;
    if (h.preferred >= Arena::four_gib || !arena.take(h.preferred, h.init_size)) {
        const auto lowest =
            h.relocatable ? arena.lowest(h.init_size, h.alignment, 1_MiB, Arena::four_gib) : std::optional<u64>{};
        if (!lowest)
            return file.wrong(
                fmt::format("needs {} MiB of free memory at {:#x} to decompress itself, the machine has {} MiB "
                            "in all; give more with --memory",
                            (h.init_size >> 20) + 1, h.preferred, arena.space().ram_size() >> 20));
        at = *lowest;
    }
    arena.write(at, h.code);
    arena.zero(at + h.code.size(), h.init_size - h.code.size());
    return at;
}

/// The list goes backwards: each entry points to the one made before it.
Expected<u64> place_setup_data(const std::vector<SetupData>& list, Arena& arena) {
    u64 next = 0;
    for (auto entry = list.rbegin(); entry != list.rend(); ++entry) {
        Bytes b;
        b.qword(next).dword(entry->type).dword(entry->data.size()).append(entry->data);
        next = TRY(low_room(arena, b.size(), 16));
        arena.write(next, b.span());
    }
    return next;
}

void fill_memory_map(Bytes& zero_page, const MemoryMap& map) {
    const auto& entries = map.entries();
    VERIFY(entries.size() <= e820_max);
    u64 at = e820_table;
    for (const MapEntry& e : entries) {
        zero_page.put(at, e.base);
        zero_page.put(at + 8, e.size);
        zero_page.put(at + 16, static_cast<u32>(e.type));
        at += 20;
    }
    write(zero_page, e820_entries, entries.size());
    write(zero_page, alt_mem_k, map.kib_above_1m());
}

} // namespace

bool is_bzimage(std::span<const u8> data) {
    const Reader r(data);
    return read(r, boot_flag) == boot_flag_value && read(r, header_magic) == magic;
}

Expected<BootState> load_linux(const BootRequest& request, const Platform& platform, Arena& arena) {
    const File& file = request.kernel;
    const Header h = TRY(parse(file));
    if (!request.modules.empty())
        return request.modules.front().file.wrong("a Linux kernel takes no modules; give --initrd");
    if (request.append.size() > h.cmdline_size)
        return Error(fmt::format("--append: {} characters are too many, this kernel takes {}", request.append.size(),
                                 h.cmdline_size));
    const u64 kernel = TRY(place_kernel(file, h, arena));
    const u64 zero_page_at = TRY(low_room(arena, zero_page_size, page_size));
    const u64 command_line = TRY(low_room(arena, request.append.size() + 1, 16));
    arena.write_string(command_line, request.append);

    Bytes zero_page(zero_page_size);
    const Reader r(file.data);
    const u64 end = std::min<u64>(header_limit, header_magic.offset + read(r, jump_length));
    for (u64 i = header_start; i < end; ++i)
        zero_page.put(i, r.peek<u8>(i));
    write(zero_page, type_of_loader, loader_unassigned);
    write(zero_page, vid_mode, vid_mode_normal);
    write(zero_page, code32_start, kernel);
    write(zero_page, cmd_line_ptr, command_line);
    write(zero_page, ramdisk_image, 0);
    write(zero_page, ramdisk_size, 0);
    if (h.protocol >= 0x209)
        write(zero_page, setup_data, TRY(place_setup_data(request.setup_data, arena)));
    if (h.protocol >= 0x20e)
        write(zero_page, acpi_rsdp_addr, platform.rsdp);
    if (request.initrd && !request.initrd->data.empty()) {
        const u64 at = TRY(place_high(*request.initrd, page_size, 1_MiB, h.initrd_end, arena));
        write(zero_page, ramdisk_image, at);
        write(zero_page, ramdisk_size, request.initrd->data.size());
    }
    fill_memory_map(zero_page, platform.map);
    arena.write(zero_page_at, zero_page.span());

    BootState state = h.has_64_bit_entry ? TRY(long_mode(arena, kernel + entry_64))
                                         : TRY(protected_mode(arena, static_cast<u32>(kernel)));
    state.protocol = "Linux";
    state.general[rsi] = zero_page_at;
    return state;
}

} // namespace vitrine::firmware
