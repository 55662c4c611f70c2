// SPDX-License-Identifier: Apache-2.0
// gzip-compressed kernels and modules.
#pragma once

#include "firmware/boot.h"

#include <vector>

namespace vitrine::firmware {

bool is_gzip(std::span<const u8> data);

/// All members of the file; zeros after the last one are padding. The error names the file. At most `limit` bytes come
/// out.
Expected<std::vector<u8>> gunzip(const File& file, u64 limit);

} // namespace vitrine::firmware
