// SPDX-License-Identifier: Apache-2.0
// The DSDT: the host bridge with its windows and interrupt routing, root ports, ISA devices, processors, sleep states.
#include "firmware/acpi.h"
#include "firmware/resources.h"

#include "base/error.h"

#include <fmt/format.h>

namespace vitrine::firmware {

namespace {

using namespace aml;

constexpr u8 first_pirq_gsi = 16, pirqs = 8;
constexpr u16 pirq_irqs = 1 << 5 | 1 << 10 | 1 << 11;

std::string link_name(unsigned pirq) {
    return fmt::format("LNK{}", static_cast<char>('A' + pirq));
}

std::string pirq_register(unsigned pirq) {
    return fmt::format("PRQ{}", static_cast<char>('A' + pirq));
}

bool has_links(const Board& board) {
    return board.pirq_routing && board.isa_bridge;
}

/// What control of PCI Express the OS may take: hot-plug, PME, AER, the capability structure, LTR; not SHPC, which is
/// not there.
Code osc() {
    constexpr u64 grantable = 0x3d, unrecognized_uuid = 4, unrecognized_revision = 8, masked = 0x10;
    const Code cdw1 = path("CDW1"), cdw3 = path("CDW3"), wanted = local(0);
    const Code pci_host_bridge = uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766");
    return method("_OSC", 4, Serialized::yes,
                  create_dword_field(arg(3), 0, "CDW1") +
                      if_(l_equal(arg(0), pci_host_bridge),
                          create_dword_field(arg(3), 8, "CDW3") + and_(cdw3, integer(grantable), wanted) +
                              if_(l_not(l_equal(arg(1), integer(1))), or_(cdw1, integer(unrecognized_revision), cdw1)) +
                              if_(l_not(l_equal(cdw3, wanted)), or_(cdw1, integer(masked), cdw1)) +
                              store(wanted, cdw3)) +
                      else_(or_(cdw1, integer(unrecognized_uuid), cdw1)) + return_(arg(3)));
}

Code route(unsigned device, unsigned pin, u8 gsi, bool through_link) {
    if (through_link)
        VERIFY(gsi >= first_pirq_gsi && gsi < first_pirq_gsi + pirqs);
    const Code source = through_link ? path("\\_SB." + link_name(gsi - first_pirq_gsi)) : integer(0);
    return package({integer(device << 16 | 0xffffull), integer(pin), source, integer(through_link ? 0 : gsi)});
}

/// _PRT for `devices` devices: as GSIs in APIC mode, as link devices in PIC mode.
template <class Gsi>
Code routing(const Board& board, unsigned devices, Gsi gsi) {
    const auto table = [&](bool through_links) {
        std::vector<Code> rows;
        for (unsigned device = 0; device < devices; ++device)
            for (unsigned pin = 0; pin < 4; ++pin)
                rows.push_back(route(device, pin, gsi(device, pin), through_links));
        return package(rows);
    };
    if (!has_links(board))
        return name("_PRT", table(false));
    return name("PRTA", table(false)) + name("PRTP", table(true)) +
           method("_PRT", 0, Serialized::no, if_(path("\\PICM"), return_(path("PRTA"))) + return_(path("PRTP")));
}

Code root_port(const Board& board, const PciFunction& port) {
    // A slot's INTx arrive at the port swizzled by the device number, which is 0 on a link.
    return device(port.name,
                  name("_ADR", integer(port.device << 16 | port.function)) +
                      routing(board, 1, [&](unsigned, unsigned pin) { return board.intx_gsi[port.device][pin]; }));
}

/// A device with fixed resources that needs no driver's help.
Code fixed(std::string_view at, std::string_view hid, unsigned uid, const Resources& resources) {
    return device(at, name("_HID", eisa_id(hid)) + name("_UID", integer(uid)) + name("_CRS", resources.code()));
}

Code isa_devices(const Board& board) {
    Code all = fixed("PIC", "PNP0000", 0, Resources().io(0x20, 2).io(0xa0, 2).io(0x4d0, 2).irq(2)) +
               fixed("TIMR", "PNP0100", 0, Resources().io(0x40, 4).irq(0)) +
               fixed("SPKR", "PNP0800", 0, Resources().io(0x61, 1));
    if (board.rtc)
        all += fixed("RTC", "PNP0B00", 0, Resources().io(0x70, 2).irq(8));
    if (board.keyboard_controller)
        all += fixed("KBD", "PNP0303", 0, Resources().io(0x60, 1).io(0x64, 1).irq(1));
    for (unsigned i = 0; i < board.serial.size(); ++i)
        all += fixed(fmt::format("COM{}", i + 1), "PNP0501", i + 1,
                     Resources().io(board.serial[i].port, 8).irq(board.serial[i].irq));
    return all;
}

/// The registers that route PIRQA to PIRQH to the 8259s.
Code pirq_registers() {
    return operation_region("PIRQ", RegionSpace::pci_config, 0x60, 0x0c) +
           byte_field("PIRQ", {"PRQA", "PRQB", "PRQC", "PRQD", "", "", "", "", "PRQE", "PRQF", "PRQG", "PRQH"});
}

Code isa_bridge(const Board& board) {
    if (!board.isa_bridge)
        return isa_devices(board);
    const PciFunction& b = *board.isa_bridge;
    return device(b.name, name("_ADR", integer(b.device << 16 | b.function)) +
                              (has_links(board) ? pirq_registers() : Code()) + isa_devices(board));
}

/// An interrupt link device: bit 7 of its register switches it off, bits 3:0 are the 8259 input.
Code link(const Board& board, unsigned pirq) {
    const Code reg = path("\\_SB.PCI0." + board.isa_bridge->name + "." + pirq_register(pirq));
    const Code off = integer(0x80), word = path("IRQW");
    return device(link_name(pirq),
                  name("_HID", eisa_id("PNP0C0F")) + name("_UID", integer(pirq)) +
                      name("_PRS", Resources().irqs_level_low_shared(pirq_irqs).code()) +
                      name("BUF", Resources().irqs_level_low_shared(0).code()) +
                      method("_STA", 0, Serialized::no,
                             if_(and_(reg, off, nowhere()), return_(integer(0x9))) + return_(integer(0xb))) +
                      method("_DIS", 0, Serialized::no, or_(reg, off, reg)) +
                      method("_CRS", 0, Serialized::yes,
                             create_word_field(path("BUF"), 1, "IRQW") + store(integer(0), word) +
                                 if_(l_not(and_(reg, off, nowhere())),
                                     shift_left(integer(1), and_(reg, integer(0xf), nowhere()), word)) +
                                 return_(path("BUF"))) +
                      method("_SRS", 1, Serialized::yes,
                             create_word_field(arg(0), 1, "IRQW") + find_set_right_bit(word, local(0)) +
                                 subtract(local(0), integer(1), reg)));
}

Code host_bridge(const Board& board) {
    Resources windows;
    windows.bus_numbers(0, static_cast<u16>((board.ecam.size >> 20) - 1));
    windows.io(0xcf8, 8).io_window(0, 0xcf7).io_window(0xd00, 0xffff);
    windows.memory_window_32(static_cast<u32>(board.mmio32.base), static_cast<u32>(board.mmio32.end() - 1));
    if (board.mmio64.size)
        windows.memory_window_64(board.mmio64.base, board.mmio64.end() - 1);
    Code body = name("_HID", eisa_id("PNP0A08")) + name("_CID", eisa_id("PNP0A03")) + name("_UID", integer(0)) +
                name("_SEG", integer(0)) + name("_BBN", integer(0)) + name("_CCA", integer(1)) +
                name("_CRS", windows.code()) + osc() +
                routing(board, 32, [&](unsigned device, unsigned pin) { return board.intx_gsi[device][pin]; });
    for (const PciFunction& f : board.pci_functions) {
        if (f.root_port)
            body += root_port(board, f);
        else
            body += device(f.name, name("_ADR", integer(f.device << 16 | f.function)));
    }
    return device("PCI0", body + isa_bridge(board));
}

/// Addresses that belong to the board and to no device that a driver is found for.
Code motherboard(const Board& board) {
    Resources r;
    if (board.ecam.size)
        r.memory32_fixed(static_cast<u32>(board.ecam.base), static_cast<u32>(board.ecam.size), true);
    for (const NamedWindow& w : board.fixed_mmio)
        if (w.window.end() <= 1ull << 32)
            r.memory32_fixed(static_cast<u32>(w.window.base), static_cast<u32>(w.window.size), true);
    r.io(board.pm_base, 0x80);
    for (const NamedWindow& w : board.fixed_io)
        r.io(static_cast<u16>(w.window.base), static_cast<u8>(w.window.size));
    return fixed("MBRD", "PNP0C02", 0, r);
}

Code processors(const Board& board) {
    Code all;
    for (std::size_t i = 0; i < board.apic_ids.size(); ++i)
        all += device(fmt::format("C{:03X}", i), name("_HID", string("ACPI0007")) + name("_UID", integer(i)));
    return all;
}

} // namespace

Bytes dsdt(const Board& board) {
    Code system = host_bridge(board) + motherboard(board);
    if (has_links(board))
        for (unsigned pirq = 0; pirq < pirqs; ++pirq)
            system += link(board, pirq);
    if (board.hpet_address)
        system += fixed("HPET", "PNP0103", 0, Resources().memory32_fixed(*board.hpet_address, 0x400, false));
    if (board.fw_cfg)
        system += device("FWCF", name("_HID", string("QEMU0002")) + name("_STA", integer(0xb)) +
                                     name("_CRS", Resources().io(0x510, 0x0c).code()));
    if (board.pvpanic_port)
        system += device("PEVT", name("_HID", string("QEMU0001")) + name("_STA", integer(0xf)) +
                                     name("_CRS", Resources().io(*board.pvpanic_port, 1).code()));
    system += processors(board);

    Code all;
    if (has_links(board))
        all += name("PICM", integer(0)) + method("_PIC", 1, Serialized::no, store(arg(0), path("PICM")));
    all += scope("\\_SB", system);
    all += name("\\_S5", package({integer(board.s5_sleep_type), integer(0), integer(0), integer(0)}));

    Bytes table = acpi_header("DSDT", 2);
    table.append(all.bytes());
    return finish(std::move(table));
}

} // namespace vitrine::firmware
