// SPDX-License-Identifier: Apache-2.0
// Devices and networks under QEMU's names and properties.
#include "app/qemu_devices.h"

#include "machine/device_table.h"
#include "machine/net.h"
#include "vtd/options.h"

#include <fmt/format.h>

#include <algorithm>

namespace vitrine::app {

using machine::DeviceConfig;

Properties properties(std::string_view text) {
    std::vector<std::string> parts{""};
    for (std::size_t n = 0; n < text.size(); ++n) {
        if (text[n] != ',') {
            parts.back() += text[n];
        } else if (n + 1 < text.size() && text[n + 1] == ',') {
            parts.back() += ',';
            ++n;
        } else {
            parts.emplace_back();
        }
    }
    Properties out;
    for (const std::string& part : parts) {
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos)
            out.emplace_back(part, "");
        else
            out.emplace_back(part.substr(0, equals), part.substr(equals + 1));
    }
    return out;
}

namespace {

/// QEMU's properties of its remapping unit, as keys of --iommu.
Expected<> iommu_device(Parsing& p, const std::string& v, const Properties& all) {
    struct Property {
        std::string_view name, key; ///< no key: only `off` is possible
        std::string_view meaning;
    };
    static constexpr Property known[] = {
        {"intremap", "intremap", "interrupt remapping (default: on)"},
        {"eim", "eim", "extended interrupt mode (default: on)"},
        {"caching-mode", "cm", "caching mode (default: off)"},
        {"aw-bits", "aw", "width of device addresses, 39 or 48 (default: 39)"},
        {"pt", "pt", "pass-through (default: on)"},
        {"snoop-control", "snoop", "snoop control (default: off)"},
        {"pi", "pi", "posted interrupts, which QEMU's unit has not (default: on)"},
        {"dma-drain", "", "always on"},
        {"device-iotlb", "", "only off is possible"},
        {"x-scalable-mode", "", "only off is possible"},
    };
    std::string text = "on,verify-ioapic=off"; // QEMU does not check the source of the I/O APIC's interrupts, and kvm-unit-tests relies on it
    bool width = false, snoop = false;
    for (std::size_t n = 1; n < all.size(); ++n) {
        const auto& [name, value] = all[n];
        if (name == "help") {
            p.print = "intel-iommu options:\n";
            for (const Property& k : known)
                p.print += fmt::format("  {}=<value> - {}\n", k.name, k.meaning);
            return {};
        }
        const Property* property = nullptr;
        for (const Property& k : known)
            if (k.name == name)
                property = &k;
        if (name == "id" || name == "x-buggy-eim" || name == "dma-drain")
            continue;
        if (!property)
            return Error(fmt::format("-device {}: Property 'intel-iommu.{}' not found", v, name));
        if (property->key.empty()) {
            if (value != "off")
                return Error(fmt::format("-device {}: {}=on is not possible here", v, name));
            continue;
        }
        if (value == "auto")
            continue;
        width |= name == "aw-bits";
        snoop |= name == "snoop-control";
        text += fmt::format(",{}={}", property->key, value);
    }
    if (!width)
        text += ",aw=39";
    if (!snoop)
        text += ",snoop=off";
    if (auto options = vtd::parse_options(text); !options.ok())
        return Error(fmt::format("-device {}: {}", v, options.error().message));
    p.config().iommu = text;
    p.config().qemu_board = true; // kvm-unit-tests' own PCI code, which only its test of this device uses, relies on both
    return {};
}

} // namespace

Expected<> device_option(Parsing& p, const std::string& v) {
    if (v == "help" || v == "?") {
        p.print = "Devices:\n";
        for (const machine::DeviceRow& row : machine::device_table())
            p.print += fmt::format("name \"{}\", bus {}, desc \"{}\"\n", row.name, row.bus, row.meaning);
        p.print += "name \"intel-iommu\", desc \"VT-d: DMA and interrupt remapping\"\n";
        return {};
    }
    auto all = properties(v);
    if (all[0].first == "igb") { // QEMU's name for the 82576, and for a device's network
        all[0].first = "i82576";
        for (auto& [key, value] : all)
            if (key == "netdev")
                key = "net";
    }
    const machine::DeviceRow* row = machine::find_device(all[0].first);
    if (all[0].first == "intel-iommu")
        return iommu_device(p, v, all);
    if (!row)
        return Error(fmt::format("-device {}: '{}' is not a valid device model name; see -device help", v, all[0].first));
    DeviceConfig device;
    for (std::size_t n = 1; n < all.size(); ++n) {
        if (all[n].first == "help") {
            p.print = fmt::format("{} options:\n", row->name);
            for (const machine::PropertyRow& property : row->properties)
                p.print += fmt::format("  {}=<value> - {} (default: {})\n", property.name, property.meaning, property.standard);
            return {};
        }
        if (all[n].first != "id")
            device.properties.push_back(all[n]);
    }
    device.name = all[0].first;
    TRY(machine::check_device(device));
    p.config().devices.push_back(std::move(device));
    return {};
}

/// -netdev KIND,id=ID,...: the same networks as --net, under QEMU's names.
Expected<> netdev_option(Parsing& p, const std::string& v) {
    const auto all = properties(v);
    std::string id, rest;
    for (std::size_t n = 1; n < all.size(); ++n) {
        const auto& [key, value] = all[n];
        if (key == "id")
            id = value;
        else if (!(all[0].first == "tap" && (key == "script" || key == "downscript")))
            rest += "," + key + "=" + value;
    }
    if (id.empty())
        return Error(fmt::format("-netdev {}: Parameter 'id' is missing", v));
    auto net = machine::parse_net(id + ",kind=" + all[0].first + rest);
    if (!net.ok())
        return Error(fmt::format("-netdev {}: {}", v, net.error().message));
    p.config().nets.push_back(std::move(net).value());
    return {};
}

Expected<> global_option(Parsing& p, const std::string& v) {
    const std::size_t dot = v.find('.'), equals = v.find('=');
    const auto all = properties(v);
    if (v.starts_with("driver=")) {
        std::string driver, property, value;
        for (const auto& [key, text] : all)
            (key == "driver" ? driver : key == "property" ? property : value) = text;
        p.globals.emplace_back(driver + "." + property, value);
        return {};
    }
    if (dot == std::string::npos || equals == std::string::npos || dot > equals)
        return Error(fmt::format("-global {}: must be DRIVER.PROPERTY=VALUE", v));
    p.globals.emplace_back(v.substr(0, equals), v.substr(equals + 1));
    return {};
}

Expected<> apply_globals(Parsing& p) {
    for (const auto& [name, value] : p.globals) {
        const std::size_t dot = name.find('.');
        const std::string driver = name.substr(0, dot), property = name.substr(dot + 1);
        for (DeviceConfig& device : p.config().devices)
            if (device.name == driver && !device.property(property)) {
                device.properties.emplace_back(property, value);
                TRY(machine::check_device(device));
            }
    }
    return {};
}

} // namespace vitrine::app
