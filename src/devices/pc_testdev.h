// SPDX-License-Identifier: Apache-2.0
// The test device of kvm-unit-tests: ports that remember, ports that pull interrupt lines, memory that is a device.
#pragma once

#include "base/device.h"
#include "glass/glass.h"
#include "interrupts/line.h"
#include "memory/bus.h"

#include <array>
#include <functional>
#include <vector>

namespace vitrine {

/// E0h to E3h and, by bytes only, E8h to EBh are one 32-bit register; a write of a page address to E4h drops what is
/// cached of the page, which is nothing here; 2000h + n sets line n, each byte of a wide write its own; 64 KiB at FF000000h keep what is written.
class PcTestdev : public Device {
public:
    static constexpr unsigned lines = 24;

    PcTestdev(Bus& ports, Bus& mmio, Glass& glass, std::function<Line(unsigned gsi)> gsi);

    std::string_view name() const override { return "pc-testdev"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    Glass& glass_;
    std::vector<Line> lines_;
    u32 data_ = 0;
    std::vector<u8> memory_;
    std::array<Region, 5> regions_;
};

} // namespace vitrine
