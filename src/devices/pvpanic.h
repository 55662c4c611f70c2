// SPDX-License-Identifier: Apache-2.0
// The port by which a guest tells that it panicked (QEMU's pvpanic, "pvpanic device" in its docs/specs; ACPI id QEMU0001).
#pragma once

#include "base/device.h"
#include "glass/glass.h"
#include "memory/bus.h"

#include <functional>

namespace vitrine {

class Pvpanic : public Device {
public:
    static constexpr u16 standard_port = 0x505;

    enum : u8 {
        panicked = 1,     ///< the guest is lost
        crash_loaded = 2, ///< it panicked and will save a dump by itself; the run goes on
    };

    Pvpanic(Bus& ports, u16 port, Glass& glass, std::function<void()> panic);

    std::string_view name() const override { return "pvpanic"; }

    void reset(Reset) override {}

    void access(Region& region, Access& access) override;

    void state(Visitor&) override {}

private:
    Glass& glass_;
    std::function<void()> panic_;
    Region region_;
};

} // namespace vitrine
