// SPDX-License-Identifier: Apache-2.0
// The board as firmware sees it, as plain data: what is plugged in, where it answers, which interrupts it raises.
#pragma once

#include "words/integers.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace vitrine::firmware {

struct Window {
    u64 base = 0;
    u64 size = 0;

    u64 end() const { return base + size; }
};

struct NamedWindow {
    std::string name;
    Window window;
};

/// A UART of the 16550 kind. Its ACPI name is COM1, COM2, ... in the order of the list.
struct SerialPort {
    u16 port = 0x3f8;
    u8 irq = 4; ///< ISA interrupt, edge
};

/// A function on bus 0 that ACPI names. Buses below root ports are found by whoever enumerates them.
struct PciFunction {
    u8 device = 0;
    u8 function = 0;
    std::string name; ///< ACPI name of at most four characters from A-Z, 0-9 and _, the first no digit
    bool root_port = false;
};

/// What stands in the processor's socket, as SMBIOS tells it.
struct ProcessorIdentity {
    std::string brand = "Vitrine";
    u32 leaf1_eax = 0; ///< CPUID.1 EAX and EDX
    u32 leaf1_edx = 0;
    u16 megahertz = 1000;
    u8 physical_address_bits = 46;
};

/// A whole ACPI table from another room (DMAR), header included; firmware sets its checksum and OEM fields as they are
/// given.
struct ExtraTable {
    std::vector<u8> bytes;
};

/// The defaults are the Q35-like board that the machine room builds.
struct Board {
    std::vector<u32> apic_ids{0}; ///< one per processor, the boot processor first
    ProcessorIdentity processor;

    u32 local_apic_address = 0xfee0'0000;
    u32 io_apic_address = 0xfec0'0000;
    u8 io_apic_id = 0; ///< the machine gives one that no processor has
    u32 io_apic_gsi_base = 0;

    Window ecam{0xb000'0000, 256ull << 20};                ///< 1 MiB a bus, from bus 0
    Window mmio32{0xc000'0000, 0xfec0'0000 - 0xc000'0000}; ///< for BARs
    Window mmio64{};                                       ///< above RAM; size 0: none
    std::vector<PciFunction> pci_functions;
    /// GSI of INTA..INTD of each device of bus 0. ICH9 as shipped: devices 0-24 swizzle over PIRQE-H, 25-31 are
    /// PIRQA-D.
    std::array<std::array<u8, 4>, 32> intx_gsi = default_intx();

    std::optional<PciFunction> isa_bridge = PciFunction{0x1f, 0, "LPC", false};
    bool pirq_routing =
        true; ///< the ISA bridge has ICH9's PIRQ registers 60h-63h and 68h-6Bh, and its links are GSIs 16-23

    std::optional<u32> hpet_address = 0xfed0'0000;
    u32 hpet_id = 0x8086'a201; ///< bits 31:0 of the General Capabilities and ID register

    u16 pm_base = 0x600;    ///< PM1a events +0, control +4, timer +8
    u16 gpe0_block = 0x620; ///< 0: none
    u8 gpe0_length = 16;    ///< status and enable together
    u8 sci_irq = 9;         ///< level, active high
    u16 smi_command = 0;    ///< 0: the hardware is always in ACPI mode
    u8 acpi_enable = 2, acpi_disable = 3;
    u8 s5_sleep_type = 0; ///< SLP_TYP value that turns the power off
    u16 reset_port = 0xcf9;
    u8 reset_value = 6;

    bool keyboard_controller = true; ///< i8042, keyboard port only
    bool rtc = true;
    bool fw_cfg = true; ///< ports 510h-51Bh
    std::optional<u16> pvpanic_port; ///< where a guest tells that it panicked
    std::vector<SerialPort> serial{SerialPort{}};

    std::vector<NamedWindow> fixed_mmio; ///< further memory that firmware reserves (VT-d registers, test devices)
    std::vector<NamedWindow> fixed_io;   ///< further ports that PNP0C02 claims
    std::vector<ExtraTable> extra_tables;

    std::array<u8, 16> uuid{0x56, 0x69, 0x74, 0x72, 0x69, 0x6e, 0x40, 0x65, 0x80, 0, 0, 0, 0, 0, 0, 1};

    static constexpr std::array<std::array<u8, 4>, 32> default_intx() {
        std::array<std::array<u8, 4>, 32> table{};
        for (unsigned device = 0; device < 32; ++device)
            for (unsigned pin = 0; pin < 4; ++pin)
                table[device][pin] = static_cast<u8>(device < 25 ? 20 + (device + pin) % 4 : 16 + pin);
        return table;
    }
};

} // namespace vitrine::firmware
