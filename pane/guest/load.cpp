// SPDX-License-Identifier: Apache-2.0
// Tells the protocols apart, and loads by each: bzImage by the 64-bit boot protocol, ELF by PVH or Multiboot.
#include "pane/guest/load.h"

#include "pane/guest/guest.h"
#include "pane/kernel/memory.h"

#include "firmware/spec/linux_boot.h"
#include "firmware/spec/multiboot.h"
#include "firmware/spec/pvh.h"

#include <cstring>

namespace vitrine::pane {

namespace {

namespace lb = firmware::linux_boot;
namespace mb = firmware::multiboot;

template <class... T> [[noreturn]] void wrong(const Guest& g, const BootModule& m, std::string_view text, const T&... values) {
    print(serial_out, "\nguest '{}': {} ", g.config.name, m.name);
    print(serial_out, text, values...);
    panic("a guest cannot be loaded");
}

/// The module's bytes with every offset checked.
class Image {
public:
    Image(const Guest& g, const BootModule& m) : guest_(g), module_(m) {}

    u64 size() const { return module_.memory.size; }
    bool has(u64 offset, u64 n) const { return offset <= size() && n <= size() - offset; }

    template <class T> T get(u64 offset) const {
        T value{};
        if (has(offset, sizeof value))
            memcpy(&value, module_.data() + offset, sizeof value);
        return value;
    }

    template <class T> T get(lb::HeaderField<T> f) const { return get<T>(f.offset); }

    const u8* bytes(u64 offset, u64 n) const {
        if (!has(offset, n))
            wrong(guest_, module_, "is truncated: {} bytes at {x} are missing", n, offset);
        return module_.data() + offset;
    }

private:
    const Guest& guest_;
    const BootModule& module_;
};

void put(Guest& g, const BootModule& m, u64 gpa, const void* data, u64 size, u64 size_in_memory) {
    u8* to = g.at(gpa, size_in_memory > size ? size_in_memory : size);
    if (!to)
        wrong(g, m, "wants to lie at {x}, where the guest's {} MiB do not reach", gpa, g.config.memory >> 20);
    memcpy(to, data, size); // the rest is zero: the memory was cleared
}

template <class T> void store(Guest& g, u64 gpa, T value) { memcpy(g.at(gpa, sizeof value), &value, sizeof value); }

void store_text(Guest& g, u64 gpa, std::string_view text) { memcpy(g.at(gpa, text.size() + 1), text.data(), text.size()); }

/// As high as it goes, for kernels take the low memory for themselves.
u64 place_initrd(Guest& g, const BootModule& m, u64 limit) {
    const u64 top = limit < g.config.memory ? limit : g.config.memory;
    if (m.memory.size + (16 << 20) > top)
        wrong(g, m, "has {} bytes, too many for this guest", m.memory.size);
    const u64 at = align_down(top - m.memory.size, page_size);
    put(g, m, at, m.data(), m.memory.size, 0);
    return at;
}

void write_gdt(Guest& g) {
    store<u64>(g, low::gdt + 0x10, 0x00af'9b00'0000'ffff);
    store<u64>(g, low::gdt + 0x18, 0x00cf'9300'0000'ffff);
}

EntryState load_linux(Guest& g, const BootModule& m, const BootModule* initrd) {
    const Image image(g, m);
    if (image.get(lb::version) < 0x20c || !(image.get(lb::xloadflags) & lb::xlf_kernel_64))
        wrong(g, m, "has no 64-bit entry (boot protocol {x})", image.get(lb::version));
    const u64 sectors = image.get(lb::setup_sects) ? image.get(lb::setup_sects) : 4;
    const u64 start = (sectors + 1) * lb::sector, size = image.size() - start;
    const u64 at = image.get(lb::pref_address);
    if (at + image.get(lb::init_size) > g.config.memory)
        wrong(g, m, "needs memory up to {x}; give the guest more", at + image.get(lb::init_size));
    put(g, m, at, image.bytes(start, size), size, image.get(lb::init_size));

    const u64 zero_page = low::information;
    u64 header_end = 0x202 + image.get(lb::jump_length);
    if (header_end > lb::header_limit)
        header_end = lb::header_limit;
    put(g, m, zero_page + lb::header_start, image.bytes(lb::header_start, header_end - lb::header_start), header_end - lb::header_start, 0);
    const auto set = [&]<class T>(lb::HeaderField<T> f, u64 value) { store<T>(g, zero_page + f.offset, static_cast<T>(value)); };
    if (g.config.cmdline.size() > image.get(lb::cmdline_size))
        wrong(g, m, "takes a command line of {} characters", image.get(lb::cmdline_size));
    store_text(g, low::command_line, g.config.cmdline);
    set(lb::cmd_line_ptr, low::command_line);
    set(lb::type_of_loader, lb::loader_unassigned);
    set(lb::vid_mode, lb::vid_mode_normal);
    set(lb::code32_start, at);
    set(lb::acpi_rsdp_addr, low::acpi);
    if (initrd) {
        set(lb::ramdisk_image, place_initrd(g, *initrd, u64{image.get(lb::initrd_addr_max)} + 1));
        set(lb::ramdisk_size, initrd->memory.size);
    }
    const MemoryMap map = memory_map(g);
    u64 entry = zero_page + lb::e820_table;
    for (const MapEntry& e : map.entries) {
        store(g, entry, e.base);
        store(g, entry + 8, e.size);
        store(g, entry + 16, e.type);
        entry += 20;
    }
    set(lb::e820_entries, sizeof map.entries / sizeof *map.entries);

    // The protocol's 64-bit entry wants the first gigabytes mapped, address for address.
    constexpr u64 present_write = 3, large = 1 << 7;
    store(g, low::page_tables, (low::page_tables + page_size) | present_write);
    for (u64 n = 0; n < 4; ++n) {
        const u64 directory = low::page_tables + (2 + n) * page_size;
        store(g, low::page_tables + page_size + 8 * n, directory | present_write);
        for (u64 k = 0; k < 512; ++k)
            store(g, directory + 8 * k, (n << 30 | k << 21) | present_write | large);
    }
    write_gdt(g);
    EntryState e;
    e.mode = EntryState::Mode::long_mode;
    e.rip = at + lb::entry_64;
    e.rsi = zero_page;
    e.cr3 = low::page_tables;
    return e;
}

/// An ELF file of either class: its segments into memory, and what a note of it says.
struct Elf {
    u64 entry = 0, end = 0, pvh_entry = 0;
};

u64 find_pvh_entry(const Image& image, u64 notes, u64 size) {
    for (u64 at = notes; at + 12 <= notes + size && image.has(at, 12);) {
        const u64 name_size = image.get<u32>(at), data_size = image.get<u32>(at + 4);
        const u64 data = at + 12 + align_up(name_size, 4);
        if (image.get<u32>(at + 8) == firmware::pvh::note_phys32_entry && name_size == 4 && image.has(at + 12, 4) &&
            memcmp(image.bytes(at + 12, 4), "Xen", 4) == 0)
            return image.get<u32>(data);
        at = data + align_up(data_size, 4);
    }
    return 0;
}

Elf load_elf(Guest& g, const BootModule& m) {
    const Image image(g, m);
    const bool wide = image.get<u8>(4) == 2;
    const auto word = [&](u64 offset) { return wide ? image.get<u64>(offset) : image.get<u32>(offset); };
    Elf elf;
    elf.entry = word(24);
    const u64 table = word(wide ? 32 : 28), entry_size = image.get<u16>(wide ? 54 : 42), count = image.get<u16>(wide ? 56 : 44);
    for (u64 n = 0; n < count; ++n) {
        constexpr u32 load = 1, note = 4;
        const u64 p = table + n * entry_size;
        const u64 offset = word(p + (wide ? 8 : 4)), address = word(p + (wide ? 24 : 12));
        const u64 file_size = word(p + (wide ? 32 : 16)), size = word(p + (wide ? 40 : 20));
        const u32 type = image.get<u32>(p);
        if (type == note && !elf.pvh_entry)
            elf.pvh_entry = find_pvh_entry(image, offset, file_size);
        if (type != load || size == 0)
            continue;
        if (size < file_size)
            wrong(g, m, "has a segment that is larger in the file than in memory");
        put(g, m, address, image.bytes(offset, file_size), file_size, size);
        elf.end = address + size > elf.end ? address + size : elf.end;
    }
    return elf;
}

/// PVH: EBX points to a start info that names the modules, the command line, the RSDP and the memory map.
EntryState start_pvh(Guest& g, const Elf& elf, const BootModule* initrd) {
    const u64 info = low::information, modules = info + 0x100, map_at = info + 0x200;
    store<u32>(g, info, firmware::pvh::start_magic);
    store<u32>(g, info + 4, firmware::pvh::start_version);
    if (initrd) {
        store<u32>(g, info + 12, 1);
        store<u64>(g, info + 16, modules);
        store<u64>(g, modules, place_initrd(g, *initrd, 1ull << 32));
        store<u64>(g, modules + 8, initrd->memory.size);
    }
    store_text(g, low::command_line, g.config.cmdline);
    store<u64>(g, info + 24, low::command_line);
    store<u64>(g, info + 32, low::acpi);
    store<u64>(g, info + 40, map_at);
    const MemoryMap map = memory_map(g);
    store<u32>(g, info + 48, sizeof map.entries / sizeof *map.entries);
    for (u64 n = 0; n < sizeof map.entries / sizeof *map.entries; ++n) {
        store(g, map_at + 24 * n, map.entries[n].base);
        store(g, map_at + 24 * n + 8, map.entries[n].size);
        store(g, map_at + 24 * n + 16, map.entries[n].type);
    }
    EntryState e;
    e.rip = elf.pvh_entry;
    e.rbx = info;
    return e;
}

EntryState start_multiboot(Guest& g, const Elf& elf, const BootModule* module) {
    const u64 info = low::information, modules = info + 0x100, map_at = info + 0x200;
    u32 flags = mb::info::has_memory | mb::info::has_cmdline | mb::info::has_mmap;
    store<u32>(g, info + mb::info::mem_lower, low::usable_end >> 10);
    store<u32>(g, info + mb::info::mem_upper, static_cast<u32>((g.config.memory - (1 << 20)) >> 10));
    store_text(g, low::command_line, g.config.cmdline);
    store<u32>(g, info + mb::info::cmdline, low::command_line);
    if (module) {
        flags |= mb::info::has_mods;
        const u64 at = align_up(elf.end, page_size);
        put(g, *module, at, module->data(), module->memory.size, 0);
        store<u32>(g, info + mb::info::mods_count, 1);
        store<u32>(g, info + mb::info::mods_addr, static_cast<u32>(modules));
        store<u32>(g, modules, static_cast<u32>(at));
        store<u32>(g, modules + 4, static_cast<u32>(at + module->memory.size));
        store<u32>(g, modules + 8, low::command_line);
    }
    const MemoryMap map = memory_map(g);
    u64 entry = map_at;
    for (const MapEntry& e : map.entries) {
        store<u32>(g, entry, mb::mmap_entry_size - 4);
        store(g, entry + 4, e.base);
        store(g, entry + 12, e.size);
        store(g, entry + 20, e.type);
        entry += mb::mmap_entry_size;
    }
    store<u32>(g, info + mb::info::mmap_addr, static_cast<u32>(map_at));
    store<u32>(g, info + mb::info::mmap_length, static_cast<u32>(entry - map_at));
    store<u32>(g, info, flags);
    EntryState e;
    e.rip = elf.entry;
    e.rax = mb::loader_magic;
    e.rbx = info;
    return e;
}

bool has_multiboot_header(const Image& image) {
    for (u64 at = 0; at < mb::search_length; at += 4)
        if (image.get<u32>(at) == mb::header_magic &&
            static_cast<u32>(mb::header_magic + image.get<u32>(at + mb::flags) + image.get<u32>(at + mb::checksum)) == 0)
            return true;
    return false;
}

} // namespace

MemoryMap memory_map(const Guest& g) {
    constexpr u32 ram = 1, reserved = 2;
    return {{{0, low::usable_end, ram}, {low::acpi, low::acpi_end - low::acpi, reserved}, {1 << 20, g.config.memory - (1 << 20), ram}}};
}

EntryState load_image(Guest& g, const BootModule& kernel, const BootModule* initrd) {
    write_acpi_tables(g);
    const Image image(g, kernel);
    if (image.get(lb::header_magic) == lb::magic && image.get(lb::boot_flag) == lb::boot_flag_value)
        return load_linux(g, kernel, initrd);
    constexpr u32 elf_magic = 0x464c'457f;
    if (image.get<u32>(0) != elf_magic)
        wrong(g, kernel, "is no kernel: neither a Linux bzImage nor an ELF file");
    const Elf elf = load_elf(g, kernel);
    if (has_multiboot_header(image))
        return start_multiboot(g, elf, initrd);
    if (!elf.pvh_entry)
        wrong(g, kernel, "is an ELF file with neither a Multiboot header nor a PVH entry");
    return start_pvh(g, elf, initrd);
}

} // namespace vitrine::pane
