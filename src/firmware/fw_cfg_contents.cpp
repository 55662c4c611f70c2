// SPDX-License-Identifier: Apache-2.0
// What fw_cfg holds for SeaBIOS, OVMF and test programs.
#include "firmware/acpi.h"
#include "firmware/fw_cfg.h"
#include "firmware/linux.h"
#include "firmware/smbios.h"
#include "firmware/spec/linux_boot.h"

#include <array>

namespace vitrine::firmware {

namespace {

std::vector<u8> copy(std::span<const u8> bytes) {
    return {bytes.begin(), bytes.end()};
}

/// Entries of E820 as `etc/e820` has them: RAM, and what the firmware must keep its hands off.
std::vector<u8> e820(const Board& board, RamSize ram) {
    MemoryMap map;
    map.set(0, ram.below_4g, MemoryType::ram);
    map.set(1ull << 32, ram.above_4g, MemoryType::ram);
    for (const NamedWindow& w : board.fixed_mmio)
        map.set(w.window.base, w.window.size, MemoryType::reserved);
    Bytes b;
    for (const MapEntry& e : map.entries())
        b.qword(e.base).qword(e.size).dword(static_cast<u32>(e.type));
    return b.take();
}

} // namespace

void describe_platform(FwCfg& device, const Board& board, RamSize ram, u64 feature_control) {
    const u64 processors = board.apic_ids.size();
    device.set(fw_cfg::uuid, {board.uuid.begin(), board.uuid.end()});
    device.set(fw_cfg::ram_size, ram.below_4g + ram.above_4g, 8);
    device.set(fw_cfg::no_graphic, 1, 2);
    device.set(fw_cfg::nb_cpus, processors, 2);
    device.set(fw_cfg::boot_menu, 0, 2);
    // SeaBIOS takes this for one more than the highest APIC id.
    u32 highest = 0;
    for (const u32 id : board.apic_ids)
        highest = std::max(highest, id);
    device.set(fw_cfg::max_cpus, highest + 1, 2);
    device.set(fw_cfg::irq0_override, 1, 4);

    device.set_file("etc/e820", e820(board, ram));
    device.set_file("etc/msr_feature_control", Bytes().qword(feature_control).take());
    const u8 there = 0x80; // S0 and S5; the low bits are SLP_TYP
    device.set_file("etc/system-states", {there, 0, 0, 0, 0, static_cast<u8>(there | board.s5_sleep_type)});

    AcpiTables acpi = acpi_tables(board);
    device.set_file("etc/table-loader", acpi.loader_script());
    for (AcpiFile& f : acpi.files)
        device.set_file(f.name, f.bytes.take());

    Smbios dmi = smbios(board, ram);
    device.set_file("etc/smbios/smbios-anchor", dmi.anchor.take());
    device.set_file("etc/smbios/smbios-tables", dmi.tables.take());
}

Expected<> offer_kernel(FwCfg& device, const BootRequest& request) {
    // Addresses are those of loaders in option ROMs; OVMF takes the data alone.
    constexpr u64 setup_at = 0x1'0000, command_line_at = 0x2'0000, kernel_at = 1_MiB;
    const File& file = request.kernel;
    if (!is_bzimage(file.data))
        return file.wrong(
            "only a Linux bzImage can be started through a firmware image; leave the firmware out for others");
    const u64 sectors = file.data[linux_boot::setup_sects.offset];
    const u64 setup = std::min<u64>(((sectors ? sectors : 4) + 1) * linux_boot::sector, file.data.size());
    device.set(fw_cfg::setup_addr, setup_at, 4);
    device.set(fw_cfg::setup_size, setup, 4);
    device.set(fw_cfg::setup_data, copy(file.data.first(setup)));
    device.set(fw_cfg::kernel_addr, kernel_at, 4);
    device.set(fw_cfg::kernel_size, file.data.size() - setup, 4);
    device.set(fw_cfg::kernel_data, copy(file.data.subspan(setup)));
    std::vector<u8> text(request.append.begin(), request.append.end());
    text.push_back(0);
    device.set(fw_cfg::cmdline_addr, command_line_at, 4);
    device.set(fw_cfg::cmdline_size, text.size(), 4);
    device.set(fw_cfg::cmdline_data, std::move(text));
    if (request.initrd) {
        device.set(fw_cfg::initrd_size, request.initrd->data.size(), 4);
        device.set(fw_cfg::initrd_data, copy(request.initrd->data));
    }
    return {};
}

} // namespace vitrine::firmware
