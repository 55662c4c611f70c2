// SPDX-License-Identifier: Apache-2.0
// The table of ports. Where nothing answers, reads are all ones and writes go nowhere, as on a bus; both are counted.
#include "pane/vmx/ports.h"

#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

struct PortRow {
    u16 first, last;
    const char* name;
    u32 (*read)(Guest& g, u16 port, unsigned size);
    void (*write)(Guest& g, u16 port, unsigned size, u32 value);
};

u32 read_pic(Guest& g, u16 port, unsigned) { return g.pic.read(g, port); }

void write_pic(Guest& g, u16 port, unsigned, u32 value) { g.pic.write(g, port, static_cast<u8>(value)); }

void reset_control(Guest& g, u16, unsigned, u32 value) {
    if (value & 4)
        g.end(Ending::reset, "reset itself by port CF9h");
}

void keyboard_command(Guest& g, u16, unsigned, u32 value) {
    if ((value & 0xff) == 0xfe)
        g.end(Ending::reset, "reset itself by the keyboard controller");
}

u32 all_ones(Guest&, u16, unsigned) { return ~0u; }

void nowhere(Guest&, u16, unsigned, u32) {}

// clang-format off
constexpr PortRow rows[] = {
    {0x20,  0x21,  "8259 master", read_pic, write_pic},
    {0x40,  0x43,  "8254",        [](Guest& g, u16 port, unsigned) { return u32{g.pit.read(port)}; },
                                  [](Guest& g, u16 port, unsigned, u32 value) { g.pit.write(g, port, static_cast<u8>(value)); }},
    {0x61,  0x61,  "port 61h",    [](Guest& g, u16, unsigned) { return u32{g.pit.read_61()}; },
                                  [](Guest& g, u16, unsigned, u32 value) { g.pit.write_61(static_cast<u8>(value)); }},
    {0x64,  0x64,  "reset line",  all_ones, keyboard_command},
    {0x70,  0x71,  "RTC, CMOS",   [](Guest& g, u16 port, unsigned) { return u32{g.rtc.read(g, port)}; },
                                  [](Guest& g, u16 port, unsigned, u32 value) { g.rtc.write(port, static_cast<u8>(value)); }},
    {0x80,  0x80,  "POST code",   all_ones, nowhere},
    {0xa0,  0xa1,  "8259 slave",  read_pic, write_pic},
    {0xed,  0xed,  "I/O delay",   all_ones, nowhere},
    {0x3f8, 0x3ff, "16550 UART",  [](Guest& g, u16 port, unsigned) { return u32{g.uart.read(g, port)}; },
                                  [](Guest& g, u16 port, unsigned, u32 value) { g.uart.write(g, port, static_cast<u8>(value)); }},
    {0x4d0, 0x4d1, "8259 ELCR",   read_pic, write_pic},
    {PowerManagement::base, PowerManagement::base + PowerManagement::size - 1, "ACPI PM",
                                  [](Guest& g, u16 port, unsigned) { return g.power.read(port); },
                                  [](Guest& g, u16 port, unsigned, u32 value) { g.power.write(g, port, value); }},
    {0xcf9, 0xcf9, "reset",       all_ones, reset_control},
    {0xcf8, 0xcff, "PCI",         [](Guest& g, u16 port, unsigned size) { return g.pci.read(g, port, size); },
                                  [](Guest& g, u16 port, unsigned size, u32 value) { g.pci.write(g, port, size, value); }},
};
// clang-format on

const PortRow* find(u16 port) {
    for (const PortRow& r : rows)
        if (r.first <= port && port <= r.last)
            return &r;
    return nullptr;
}

} // namespace

const char* device_at(u16 port) {
    const PortRow* r = find(port);
    return r ? r->name : nullptr;
}

void io_instruction(Vcpu& v, u64 qualification) {
    const unsigned size = (qualification & 7) + 1;
    const bool in = qualification >> 3 & 1, string = qualification >> 4 & 1;
    const auto port = static_cast<u16>(qualification >> 16);
    Guest& g = *v.guest;
    if (string)
        return g.end(Ending::crash, "INS or OUTS: Pane has no device that is used by string instructions");
    const PortRow* row = find(port);
    if (!row)
        ++g.statistics.foreign_ports;
    u64& rax = v.registers.rax;
    const u64 mask = low_mask(8 * size);
    if (in) {
        const u64 value = row ? row->read(g, port, size) : ~0ull;
        rax = size == 4 ? static_cast<u32>(value) : (rax & ~mask) | (value & mask);
    } else {
        ++g.port_writes[port];
        if (row)
            row->write(g, port, size, static_cast<u32>(rax & mask));
    }
    v.skip_instruction();
}

} // namespace vitrine::pane
