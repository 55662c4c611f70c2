// SPDX-License-Identifier: Apache-2.0
// The two processor modes in which kernels are entered: flat 32-bit protected mode and identity-mapped 64-bit mode.
#pragma once

#include "firmware/arena.h"
#include "firmware/boot.h"
#include "firmware/boot_state.h"

namespace vitrine::firmware {

/// The legacy descriptor of a segment (the lower 8 bytes of a 64-bit TSS descriptor).
u64 descriptor(const SegmentState& segment);

/// Paging off, 4 GiB segments, interrupts off; a GDT is written to free low memory.
Expected<BootState> protected_mode(Arena& arena, u32 entry);

/// The first 4 GiB mapped to themselves in 2 MiB pages, by tables in free low memory.
Expected<BootState> long_mode(Arena& arena, u64 entry);

/// Room in low memory for what a kernel is told; the error says that the kernel lies in the way.
Expected<u64> low_room(Arena& arena, u64 size, u64 align);

} // namespace vitrine::firmware
