// SPDX-License-Identifier: Apache-2.0
// The physical 16550, polled for output; a lone line feed goes out as CR LF.
#include "pane/kernel/serial.h"

#include "pane/kernel/processor.h"

namespace vitrine::pane {

namespace {

constexpr u16 base = 0x3f8;
constexpr u16 data = base, interrupt_enable = base + 1, fifo_control = base + 2, line_control = base + 3,
              modem_control = base + 4, line_status = base + 5;
constexpr u8 data_ready = 1, transmitter_empty = 0x20;

void raw(char c) {
    while (!(in8(line_status) & transmitter_empty))
        relax();
    out8(data, static_cast<u8>(c));
}

} // namespace

void serial_start() {
    out8(interrupt_enable, 0);
    out8(line_control, 0x80);
    out8(data, 1); // 115200 baud
    out8(interrupt_enable, 0);
    out8(line_control, 3); // 8n1
    out8(fifo_control, 7);
    out8(modem_control, 0x0b); // OUT2 lets the interrupt through
}

void serial_put(char c) {
    if (c == '\n')
        raw('\r');
    raw(c);
}

int serial_get() { return in8(line_status) & data_ready ? in8(data) : -1; }

void serial_interrupts_on() { out8(interrupt_enable, 1); }

constinit const Out serial_out{[](void*, char c) { serial_put(c); }, nullptr};

} // namespace vitrine::pane
