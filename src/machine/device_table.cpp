// SPDX-License-Identifier: Apache-2.0
// The table of pluggable devices.
#include "machine/device_table.h"

#include "devices/debug_exit.h"
#include "devices/edu.h"
#include "devices/pc_testdev.h"
#include "devices/pci_testdev.h"
#include "devices/pvpanic.h"
#include "machine/board.h"
#include "machine/machine.h"
#include "machine/nic.h"

#include <algorithm>
#include <bit>
#include <charconv>

namespace vitrine::machine {

namespace {

Expected<u64> number_property(const DeviceConfig& device, std::string_view key, u64 standard, u64 most) {
    const std::string* text = device.property(key);
    if (!text)
        return standard;
    std::string_view digits = *text;
    const int base = digits.starts_with("0x") || digits.starts_with("0X") ? 16 : 10;
    if (base == 16)
        digits.remove_prefix(2);
    u64 value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty() || value > most)
        return Error("--device " + device.name + ": " + std::string(key) + "=" + *text + " must be a number from 0 to " +
                     std::to_string(most));
    return value;
}

Expected<> plug_pc_testdev(const DeviceConfig&, Board& board) {
    Machine& m = board.machine();
    board.plug(std::make_unique<PcTestdev>(m.space().ports(), m.space().mmio(), m.glass(),
                                           [&m](unsigned gsi) { return m.interrupts().gsi(gsi); }));
    return {};
}

Expected<> plug_debug_exit(const DeviceConfig& device, Board& board) {
    Machine& m = board.machine();
    const u64 base = TRY(number_property(device, "iobase", 0x501, 0xffff));
    const u64 size = TRY(number_property(device, "iosize", 2, 4));
    if (size != 1 && size != 2 && size != 4)
        return Error("--device isa-debug-exit: iosize must be 1, 2 or 4");
    if (base + size > 0x10000)
        return Error("--device isa-debug-exit: iobase + iosize must be at most 65536");
    board.plug(std::make_unique<DebugExit>(m.space().ports(), static_cast<u16>(base), static_cast<u16>(size),
                                           [&m](u32 value) { m.request({EndingKind::debug_exit, value, {}}); }));
    return {};
}

Expected<> plug_pvpanic(const DeviceConfig& device, Board& board) {
    board.plug_pvpanic(static_cast<u16>(TRY(number_property(device, "ioport", Pvpanic::standard_port, 0xffff))));
    return {};
}

Expected<> plug_edu(const DeviceConfig& device, Board& board) {
    const u64 mask = TRY(number_property(device, "dma_mask", Edu::Options{}.dma_mask, ~0ull));
    return board.plug_function(std::make_unique<Edu>(board.platform(), board.machine().clock(), Edu::Options{mask}));
}

Expected<> plug_pci_testdev(const DeviceConfig& device, Board& board) {
    const u64 membar = TRY(number_property(device, "membar", 0, 64_GiB));
    if (membar != 0 && (membar < page_size || !std::has_single_bit(membar)))
        return Error("--device pci-testdev: membar must be 0 or a power of two from 4096 on");
    return board.plug_function(std::make_unique<PciTestdev>(board.platform(), PciTestdev::Options{membar}));
}

// clang-format off
constexpr PropertyRow debug_exit_properties[] = {
    {"iobase", "port", "0x501"},
    {"iosize", "number of ports: 1, 2 or 4", "2"},
};

constexpr PropertyRow pvpanic_properties[] = {
    {"ioport", "port", "0x505"},
};

constexpr PropertyRow edu_properties[] = {
    {"dma_mask", "address bits that its DMA engine has", "0xfffffff"},
};

constexpr PropertyRow pci_testdev_properties[] = {
    {"membar", "size of a further BAR with nothing behind it", "0"},
};

constexpr PropertyRow adapter_properties[] = {
    {"mac", "its address", "02:56:49:54:NN:00, NN counted over the adapters"},
    {"net", "the --net it is plugged into", "none"},
    {"pcap", "file for all that passes its port", "none"},
    {"pcap_pools", "files for what each pool or virtual function sends and receives: NAME-poolN.pcap", "none"},
};

constexpr DeviceRow table[] = {
    {"edu",            "PCI", "factorials, interrupts and DMA, for those who learn to write drivers", edu_properties, plug_edu},
    {"i82576",         "PCI", "Intel 82576: 1 Gb/s, 16 queues, VMDq with 8 pools, SR-IOV with 7 virtual functions", adapter_properties, plug_i82576, true},
    {"i82599",         "PCI", "Intel 82599: 10 Gb/s, 128 queues, VMDq with 64 pools, SR-IOV with 63 virtual functions", adapter_properties, plug_i82599, true},
    {"isa-debug-exit", "ISA", "a write of V ends the run with status (V << 1) | 1", debug_exit_properties, plug_debug_exit},
    {"pc-testdev",     "ISA", "ports, interrupt lines and memory for kvm-unit-tests", {}, plug_pc_testdev},
    {"pci-testdev",    "PCI", "counts writes to its BARs, for kvm-unit-tests", pci_testdev_properties, plug_pci_testdev},
    {"pvpanic",        "ISA", "ends the run with status 12 when the guest tells that it panicked", pvpanic_properties, plug_pvpanic},
};
// clang-format on

std::string known_names() {
    std::string names;
    for (const DeviceRow& row : table)
        names += (names.empty() ? "" : ", ") + std::string(row.name);
    return names;
}

} // namespace

std::span<const DeviceRow> device_table() { return table; }

const DeviceRow* find_device(std::string_view name) {
    for (const DeviceRow& row : table)
        if (row.name == name)
            return &row;
    return nullptr;
}

bool for_assignment(std::span<const DeviceConfig> devices) {
    return std::any_of(devices.begin(), devices.end(), [](const DeviceConfig& d) {
        const DeviceRow* row = find_device(d.name);
        return row && row->for_assignment;
    });
}

Expected<> check_device(const DeviceConfig& device) {
    const DeviceRow* row = find_device(device.name);
    if (!row)
        return Error("--device " + device.name + ": there is no such device; there are " + known_names());
    for (const auto& [key, value] : device.properties) {
        bool known = false;
        std::string names;
        for (const PropertyRow& p : row->properties) {
            known |= p.name == key;
            names += (names.empty() ? "" : ", ") + std::string(p.name);
        }
        if (!known)
            return Error("--device " + device.name + ": there is no property '" + key + "'; there " +
                         (names.empty() ? "are none" : "are " + names));
    }
    return {};
}

Expected<> plug_device(const DeviceConfig& device, Board& board) {
    TRY(check_device(device));
    return find_device(device.name)->plug(device, board);
}

Expected<DeviceConfig> parse_device(std::string_view text) {
    DeviceConfig device;
    const std::string whole(text);
    for (bool first = true; first || !text.empty(); first = false) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
        const std::size_t equals = part.find('=');
        if (first) {
            device.name = part;
            continue;
        }
        if (equals == std::string_view::npos || equals == 0)
            return Error("--device " + whole + ": '" + std::string(part) + "' must be key=value");
        const std::string key(part.substr(0, equals));
        if (device.property(key))
            return Error("--device " + whole + ": '" + key + "' is given twice");
        device.properties.emplace_back(key, part.substr(equals + 1));
    }
    TRY(check_device(device));
    return device;
}

} // namespace vitrine::machine
