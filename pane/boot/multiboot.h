// SPDX-License-Identifier: Apache-2.0
// What the boot loader left: memory and modules, copied before anything may overwrite it (Multiboot Specification 0.6.96).
#pragma once

#include "words/integers.h"

#include <string_view>

namespace vitrine::pane {

struct MemoryRange {
    u64 base = 0, size = 0;

    u64 end() const { return base + size; }
};

struct BootModule {
    std::string_view name; ///< the first word of its command line, without directories
    MemoryRange memory;

    const u8* data() const { return reinterpret_cast<const u8*>(memory.base); }

    std::string_view text() const { return {reinterpret_cast<const char*>(memory.base), memory.size}; }
};

struct BootInformation {
    static constexpr unsigned most_modules = 24, most_ranges = 32;

    BootModule modules[most_modules];
    unsigned module_count = 0;
    MemoryRange ram[most_ranges];
    unsigned ram_count = 0;

    /// Null when the loader gave no such module.
    const BootModule* module(std::string_view name) const;
};

/// Panics with a sentence when Pane was not loaded by Multiboot or was given too much.
void read_boot_information(u32 magic, u32 information, BootInformation& boot);

} // namespace vitrine::pane
