// SPDX-License-Identifier: Apache-2.0
// The devices that --device plugs in: names, meanings, properties, and how each is made.
#pragma once

#include "base/error.h"
#include "machine/config.h"

#include <span>
#include <string_view>

namespace vitrine::machine {

class Board;

struct PropertyRow {
    std::string_view name, meaning, standard;
};

struct DeviceRow {
    std::string_view name;
    std::string_view bus; ///< "ISA" or "PCI"
    std::string_view meaning;
    std::span<const PropertyRow> properties;
    Expected<> (*plug)(const DeviceConfig& device, Board& board);
    bool for_assignment = false; ///< its functions are made to be given to guests: `vitrine run` adds the remapping unit that this takes
};

std::span<const DeviceRow> device_table();

const DeviceRow* find_device(std::string_view name);

/// Whether one of them is made for assignment.
bool for_assignment(std::span<const DeviceConfig> devices);

/// Checks name and properties without plugging.
Expected<> check_device(const DeviceConfig& device);

Expected<> plug_device(const DeviceConfig& device, Board& board);

/// "NAME[,key=value…]" as the command line has it.
Expected<DeviceConfig> parse_device(std::string_view text);

} // namespace vitrine::machine
