// SPDX-License-Identifier: Apache-2.0
// Linux bzImages, boot protocol 2.06 and later: 64-bit entry where the kernel has one, else its 32-bit entry.
#pragma once

#include "firmware/loaders.h"

namespace vitrine::firmware {

bool is_bzimage(std::span<const u8> data);

Expected<BootState> load_linux(const BootRequest& request, const Platform& platform, Arena& arena);

} // namespace vitrine::firmware
