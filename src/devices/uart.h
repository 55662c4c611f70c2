// SPDX-License-Identifier: Apache-2.0
// A 16550A serial port. National Semiconductor PC16550D datasheet.
// Bytes leave at once; what arrives fills the FIFO as fast as the guest empties it. Interrupts, time-out included, are
// exact.
#pragma once

#include "base/clock.h"
#include "base/device.h"
#include "base/ports.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <deque>

namespace vitrine {

class Uart : public Device, public ByteSink {
public:
    static constexpr u64 clock_rate = 1'843'200; ///< of the crystal, 16 times the highest baud rate

    /// Eight ports from `base`. As on a PC, OUT2 lets the interrupt through.
    Uart(Clock& clock, Bus& ports, std::string_view name, u16 base, Line irq, ByteOutput& output);

    std::size_t room() const override;
    void receive(std::span<const u8> data) override;

    std::string_view name() const override { return name_; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    static constexpr std::size_t fifo_size = 16;

    bool divisor_access() const { return lcr_ & 0x80; }

    bool loopback() const { return mcr_ & 0x10; }

    bool fifos() const { return fcr_ & 0x01; }

    std::size_t depth() const { return fifos() ? fifo_size : 1; }

    std::size_t trigger_level() const;
    u64 character_time() const;
    u8 read(unsigned reg);
    void write(unsigned reg, u8 value);
    u8 read_receiver();
    u8 read_line_status();
    u8 read_modem_status();
    u8 modem_lines() const;
    void transmit(u8 value);
    void take(u8 value); ///< a character arrives at the receiver
    void write_fifo_control(u8 value);
    void modem_changed(u8 before);
    u8 interrupt_identity() const;
    void restart_timeout();
    void update();

    Clock& clock_;
    std::string name_;
    Line irq_;
    ByteOutput& output_;
    u8 ier_ = 0, lcr_ = 0, mcr_ = 0, fcr_ = 0, scratch_ = 0;
    u8 msr_delta_ = 0;
    u16 divisor_ = 12; ///< 9600 baud
    bool overrun_ = false, break_ = false;
    bool transmitter_empty_ = false; ///< THRE interrupt pending
    bool timeout_pending_ = false;
    bool irq_level_ = false;
    std::deque<u8> received_;
    Timer timeout_;
    Region region_;
};

} // namespace vitrine
