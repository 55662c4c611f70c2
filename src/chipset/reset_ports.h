// SPDX-License-Identifier: Apache-2.0
// Ports by which software resets the machine or a processor: reset control CF9h and system control 92h; and the POST
// code port 80h. ICH9 datasheet, "Reset Control Register", "INIT Register".
#pragma once

#include "base/device.h"
#include "glass/glass.h"
#include "memory/bus.h"

#include <array>
#include <functional>

namespace vitrine {

/// Who is told when software asks for a reset or moves the A20 gate.
struct ResetActions {
    std::function<void(Reset kind)> reset{}; ///< Reset::init is INIT# of all processors
    std::function<void(bool open)> a20{};
};

class ResetPorts : public Device {
public:
    ResetPorts(Bus& ports, Glass& glass, ResetActions actions);

    /// The keyboard controller moved its own A20 output; either opens the gate.
    void keyboard_a20(bool open);

    u8 post_code() const { return post_code_; }

    std::string_view name() const override { return "reset-ports"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    void ask(Reset kind);
    void update_a20();

    Glass& glass_;
    ResetActions actions_;
    u8 control_ = 0; ///< CF9h
    u8 fast_ = 0x02; ///< 92h: bit 1 opens A20, bit 0 is INIT
    u8 post_code_ = 0;
    bool keyboard_a20_ = true;
    bool a20_ = true;
    std::array<Region, 3> regions_;
};

} // namespace vitrine
