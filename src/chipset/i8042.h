// SPDX-License-Identifier: Apache-2.0
// The keyboard controller at ports 60h and 64h, with a keyboard on its first port and no second port. IBM PS/2
// Technical Reference, "Keyboard and Auxiliary Device Controller". It answers at once.
#pragma once

#include "base/device.h"
#include "base/ports.h"
#include "chipset/keyboard.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>
#include <functional>

namespace vitrine {

class I8042 : public Device, public ByteSink {
public:
    struct Actions {
        std::function<void()> reset{};        ///< output port bit 0, or the pulse command
        std::function<void(bool open)> a20{}; ///< output port bit 1
    };

    I8042(Bus& ports, Glass& glass, Line irq1, Actions actions);

    /// Scan codes of set 2 from outside.
    std::size_t room() const override { return keyboard_.room(); }

    void receive(std::span<const u8> codes) override;

    std::string_view name() const override { return "i8042"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    void command(u8 value);
    void data(u8 value);
    void put(u8 value);
    void write_output_port(u8 value);
    void update(); ///< fills the buffer from the keyboard, drives the line
    u8 translated(u8 code);

    Glass& glass_;
    Line irq_;
    Actions actions_;
    Keyboard keyboard_;
    std::array<u8, 32> memory_{}; ///< byte 0 is the command byte
    u8 output_ = 0;               ///< the output buffer
    bool full_ = false;           ///< OBF
    bool last_was_command_ = false;
    bool system_flag_ = false;
    u8 expects_ = 0; ///< the command whose parameter comes next through port 60h
    u8 output_port_ = 0x03;
    bool breaking_ = false; ///< F0h seen: the next translated code is a break
    bool irq_level_ = false;
    std::array<Region, 2> regions_;
};

} // namespace vitrine
