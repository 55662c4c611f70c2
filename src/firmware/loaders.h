// SPDX-License-Identifier: Apache-2.0
// What all loaders are given: the platform's tables and map, which are in memory already, and helpers for companions of
// the kernel.
#pragma once

#include "firmware/arena.h"
#include "firmware/boot.h"
#include "firmware/memory_map.h"

namespace vitrine::firmware {

/// What a kernel may be told of the platform.
struct Platform {
    const MemoryMap& map;
    u64 rsdp;
};

/// A module that lies in memory, page aligned.
struct PlacedModule {
    u64 start;
    u64 size;
    std::string command_line;
};

/// The initrd, if any, and the modules, each on pages of its own as low as possible from `from` on.
Expected<std::vector<PlacedModule>> place_modules(const BootRequest& request, u64 from, bool decompress, Arena& arena);

/// A file copied to free memory in [from, below), as high as possible.
Expected<u64> place_high(const File& file, u64 align, u64 from, u64 below, Arena& arena);

/// What is wrong with a file that is no kernel we can start.
Error not_a_kernel(const File& file);

} // namespace vitrine::firmware
