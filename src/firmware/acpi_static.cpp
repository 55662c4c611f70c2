// SPDX-License-Identifier: Apache-2.0
// The ACPI tables without code: FADT, FACS, MADT, MCFG, HPET, SPCR, WAET (ACPI 6.4, chapter 5, and the tables' own
// documents).
#include "firmware/acpi.h"

#include "base/error.h"
#include "words/bits.h"

namespace vitrine::firmware {

namespace {

enum AddressSpace : u8 { system_memory = 0, system_io = 1 };

/// Generic Address Structure.
void add_gas(Bytes& b, AddressSpace space, u8 width_bits, u8 access_size, u64 address) {
    b.byte(space).byte(width_bits).byte(0).byte(access_size).qword(address);
}

/// The same for a block of I/O ports; absent where the port is 0.
void add_io_gas(Bytes& b, u16 port, u8 bytes, u8 access_size) {
    if (port)
        add_gas(b, system_io, static_cast<u8>(bytes * 8), access_size, port);
    else
        b.zeros(12);
}

namespace fadt_flag {
inline constexpr u32 wbinvd = bit(0), proc_c1 = bit(2), slp_button = bit(5), fix_rtc = bit(6), tmr_val_ext = bit(8),
                     reset_reg_sup = bit(10);
}

namespace boot_arch {
inline constexpr u16 legacy_devices = bit(0), has_8042 = bit(1), vga_not_present = bit(2), no_cmos_rtc = bit(5);
}

constexpr u8 legacy_replacement_gsi = 2; ///< where the 8254 arrives at the I/O APIC
constexpr u16 edge_conforming = 0, level_active_high = 0xd;

} // namespace

Bytes fadt(const Board& board) {
    const u16 events = board.pm_base, control = static_cast<u16>(events + 4), timer = static_cast<u16>(events + 8);
    const u8 gpe0_length = board.gpe0_block ? board.gpe0_length : u8{0};
    Bytes b = acpi_header("FACP", 6);
    b.dword(0).dword(0); // FIRMWARE_CTRL, DSDT
    b.byte(0).byte(4);   // reserved; preferred profile: enterprise server
    b.word(board.sci_irq).dword(board.smi_command);
    b.byte(board.smi_command ? board.acpi_enable : 0).byte(board.smi_command ? board.acpi_disable : 0);
    b.byte(0).byte(0);                                                      // S4BIOS_REQ, PSTATE_CNT
    b.dword(events).dword(0).dword(control).dword(0).dword(0).dword(timer); // PM1a, PM1b, PM2 and timer blocks
    b.dword(board.gpe0_block).dword(0);
    b.byte(4).byte(2).byte(0).byte(4); // PM1 event, PM1 control, PM2, timer lengths
    b.byte(gpe0_length).byte(0).byte(0).byte(0);
    b.word(0xfff).word(0xffff);                   // C2 and C3 latencies: too long, so there are none
    b.word(0).word(0).byte(0).byte(0);            // flush size and stride; duty cycle
    b.byte(0).byte(0).byte(board.rtc ? 0x32 : 0); // day and month alarm; century
    u16 arch = boot_arch::legacy_devices | boot_arch::vga_not_present;
    arch |= board.keyboard_controller ? boot_arch::has_8042 : 0;
    arch |= board.rtc ? 0 : boot_arch::no_cmos_rtc;
    b.word(arch).byte(0);
    b.dword(fadt_flag::wbinvd | fadt_flag::proc_c1 | fadt_flag::slp_button | fadt_flag::fix_rtc |
            fadt_flag::tmr_val_ext | fadt_flag::reset_reg_sup);
    add_gas(b, system_io, 8, 1, board.reset_port);
    b.byte(board.reset_value).word(0).byte(0); // ARM flags; minor version
    b.qword(0).qword(0);                       // X_FIRMWARE_CTRL, X_DSDT
    add_io_gas(b, events, 4, 2);
    add_io_gas(b, 0, 0, 0);
    add_io_gas(b, control, 2, 2);
    add_io_gas(b, 0, 0, 0);
    add_io_gas(b, 0, 0, 0);
    add_io_gas(b, timer, 4, 3);
    add_io_gas(b, board.gpe0_block, gpe0_length, 1);
    add_io_gas(b, 0, 0, 0);
    b.zeros(32); // sleep control and status; hypervisor vendor
    VERIFY(b.size() == 276);
    return finish(std::move(b));
}

Bytes facs_table() {
    Bytes b;
    b.text("FACS").dword(64).dword(0).dword(0).dword(0).dword(0).qword(0).byte(2).zeros(31);
    VERIFY(b.size() == 64);
    return b;
}

Bytes madt(const Board& board) {
    constexpr u32 pcat_compat = 1, enabled = 1, all_processors_x2 = 0xffff'ffff;
    constexpr u8 all_processors = 0xff, lint1 = 1;
    Bytes b = acpi_header("APIC", 4);
    b.dword(board.local_apic_address).dword(pcat_compat);
    bool any_x2apic = false;
    for (std::size_t i = 0; i < board.apic_ids.size(); ++i) {
        const u32 id = board.apic_ids[i];
        if (id < 255 && i < 255) {
            b.byte(0).byte(8).byte(i).byte(id).dword(enabled);
        } else {
            b.byte(9).byte(16).word(0).dword(id).dword(enabled).dword(i);
            any_x2apic = true;
        }
    }
    b.byte(1).byte(12).byte(board.io_apic_id).byte(0).dword(board.io_apic_address).dword(board.io_apic_gsi_base);
    b.byte(2).byte(10).byte(0).byte(0).dword(legacy_replacement_gsi).word(edge_conforming);
    b.byte(2).byte(10).byte(0).byte(board.sci_irq).dword(board.sci_irq).word(level_active_high);
    b.byte(4).byte(6).byte(all_processors).word(0).byte(lint1);
    if (any_x2apic)
        b.byte(10).byte(12).word(0).dword(all_processors_x2).byte(lint1).zeros(3);
    return finish(std::move(b));
}

Bytes mcfg(const Board& board) {
    Bytes b = acpi_header("MCFG", 1);
    b.qword(0).qword(board.ecam.base).word(0).byte(0).byte((board.ecam.size >> 20) - 1).dword(0);
    return finish(std::move(b));
}

Bytes hpet_table(const Board& board) {
    constexpr u16 minimum_tick = 128;
    Bytes b = acpi_header("HPET", 1);
    b.dword(board.hpet_id);
    add_gas(b, system_memory, 64, 0, *board.hpet_address);
    b.byte(0).word(minimum_tick).byte(0);
    return finish(std::move(b));
}

Bytes spcr(const Board& board) {
    constexpr u8 uart_16550 = 0, by_8259 = bit(0), by_io_apic = bit(1), baud_115200 = 7, one_stop_bit = 1, vt_utf8 = 2;
    const SerialPort& serial = board.serial.front();
    Bytes b = acpi_header("SPCR", 2);
    b.byte(uart_16550).zeros(3);
    add_gas(b, system_io, 8, 1, serial.port);
    b.byte(by_8259 | by_io_apic).byte(serial.irq).dword(serial.irq);
    b.byte(baud_115200).byte(0).byte(one_stop_bit).byte(0).byte(vt_utf8).byte(0);
    b.word(0xffff).word(0xffff).byte(0).byte(0).byte(0).dword(0).byte(0).dword(0); // no PCI device
    VERIFY(b.size() == 80);
    return finish(std::move(b));
}

Bytes waet() {
    constexpr u32 rtc_good = bit(0), pm_timer_good = bit(1);
    return finish(std::move(acpi_header("WAET", 1).dword(rtc_good | pm_timer_good)));
}

} // namespace vitrine::firmware
