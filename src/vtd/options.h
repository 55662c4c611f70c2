// SPDX-License-Identifier: Apache-2.0
// What a remapping unit can do, as the command line chooses it, and the capability registers that follow.
#pragma once

#include "base/error.h"
#include "vtd/spec/registers.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine::vtd {

/// Memory that a device may go on to reach, as firmware with a legacy use for it would say (RMRR).
struct ReservedMemory {
    std::vector<u8> path; ///< device << 3 | function of each bridge on the way from bus 0, and of the device
    u64 base = 0, size = 0;

    bool operator==(const ReservedMemory&) const = default;
};

struct Options {
    bool interrupt_remapping = true;
    bool extended_interrupt_mode = true;
    bool posted_interrupts = true;
    bool pass_through = true;
    bool snoop_control = true;
    bool caching_mode = false;
    bool verify_io_apic = true; ///< off: the source of the I/O APIC's interrupts is not checked, as in QEMU
    unsigned address_bits = 48; ///< 39: three levels only; 48: three or four
    unsigned physical_bits = 46; ///< width of physical addresses; the processor's
    std::vector<ReservedMemory> reserved_memory{};

    u64 capability() const;
    u64 extended_capability() const;
};

/// One key of --iommu.
struct OptionKey {
    std::string_view name, standard, meaning;
    bool Options::*flag; ///< null: `parse` reads it
    Expected<> (*parse)(Options& options, std::string_view value) = nullptr;
};

std::span<const OptionKey> option_keys();

/// "on[,key=value…]". Wrong text: one sentence that says what would be right.
Expected<Options> parse_options(std::string_view text);

} // namespace vitrine::vtd
