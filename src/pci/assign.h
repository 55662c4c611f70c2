// SPDX-License-Identifier: Apache-2.0
// The part of firmware that numbers buses and gives out addresses, for machines that start a kernel without firmware.
// Deterministic: the same functions at the same places get the same addresses.
#pragma once

#include "base/error.h"
#include "pci/root.h"

#include <vector>

namespace vitrine::pci {

struct AddressRange {
    u64 base = 1, limit = 0; ///< both inclusive; nothing when limit < base

    u64 size() const { return limit < base ? 0 : limit - base + 1; }
};

/// What may be given out. Fixed things inside a range are named in `taken`.
struct AddressSpace {
    AddressRange memory_32{0xc000'0000, 0xfebf'ffff};
    AddressRange memory_64{};
    AddressRange io{0x6000, 0xffff};
    std::vector<AddressRange> taken;
};

/// What was given out, for the ACPI tables.
struct Assigned {
    u8 last_bus = 0;
    AddressRange memory_32{~0ull, 0}, memory_64{~0ull, 0}, io{~0ull, 0};
};

/// Numbers the buses depth first, gives every wish an address (large ones first, prefetchable 64-bit ones above 4 GiB),
/// programs bridge windows, interrupt lines (`irq_of_pirq`) and turns on decoding; bus mastering for bridges only.
Expected<Assigned> assign(RootComplex& root, const AddressSpace& space,
                          const std::array<u8, RootComplex::pirq_count>& irq_of_pirq);

} // namespace vitrine::pci
