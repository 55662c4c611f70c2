// SPDX-License-Identifier: Apache-2.0
// Puts a kernel into a guest's memory by the protocol that its file asks for: Linux, Multiboot or PVH.
#pragma once

#include "pane/boot/multiboot.h"
#include "pane/guest/vcpu.h"

namespace vitrine::pane {

struct Guest;

/// Panics with a sentence when the image is none of them, is damaged, or does not fit.
EntryState load_image(Guest& guest, const BootModule& kernel, const BootModule* initrd);

/// Where things lie below 1 MiB in every guest.
namespace low {
inline constexpr u64 gdt = 0x6000, information = 0x7000, page_tables = 0x9000, command_line = 0x20000, usable_end = 0x9f000,
                     acpi = 0xe0000, acpi_end = 0x100000;
}

/// Entry k of the guest's memory map: RAM or not.
struct MapEntry {
    u64 base, size;
    u32 type; ///< of E820: 1 RAM, 2 reserved
};
struct MemoryMap {
    MapEntry entries[3];
};
MemoryMap memory_map(const Guest& guest);

/// Writes the ACPI tables; the RSDP is at low::acpi.
void write_acpi_tables(Guest& guest);

} // namespace vitrine::pane
