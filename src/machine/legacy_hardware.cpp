// SPDX-License-Identifier: Apache-2.0
// The port and register writes of a BIOS, in a BIOS's order.
#include "machine/legacy_hardware.h"

#include "firmware/legacy_interrupts.h"
#include "interrupts/spec/apic.h"
#include "machine/machine.h"

namespace vitrine::machine {

namespace {

struct PortWrite {
    u16 port;
    u8 value;
};

constexpr u8 initialise = 0x11, mode_8086 = 0x01;
constexpr u8 counter0_square_wave = 0x36;

// clang-format off
constexpr PortWrite port_writes[] = {
    {0x20, initialise}, {0x21, firmware::first_vector},  {0x21, 1 << 2}, {0x21, mode_8086},
    {0xa0, initialise}, {0xa1, firmware::second_vector}, {0xa1, 2},      {0xa1, mode_8086},
    {0x21, 0xfa}, {0xa1, 0xff}, // open: the timer and the second controller
    {0x43, counter0_square_wave}, {0x40, 0}, {0x40, 0},
};
// clang-format on

constexpr u32 spurious_enabled = 0x1ff, lvt_ext_int = 7 << 8, lvt_nmi = 4 << 8;

} // namespace

void set_up_legacy_hardware(Machine& machine) {
    const Requester boot_processor = Requester::from_cpu(0);
    for (const PortWrite& w : port_writes) {
        Access a{.offset = w.port, .size = 1, .write = true, .value = w.value, .requester = boot_processor};
        machine.space().ports().access(w.port, a);
    }
    const std::pair<u32, u32> registers[] = {{apic::spurious_vector, spurious_enabled}, {apic::lvt_lint0, lvt_ext_int}, {apic::lvt_lint1, lvt_nmi}};
    for (const auto& [offset, value] : registers) {
        Access a{.offset = offset, .size = 4, .write = true, .value = value, .requester = boot_processor};
        machine.interrupts().local_apic(0).access(a);
    }
}

} // namespace vitrine::machine
