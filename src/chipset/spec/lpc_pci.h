// SPDX-License-Identifier: Apache-2.0
// Configuration registers of the ICH9 LPC bridge (0:1f.0) and of its chipset configuration space (Intel I/O Controller Hub 9
// Family datasheet, chapters 10 and 13).
#pragma once

#include "words/bits.h"

namespace vitrine::ich9 {

inline constexpr u16 vendor = 0x8086, device = 0x2918;

enum Offset : u8 {
    pmbase = 0x40,
    acpi_cntl_offset = 0x44,
    gpiobase = 0x48,
    gpio_control = 0x4c,
    pirq_a = 0x60,
    serial_irq = 0x64,
    pirq_e = 0x68,
    ioapic_bdf = 0x6c,
    lpc_io_decode = 0x80,
    lpc_enables = 0x82,
    generic_decode = 0x84, ///< four of them
    gen_pmcon_1_offset = 0xa0,
    gen_pmcon_2 = 0xa2,
    gen_pmcon_3 = 0xa4,
    gen_pmcon_lock = 0xa6,
    pm_initialization = 0xac,
    gpi_rout = 0xb8,
    fwh_select_1 = 0xd0,
    fwh_select_2 = 0xd4,
    fwh_decode = 0xd8,
    bios_cntl = 0xdc,
    rcba_offset = 0xf0,
};

struct AcpiCntl {
    static constexpr unsigned offset = acpi_cntl_offset, width = 1;
    static constexpr const char* name = "ACPI_CNTL";
    Field sci_select{2, 0, rw, "SCI_IRQ_SEL", "SCI IRQ select: 9, 10, 11, then 20, 21 from 4 on"};
    Field enable{7, rw, "ACPI_EN", "ACPI enable: decode the PMBASE range"};
} inline constexpr acpi_cntl;

struct PirqRout {
    Field irq{3, 0, rw, "IRQ", "8259 input"};
    Field disable{7, rw, "IRQEN", "not routed to the 8259s"};
} inline constexpr pirq_rout;

struct GenPmcon1 {
    static constexpr unsigned offset = gen_pmcon_1_offset, width = 2;
    static constexpr const char* name = "GEN_PMCON_1";
    Field periodic_smi{1, 0, rw, "PER_SMI_SEL", "periodic SMI rate"};
    Field slpsmi_to_sci{2, rw, "CLKRUN_EN", "PCI clock run enable"};
    Field smi_lock{4, rw, "SMI_LOCK", "GBL_SMI_EN locked"};
    Field speedstep{7, rw, "C4_C5", "SpeedStep and C-state enables"};
    Field bios_pci_express{10, rw, "BIOS_PCI_EXP_EN", "PCI Express SCI by BIOS"};
} inline constexpr gen_pmcon_1;

struct Rcba {
    static constexpr unsigned offset = rcba_offset, width = 4;
    static constexpr const char* name = "RCBA";
    Field enable{0, rw, "EN", "enable"};
    Field base{31, 14, rw, "BA", "base address"};
} inline constexpr rcba;

inline constexpr u64 rcrb_size = 0x4000;

/// Interrupt routes in the chipset configuration space: four bits per pin, INTA lowest.
struct RouteRegister {
    u16 offset;
    u8 device;
    const char* name;
};

// clang-format off
inline constexpr RouteRegister route_registers[] = {
    {0x3140, 31, "D31IR"},
    {0x3142, 30, "D30IR"},
    {0x3144, 29, "D29IR"},
    {0x3146, 28, "D28IR"},
    {0x3148, 27, "D27IR"},
    {0x314c, 26, "D26IR"},
    {0x3150, 25, "D25IR"},
};
// clang-format on

inline constexpr u16 route_reset = 0x3210; ///< INTA to PIRQA ... INTD to PIRQD

enum RcrbOffset : u16 { d31ip = 0x3100, oic = 0x31fe, rtc_configuration = 0x3400, hptc = 0x3404, gcs = 0x3410, buc = 0x3414, fd = 0x3418 };

} // namespace vitrine::ich9
