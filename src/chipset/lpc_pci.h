// SPDX-License-Identifier: Apache-2.0
// The PCI side of the ICH9 LPC bridge at 0:1f.0: where the ACPI registers lie, which interrupt is the SCI, where the
// PIRQs go (I/O APIC pins 16 to 23 always, 8259 inputs as PIRQx_ROUT says), and the chipset configuration space behind
// RCBA. GPIO is not modelled.
#pragma once

#include "base/registers.h"
#include "chipset/spec/lpc_pci.h"
#include "interrupts/line.h"
#include "pci/root.h"

#include <array>
#include <functional>

namespace vitrine {

class LpcPci : public pci::Function {
public:
    struct Lines {
        std::array<Line, 8> io_apic; ///< for PIRQA to PIRQH: global system interrupts 16 to 23
        std::array<Line, 16> isa;    ///< inputs of the 8259s; a PIRQ's level is or-ed into the line
    };

    /// Listens to the root complex's PIRQs.
    LpcPci(const pci::Platform& platform, pci::RootComplex& root, Lines lines);

    /// Leaves it as firmware does: ACPI registers at `pmbase`, SCI on IRQ 9, PIRQs on IRQ 10 and 11, RCBA at FED1C000h.
    void set_up_without_firmware(u16 pmbase = 0x600);

    /// The 8259 input of each PIRQ, for interrupt line registers; 255 where it has none.
    std::array<u8, 8> irq_of_pirq() const;

    /// Told where the 128 bytes of ACPI registers lie, and whether they are decoded; also after a reset and a load.
    void on_pm_base(std::function<void(u16 base, bool decoded)> told) { pm_base_ = std::move(told); }

    /// Told the global system interrupt of the SCI: 9, 10, 11, 20, 21, 22 or 23.
    void on_sci(std::function<void(u8 gsi)> told) { sci_ = std::move(told); }

    u8 sci() const;
    u16 pm_base() const;

protected:
    void bar_access(unsigned bar, Access& access) override;
    void config_written(unsigned offset, unsigned size) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

public:
    void remap() override;
    ~LpcPci() override;

private:
    void declare();
    void declare_rcrb();
    void pirq(unsigned n, bool level);
    void update_isa();
    void tell_pm();
    void set_route(const ich9::RouteRegister& which, u64 value);

    pci::RootComplex& root_;
    Lines lines_;
    RegisterFile rcrb_{Topic::chipset, "rcrb"};
    Region rcrb_region_;
    std::function<void(u16, bool)> pm_base_;
    std::function<void(u8)> sci_;
    u16 isa_levels_ = 0;
};

} // namespace vitrine
