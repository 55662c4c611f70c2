// SPDX-License-Identifier: Apache-2.0
// Multiboot 1 kernels: ELF of either class, or an image with the header's address fields; modules, command lines,
// memory map.
#pragma once

#include "firmware/loaders.h"

#include <optional>

namespace vitrine::firmware {

/// Where in the file a valid header begins.
std::optional<u64> find_multiboot_header(std::span<const u8> data);

/// Modules that are gzip-compressed are decompressed, as boot loaders do.
Expected<BootState> load_multiboot(const BootRequest& request, const Platform& platform, Arena& arena);

} // namespace vitrine::firmware
