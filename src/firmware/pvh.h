// SPDX-License-Identifier: Apache-2.0
// PVH: an ELF kernel (Linux's vmlinux, for one) with a Xen note that names its 32-bit entry.
#pragma once

#include "firmware/elf.h"
#include "firmware/loaders.h"

namespace vitrine::firmware {

/// The entry that the note names; nothing without the note.
std::optional<u64> pvh_entry(const ElfImage& image);

Expected<BootState> load_pvh(const BootRequest& request, const ElfImage& image, const Platform& platform, Arena& arena);

} // namespace vitrine::firmware
