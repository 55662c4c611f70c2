// SPDX-License-Identifier: Apache-2.0
// The exit port and the console port.
#include "devices/debug_exit.h"

namespace vitrine {

DebugExit::DebugExit(Bus& ports, u16 base, u16 size, std::function<void(u32)> exit)
    : exit_(std::move(exit)), region_{.device = this,
                                      .name = "isa-debug-exit",
                                      .size = size,
                                      .max_size = 4,
                                      .unaligned = true} {
    ports.map(region_, base);
}

void DebugExit::access(Region&, Access& a) {
    if (a.write && exit_)
        exit_(static_cast<u32>(a.value));
}

DebugConsole::DebugConsole(Bus& ports, ByteOutput& output, u16 port)
    : output_(output), region_{.device = this, .name = "debugcon", .size = 1, .max_size = 1} {
    ports.map(region_, port);
}

void DebugConsole::access(Region&, Access& a) {
    if (!a.write) {
        a.value = 0xe9;
        return;
    }
    const auto byte = static_cast<u8>(a.value);
    output_.put({&byte, 1});
}

} // namespace vitrine
