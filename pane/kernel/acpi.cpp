// SPDX-License-Identifier: Apache-2.0
// Finds RSDP, MADT, MCFG, DMAR and FADT, and \_S5 in the DSDT's bytes without an AML interpreter (ACPI 6.4, Software Programming Model).
#include "pane/kernel/acpi.h"

#include "pane/kernel/processor.h"

#include <cstring>

namespace vitrine::pane {

namespace {

template <class T> T peek(u64 address) {
    T value;
    memcpy(&value, reinterpret_cast<const void*>(address), sizeof value);
    return value;
}

bool is(u64 address, const char* signature, u64 length) {
    return memcmp(reinterpret_cast<const void*>(address), signature, length) == 0;
}

u64 find_rsdp(u64 from, u64 to) {
    for (u64 at = from; at < to; at += 16)
        if (is(at, "RSD PTR ", 8))
            return at;
    return 0;
}

constexpr u64 header_size = 36;

u32 table_length(u64 table) { return peek<u32>(table + 4); }

/// Calls `look` with each table that the RSDT or XSDT names and that lies where Pane's map reaches.
template <class Look> void each_table(Look look) {
    u64 rsdp = find_rsdp(u64{peek<u16>(0x40e)} << 4, (u64{peek<u16>(0x40e)} << 4) + 1024);
    if (!rsdp)
        rsdp = find_rsdp(0xe0000, 0x100000);
    if (!rsdp)
        return;
    const bool wide = peek<u8>(rsdp + 15) >= 2 && peek<u64>(rsdp + 24) != 0 && peek<u64>(rsdp + 24) >> 32 == 0;
    const u64 root = wide ? peek<u64>(rsdp + 24) : peek<u32>(rsdp + 16);
    const u64 step = wide ? 8 : 4;
    for (u64 at = root + header_size; at < root + table_length(root); at += step) {
        const u64 table = wide ? peek<u64>(at) : peek<u32>(at);
        if (table >> 32 == 0)
            look(table);
    }
}

void read_madt(u64 table, MachineTables& machine) {
    enum : u8 { local_apic = 0, io_apic = 1, source_override = 2, local_x2apic = 9 };
    const auto processor = [&](u32 id, u32 flags) {
        if ((flags & 1) && machine.processor_count < MachineTables::most_processors)
            machine.apic_ids[machine.processor_count++] = id;
    };
    for (u64 at = table + header_size + 8; at < table + table_length(table) && peek<u8>(at + 1) != 0; at += peek<u8>(at + 1))
        switch (peek<u8>(at)) {
        case local_apic: processor(peek<u8>(at + 3), peek<u32>(at + 4)); break;
        case local_x2apic: processor(peek<u32>(at + 4), peek<u32>(at + 8)); break;
        case io_apic:
            if (peek<u32>(at + 8) == 0) {
                machine.io_apic = peek<u32>(at + 4);
                machine.io_apic_id = peek<u8>(at + 2);
            }
            break;
        case source_override:
            if (peek<u8>(at + 3) == 4)
                machine.serial_pin = peek<u32>(at + 4);
            break;
        }
}

/// Segment 0 alone, and only where Pane's map reaches (PCI Firmware Specification, MCFG).
void read_mcfg(u64 table, MachineTables& machine) {
    for (u64 at = table + header_size + 8; at + 16 <= table + table_length(table); at += 16) {
        const u64 base = peek<u64>(at);
        const u8 last = peek<u8>(at + 11);
        if (peek<u16>(at + 8) != 0 || (base + ((u64{last} + 1) << 20)) >> 32)
            continue;
        machine.ecam = base;
        machine.ecam_first_bus = peek<u8>(at + 10);
        machine.ecam_last_bus = last;
        return;
    }
}

/// \_S5 is Name(_S5_, Package() {SLP_TYPa, ...}): NameOp, the name, PackageOp, its length, the count, the first element.
void read_sleep_type(u64 dsdt, MachineTables& machine) {
    constexpr u8 package_op = 0x12, byte_prefix = 0x0a, zero_op = 0, one_op = 1;
    for (u64 at = dsdt + header_size; at + 8 <= dsdt + table_length(dsdt); ++at) {
        if (!is(at, "_S5_", 4) || peek<u8>(at + 4) != package_op)
            continue;
        u64 element = at + 5;
        element += 1 + (peek<u8>(element) >> 6); // the package's length has one to four bytes
        ++element;                               // the number of elements
        const u8 first = peek<u8>(element);
        if (first == byte_prefix)
            machine.sleep_type = peek<u8>(element + 1);
        else if (first == zero_op || first == one_op)
            machine.sleep_type = first;
        else
            continue;
        machine.has_sleep_type = true;
    }
}

void read_fadt(u64 table, MachineTables& machine) {
    machine.pm1_control = static_cast<u16>(peek<u32>(table + 64));
    u64 dsdt = peek<u32>(table + 40);
    if (!dsdt && table_length(table) >= 148)
        dsdt = peek<u64>(table + 140);
    if (dsdt && dsdt >> 32 == 0)
        read_sleep_type(dsdt, machine);
}

} // namespace

void read_acpi(MachineTables& machine) {
    each_table([&](u64 table) {
        if (is(table, "APIC", 4))
            read_madt(table, machine);
        else if (is(table, "FACP", 4))
            read_fadt(table, machine);
        else if (is(table, "MCFG", 4))
            read_mcfg(table, machine);
        else if (is(table, "DMAR", 4))
            machine.dmar = table;
    });
    if (machine.processor_count == 0)
        machine.apic_ids[machine.processor_count++] = cpuid(1).ebx >> 24;
}

void power_off(const MachineTables& machine) {
    constexpr u16 sleep_enable = 1 << 13;
    if (machine.pm1_control && machine.has_sleep_type)
        out16(machine.pm1_control, static_cast<u16>(machine.sleep_type << 10 | sleep_enable));
}

} // namespace vitrine::pane
