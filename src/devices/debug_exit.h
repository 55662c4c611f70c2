// SPDX-License-Identifier: Apache-2.0
// A port whose write ends the run with a status, and a port that prints: what test programs use (isa-debug-exit,
// debugcon).
#pragma once

#include "base/device.h"
#include "base/ports.h"
#include "memory/bus.h"

#include <functional>

namespace vitrine {

/// Calls `exit` with what was written; the machine makes (value << 1) | 1 of it.
class DebugExit : public Device {
public:
    DebugExit(Bus& ports, u16 base, u16 size, std::function<void(u32 value)> exit);

    std::string_view name() const override { return "isa-debug-exit"; }

    void reset(Reset) override {}

    void access(Region& region, Access& access) override;

    void state(Visitor&) override {}

private:
    std::function<void(u32)> exit_;
    Region region_;
};

/// Each byte written goes out; reading gives E9h, by which software knows that it is there.
class DebugConsole : public Device {
public:
    DebugConsole(Bus& ports, ByteOutput& output, u16 port = 0x402);

    std::string_view name() const override { return "debugcon"; }

    void reset(Reset) override {}

    void access(Region& region, Access& access) override;

    void state(Visitor&) override {}

private:
    ByteOutput& output_;
    Region region_;
};

} // namespace vitrine
