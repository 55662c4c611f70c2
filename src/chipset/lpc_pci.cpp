// SPDX-License-Identifier: Apache-2.0
// The LPC bridge's configuration: registers, interrupt routing, the chipset configuration space.
#include "chipset/lpc_pci.h"

namespace vitrine {

using namespace ich9;

namespace {

constexpr unsigned rcrb_index = 8; ///< of the region: past all BARs
constexpr u16 routable = 0xdef8;   ///< 3 to 7, 9 to 12, 14, 15
constexpr std::array<u8, 8> sci_of{9, 10, 11, 9, 20, 21, 22, 23};

unsigned pirq_register(unsigned n) {
    return n < 4 ? pirq_a + n : pirq_e + n - 4;
}

} // namespace

LpcPci::LpcPci(const pci::Platform& platform, pci::RootComplex& root, Lines lines)
    : Function(platform, "lpc",
               {.vendor = ich9::vendor,
                .device = ich9::device,
                .revision = 2,
                .class_code = 0x060100,
                .subsystem_vendor = ich9::vendor,
                .subsystem = ich9::device}),
      root_(root), lines_(std::move(lines)),
      rcrb_region_{.device = this, .name = "lpc.rcrb", .size = rcrb_size, .index = rcrb_index, .max_size = 4} {
    declare();
    declare_rcrb();
    root_.on_pirq([this](unsigned n, bool level) { pirq(n, level); });
}

LpcPci::~LpcPci() {
    root_.on_pirq({});
    platform().memory.unmap(rcrb_region_);
}

void LpcPci::declare() {
    static constexpr std::array<const char*, 8> pirq_names{"PIRQA_ROUT", "PIRQB_ROUT", "PIRQC_ROUT", "PIRQD_ROUT",
                                                           "PIRQE_ROUT", "PIRQF_ROUT", "PIRQG_ROUT", "PIRQH_ROUT"};
    static constexpr std::array<const char*, 4> decode_names{"GEN1_DEC", "GEN2_DEC", "GEN3_DEC", "GEN4_DEC"};
    pci::ConfigSpace& c = config();
    c.set(pci::header_type, 1, pci::multi_function);
    c.set_reset(pci::header_type, 1, pci::multi_function);
    // The bridge always decodes and masters.
    c.set_reset(pci::command_offset, 2, 7);
    c.set(pci::command_offset, 2, 7);
    c.set_writable(pci::command_offset, 2, 0x140);
    c.add(pmbase, 4, "PMBASE", 1, 0xff80);
    c.add(acpi_cntl);
    c.add(gpiobase, 4, "GPIOBASE", 1, 0xff80);
    c.add(gpio_control, 1, "GC", 0, 0x10);
    for (unsigned n = 0; n < 8; ++n)
        c.add(pirq_register(n), 1, pirq_names[n], 0x80, 0x8f);
    c.add(serial_irq, 1, "SIRQ_CNTL", 0x10, 0xc3);
    c.add(ioapic_bdf, 2, "LPC_IBDF", 0x00f8, 0xffff);
    c.add(lpc_io_decode, 2, "LPC_IO_DEC", 0, 0x1377);
    c.add(lpc_enables, 2, "LPC_EN", 0, 0x3f0f);
    for (unsigned n = 0; n < 4; ++n)
        c.add(generic_decode + 4 * n, 4, decode_names[n], 0, 0x00fc'fffd);
    c.add(gen_pmcon_1);
    c.add(gen_pmcon_2, 1, "GEN_PMCON_2", 0, 0);
    c.add(gen_pmcon_3, 1, "GEN_PMCON_3", 0, 0xd9);
    c.add(gen_pmcon_lock, 1, "GEN_PMCON_LOCK", 0, 6);
    c.add(pm_initialization, 4, "PMIR", 0, 0x0030'0000);
    c.add(gpi_rout, 4, "GPI_ROUT", 0, 0xffff'ffff);
    c.add(fwh_select_1, 4, "FWH_SEL1", 0x0011'2233, 0xffff'fff0);
    c.add(fwh_select_2, 2, "FWH_SEL2", 0x4567, 0xffff);
    c.add(fwh_decode, 2, "FWH_DEC_EN1", 0xffcf, 0x7fcf);
    c.add(bios_cntl, 1, "BIOS_CNTL", 0, 0x1f);
    c.add(rcba);
}

void LpcPci::declare_rcrb() {
    rcrb_.missing = 0;
    for (unsigned n = 0; n < 7; ++n)
        rcrb_.add({d31ip + 4u * n, 4, 0, "DxxIP", "interrupt pins"}, 0xffff'ffff);
    for (const RouteRegister& r : route_registers)
        rcrb_.add({r.offset, 2, route_reset, r.name, "interrupt route"}, 0x7777,
                  [this, &r](u64, u64) { set_route(r, rcrb_.value(r.offset)); });
    rcrb_.add({oic, 1, 1, "OIC", "other interrupt control: the I/O APIC is on"}, 0);
    rcrb_.add({rtc_configuration, 4, 4, "RC", "RTC configuration"}, 0x1c);
    rcrb_.add({hptc, 4, 0x80, "HPTC", "HPET configuration: on, at FED00000h"}, 0);
    rcrb_.add({gcs, 4, 0x20, "GCS", "general control and status"}, 0xc67);
    rcrb_.add({buc, 1, 0, "BUC", "backed up control"}, 0);
    rcrb_.add({fd, 4, 0, "FD", "function disable"}, 0);
}

void LpcPci::set_up_without_firmware(u16 base) {
    config_write(pmbase, 4, base);
    config_write(acpi_cntl_offset, 1, static_cast<u32>(acpi_cntl.enable.mask()));
    for (unsigned n = 0; n < 8; ++n)
        config_write(pirq_register(n), 1, n % 4 < 2 ? 10 : 11);
    config_write(rcba_offset, 4, 0xfed1'c001);
}

std::array<u8, 8> LpcPci::irq_of_pirq() const {
    std::array<u8, 8> irqs{};
    for (unsigned n = 0; n < 8; ++n) {
        const u32 value = config().get(pirq_register(n), 1);
        const u64 irq = pirq_rout.irq(value);
        irqs[n] = pirq_rout.disable(value) || !(routable >> irq & 1) ? u8{255} : static_cast<u8>(irq);
    }
    return irqs;
}

u8 LpcPci::sci() const {
    return sci_of[acpi_cntl.sci_select(config().get(acpi_cntl))];
}

u16 LpcPci::pm_base() const {
    return static_cast<u16>(config().get(pmbase, 4) & 0xff80);
}

void LpcPci::pirq(unsigned n, bool level) {
    lines_.io_apic[n].set(level);
    update_isa();
}

void LpcPci::update_isa() {
    const std::array<u8, 8> irqs = irq_of_pirq();
    u16 now = 0;
    for (unsigned n = 0; n < 8; ++n)
        if (irqs[n] < 16 && root_.pirq_level(n))
            now |= static_cast<u16>(1 << irqs[n]);
    const u16 changed = now ^ isa_levels_;
    isa_levels_ = now;
    for (unsigned irq = 0; irq < 16; ++irq)
        if (changed >> irq & 1)
            lines_.isa[irq].set(now >> irq & 1);
}

void LpcPci::tell_pm() {
    if (pm_base_)
        pm_base_(pm_base(), acpi_cntl.enable(config().get(acpi_cntl)) && pm_base());
    if (sci_)
        sci_(sci());
}

void LpcPci::set_route(const RouteRegister& which, u64 value) {
    pci::RootComplex::Route route{};
    for (unsigned pin = 0; pin < 4; ++pin)
        route[pin] = static_cast<u8>(value >> (4 * pin) & 7);
    root_.set_route(which.device, route);
}

void LpcPci::remap() {
    Function::remap();
    const u32 value = config().get(rcba);
    if (rcba.enable(value))
        platform().memory.map(rcrb_region_, value & static_cast<u32>(rcba.base.mask()));
    else
        platform().memory.unmap(rcrb_region_);
}

void LpcPci::bar_access(unsigned bar, Access& a) {
    if (bar != rcrb_index)
        return Function::bar_access(bar, a);
    if (a.write)
        rcrb_.write(a.offset, a.size, a.value, glass());
    else
        a.value = rcrb_.read(a.offset, a.size, glass());
}

void LpcPci::config_written(unsigned offset, unsigned size) {
    const auto touches = [&](unsigned from, unsigned n) { return offset < from + n && from < offset + size; };
    if (touches(pmbase, 5))
        tell_pm();
    if (touches(pirq_a, 4) || touches(pirq_e, 4))
        update_isa();
    if (touches(rcba_offset, 4))
        remap();
    if (touches(gpio_control, 1) && config().get(gpio_control, 1) & 0x10)
        glass().odd(Topic::chipset, "lpc.gpio-not-modelled");
    if (touches(gen_pmcon_1_offset, 2) && gen_pmcon_1.smi_lock(config().get(gen_pmcon_1)))
        config().set_writable(gen_pmcon_1_offset, 2, 0x0487);
}

void LpcPci::device_reset(Reset) {
    config().set_writable(gen_pmcon_1_offset, 2, 0x0497);
    rcrb_.reset();
    for (const RouteRegister& r : route_registers)
        set_route(r, route_reset);
    update_isa();
    tell_pm();
}

void LpcPci::device_state(Visitor& v) {
    v.field("rcrb", rcrb_);
    v.field("isa levels", isa_levels_);
    if (v.loading()) {
        const bool locked = gen_pmcon_1.smi_lock(config().get(gen_pmcon_1));
        config().set_writable(gen_pmcon_1_offset, 2, locked ? 0x0487 : 0x0497);
        tell_pm();
    }
}

} // namespace vitrine
