// SPDX-License-Identifier: Apache-2.0
// The machine's RAM below 4 GiB: taken in ranges, zeroed, and never given back (guests live as long as Pane).
#pragma once

#include "pane/boot/multiboot.h"

#include <new>

namespace vitrine::pane {

inline constexpr u64 large_page = 2 << 20;

/// Everything that is RAM, is not Pane and is no module.
void memory_start(const BootInformation& boot);

/// 0 when there is no such range free.
u64 try_allocate(u64 size, u64 align);

/// The same; without it Pane cannot go on.
u64 allocate(u64 size, u64 align = 4096);

u64 free_memory();

/// Device memory, address for address, uncached; below 4 GiB it is mapped already, with the types that the firmware has set in the MTRRs.
void map_devices(u64 base, u64 size);

/// Of Pane's own code and constants: the same at the end as at the start, whatever the guests have tried.
u64 code_checksum();

void clear_pages(u64 base, u64 size);

/// A lasting object, on pages of its own.
template <class T> T* make() { return new (reinterpret_cast<void*>(allocate(sizeof(T)))) T; }

} // namespace vitrine::pane
