// SPDX-License-Identifier: Apache-2.0
// The panic port: reading tells which events it knows, writing reports one.
#include "devices/pvpanic.h"

namespace vitrine {

Pvpanic::Pvpanic(Bus& ports, u16 port, Glass& glass, std::function<void()> panic)
    : glass_(glass), panic_(std::move(panic)),
      region_{.device = this, .name = "pvpanic", .size = 1, .max_size = 1} {
    ports.map(region_, port);
}

void Pvpanic::access(Region&, Access& a) {
    if (!a.write) {
        a.value = panicked | crash_loaded;
        return;
    }
    if (a.value & ~u64{panicked | crash_loaded})
        glass_.odd(Topic::devices, "pvpanic.unknown-event", {{"value", a.value}});
    if (a.value & panicked)
        panic_();
    else if (a.value & crash_loaded)
        glass_.tell(Topic::devices, "pvpanic.crash-loaded");
}

} // namespace vitrine
