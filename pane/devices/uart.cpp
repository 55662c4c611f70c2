// SPDX-License-Identifier: Apache-2.0
// The 16550's registers. The transmitter is always empty: what is written has left before the next instruction.
#include "pane/devices/uart.h"

#include "pane/console/console.h"
#include "pane/guest/guest.h"

namespace vitrine::pane {

namespace {

enum Port : u16 { data = 0, interrupt_enable = 1, identification = 2, line_control = 3, modem_control = 4, line_status = 5, modem_status = 6, scratch = 7 };

constexpr u8 divisor_access = 0x80, loopback = 0x10;
constexpr u8 receive_interrupt = 1, transmit_interrupt = 2, line_interrupt = 4;
constexpr unsigned irq = 4;

} // namespace

/// Interrupt identification, the most urgent cause first; 1: none.
u8 Uart::pending() const {
    if ((enabled_ & line_interrupt) && overrun_)
        return 6;
    if ((enabled_ & receive_interrupt) && count_)
        return 4;
    if ((enabled_ & transmit_interrupt) && transmitter_interrupt_)
        return 2;
    return 1;
}

void Uart::update(Guest& guest) { guest.set_irq(irq, pending() != 1); }

void Uart::receive(Guest& guest, u8 c) {
    if (count_ == fifo_size) {
        overrun_ = true;
    } else {
        fifo_[(head_ + count_++) % fifo_size] = c;
        ++received;
    }
    update(guest);
}

u8 Uart::read(Guest& guest, u16 port) {
    switch (port & 7) {
    case data: {
        if (line_control_ & divisor_access)
            return divisor_[0];
        if (!count_)
            return 0;
        const u8 c = fifo_[head_];
        head_ = (head_ + 1) % fifo_size;
        --count_;
        update(guest);
        return c;
    }
    case interrupt_enable: return line_control_ & divisor_access ? divisor_[1] : enabled_;
    case identification: {
        const u8 value = pending();
        if (value == 2) { // reading is the answer to this one
            transmitter_interrupt_ = false;
            update(guest);
        }
        return value | (fifo_control_ & 1 ? 0xc0 : 0);
    }
    case line_control: return line_control_;
    case modem_control: return modem_control_;
    case line_status: {
        const u8 value = static_cast<u8>((count_ ? 1 : 0) | (overrun_ ? 2 : 0) | 0x60);
        overrun_ = false;
        update(guest);
        return value;
    }
    case modem_status: // in loopback the outputs come back as inputs
        if (modem_control_ & loopback)
            return static_cast<u8>((modem_control_ & 1) << 5 | (modem_control_ & 2) << 3 | (modem_control_ & 12) << 4);
        return 0xb0; // carrier, data set ready, clear to send
    default: return scratch_;
    }
}

void Uart::write(Guest& guest, u16 port, u8 value) {
    switch (port & 7) {
    case data:
        if (line_control_ & divisor_access) {
            divisor_[0] = value;
            return;
        }
        if (modem_control_ & loopback) {
            receive(guest, value);
        } else {
            ++sent;
            console_write(guest, static_cast<char>(value));
        }
        transmitter_interrupt_ = true;
        break;
    case interrupt_enable:
        if (line_control_ & divisor_access) {
            divisor_[1] = value;
            return;
        }
        if (!(enabled_ & transmit_interrupt) && (value & transmit_interrupt))
            transmitter_interrupt_ = true;
        enabled_ = value & 15;
        break;
    case identification: // FIFO control
        fifo_control_ = value;
        if (value & 2)
            count_ = 0;
        break;
    case line_control: line_control_ = value; break;
    case modem_control: modem_control_ = value & 0x1f; break;
    case scratch: scratch_ = value; break;
    default: break;
    }
    // An interrupt that is raised anew must be a new edge for the 8259 and the I/O APIC.
    if ((port & 7) == data)
        guest.set_irq(irq, false);
    update(guest);
}

} // namespace vitrine::pane
