// SPDX-License-Identifier: Apache-2.0
// A guest's 16550 UART: its ttyS0, whose other end is the console multiplexer (National PC16550D data sheet).
#pragma once

#include "words/integers.h"

namespace vitrine::pane {

struct Guest;

class Uart {
public:
    u8 read(Guest& guest, u16 port);
    void write(Guest& guest, u16 port, u8 value);

    /// A character from the console; lost when the guest does not fetch what came before it.
    void receive(Guest& guest, u8 c);

    u64 sent = 0, received = 0;

private:
    u8 pending() const;
    void update(Guest& guest);

    static constexpr unsigned fifo_size = 64; ///< more than the chip's 16: a person types, or pastes
    u8 fifo_[fifo_size];
    unsigned head_ = 0, count_ = 0;
    u8 enabled_ = 0, line_control_ = 0, modem_control_ = 0, scratch_ = 0, divisor_[2]{1, 0}, fifo_control_ = 0;
    bool transmitter_interrupt_ = false, overrun_ = false;
};

} // namespace vitrine::pane
