// SPDX-License-Identifier: Apache-2.0
// The DMAR ACPI table, by which software finds the unit. Intel VT-d, "BIOS Considerations".
#pragma once

#include "vtd/options.h"
#include "words/integers.h"

#include <span>
#include <vector>

namespace vitrine::vtd {

struct DmarInput {
    u64 base = 0;
    unsigned physical_bits = 46;
    bool interrupt_remapping = true;
    u8 io_apic_id = 0;          ///< as the MADT has it
    u16 io_apic_requester = 0;
    u8 hpet_id = 0;             ///< as the HPET table has it
    u16 hpet_requester = 0;
    std::span<const ReservedMemory> reserved{};
};

/// One unit for everything: INCLUDE_PCI_ALL, and the I/O APIC and the HPET by name; and the reserved memory, an RMRR each. The checksum is left to whoever places it.
std::vector<u8> dmar_table(const DmarInput& input);

} // namespace vitrine::vtd
