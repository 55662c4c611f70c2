// SPDX-License-Identifier: Apache-2.0
// The steps of a direct boot: tables into memory, then the kernel by what it is.
#include "firmware/boot.h"

#include "firmware/acpi.h"
#include "firmware/elf.h"
#include "firmware/gzip.h"
#include "firmware/legacy_interrupts.h"
#include "firmware/linux.h"
#include "firmware/loaders.h"
#include "firmware/mtrr.h"
#include "firmware/multiboot.h"
#include "firmware/pvh.h"
#include "firmware/smbios.h"

#include <fmt/format.h>
#include <new>

namespace vitrine::firmware {

u64 facs_address(const Space& space) { return align_down(space.ram_below_4g(), page_size) - page_size; }

namespace {

constexpr u64 least_memory = 4_MiB;
constexpr u64 largest_kernel = 1_GiB; ///< decompressed, on machines with less memory than that
constexpr u64 smbios_anchor = low_memory::bios + 0x40, smbios_tables = low_memory::bios + 0x80;

/// Writes that need no arena: firmware's own places.
void put(Space& space, u64 at, std::span<const u8> data) {
    space.write(Physical{at}, data, Requester::from_cpu(0));
}

/// What software finds at fixed places of the first megabyte: the BIOS data area and the EBDA's first byte.
void write_bios_data(const Board& board, Space& space) {
    constexpr u64 bda_offset = 0x400, ebda_segment = 0x0e, memory_kib = 0x13;
    Bytes page(page_size);
    for (std::size_t i = 0; i < board.serial.size() && i < 4; ++i)
        page.put(bda_offset + 2 * i, board.serial[i].port);
    page.put(bda_offset + ebda_segment, static_cast<u16>(low_memory::ebda >> 4));
    page.put(bda_offset + memory_kib, static_cast<u16>(low_memory::ebda >> 10));
    put(space, 0, page.span());
    put(space, low_memory::ebda, Bytes(1_KiB).span());
    const u8 ebda_kib = 1;
    put(space, low_memory::ebda, {&ebda_kib, 1});
}

struct Tables {
    MemoryMap map;
    u64 rsdp;
};

/// ACPI tables at the top of low RAM, FACS above them; RSDP and SMBIOS where they are searched for.
Tables write_tables(const Board& board, Space& space) {
    AcpiTables acpi = acpi_tables(board);
    const u64 nvs = facs_address(space);
    const u64 tables = nvs - align_up(acpi.files[AcpiTables::tables].bytes.size(), page_size);
    const u64 rsdp = low_memory::bios;
    acpi.link({tables, nvs, rsdp});
    const RamSize ram{space.ram_below_4g(), space.ram_above_4g()};
    Smbios dmi = smbios(board, ram);
    dmi.link(smbios_tables);
    VERIFY(smbios_tables + dmi.tables.size() <= low_memory::end);

    put(space, low_memory::bios, Bytes(low_memory::end - low_memory::bios).span());
    put(space, tables, Bytes(nvs + page_size - tables).span());
    put(space, tables, acpi.files[AcpiTables::tables].bytes.span());
    put(space, nvs, acpi.files[AcpiTables::facs].bytes.span());
    put(space, rsdp, acpi.files[AcpiTables::rsdp].bytes.span());
    put(space, smbios_anchor, dmi.anchor.span());
    put(space, smbios_tables, dmi.tables.span());
    return {memory_map(board, ram, {tables, nvs - tables}, {nvs, page_size}), rsdp};
}

Expected<BootState> load(const BootRequest& request, const Platform& platform, Arena& arena) {
    const File& file = request.kernel;
    if (is_bzimage(file.data))
        return load_linux(request, platform, arena);
    if (find_multiboot_header(file.data))
        return load_multiboot(request, platform, arena);
    if (is_elf(Reader(file.data))) {
        const ElfImage image = TRY(parse_elf(file));
        if (pvh_entry(image))
            return load_pvh(request, image, platform, arena);
    }
    return not_a_kernel(file);
}

Expected<BootState> boot_or_throw(const BootRequest& request, const Board& board, Space& space) {
    if (space.ram_size() < least_memory)
        return Error(fmt::format("--memory: {} KiB are too little to start a kernel; give at least {}M",
                                 space.ram_size() >> 10, least_memory >> 20));
    BootRequest unpacked = request;
    std::vector<u8> kernel;
    if (is_gzip(request.kernel.data)) {
        kernel = TRY(gunzip(request.kernel, std::max(space.ram_size(), largest_kernel)));
        unpacked.kernel.data = kernel;
    }
    write_bios_data(board, space);
    const Tables tables = write_tables(board, space);
    write_legacy_interrupts(space);
    Arena arena(space, tables.map);
    BootState state = TRY(load(unpacked, {tables.map, tables.rsdp}, arena));
    state.every_processor = memory_types(board);
    return state;
}

} // namespace

u32 waking_vector(Space& space) {
    constexpr u64 firmware_waking_vector = 12;
    return space.read<u32>(Physical{facs_address(space) + firmware_waking_vector}, Requester::from_cpu(0));
}

Expected<BootState> boot(const BootRequest& request, const Board& board, Space& space) {
    try {
        return boot_or_throw(request, board, space);
    } catch (const std::bad_alloc&) {
        return Error("the host has no memory left to load " + request.kernel.name, Status::host_short);
    }
}

} // namespace vitrine::firmware
