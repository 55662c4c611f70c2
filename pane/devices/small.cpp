// SPDX-License-Identifier: Apache-2.0
// ACPI power management and PCI configuration: a few registers each.
#include "pane/devices/small.h"

#include "pane/guest/guest.h"
#include "pane/kernel/time.h"

namespace vitrine::pane {

u32 PowerManagement::read(u16 port) const {
    switch (port) {
    case event: return status_;
    case event + 2: return enable_;
    case control: return control_;
    case timer: return static_cast<u32>(scale(rdtsc(), 3'579'545, tsc_frequency()));
    default: return 0;
    }
}

void PowerManagement::write(Guest& guest, u16 port, u32 value) {
    constexpr u32 sleep_enable = 1 << 13;
    switch (port) {
    case event: status_ &= static_cast<u16>(~value); break;
    case event + 2: enable_ = static_cast<u16>(value); break;
    case control:
        control_ = static_cast<u16>((value & ~sleep_enable) | 1);
        if ((value & sleep_enable) && (value >> 10 & 7) == sleep_type_s5)
            guest.end(Ending::power_off, "powered off by ACPI");
        break;
    default: break;
    }
}

namespace {

// A host bridge without anything to configure: vendor and device of Intel's 440FX, which no driver wants.
constexpr u32 host_bridge[16] = {0x1237'8086, 0x0000'0000, 0x0600'0002, 0};

} // namespace

u32 PciConfiguration::read(const Guest& guest, u16 port, unsigned size) const {
    if (port < 0xcfc)
        return port == 0xcf8 && size == 4 ? address_ : ~0u;
    const unsigned offset = (address_ & 0xfc) + (port & 3);
    if (!(address_ >> 31) || (address_ & 0x7fff'0700) || (port & 3) + size > 4)
        return ~0u; // bus 0 and functions 0 are all there is
    const unsigned slot = address_ >> 11 & 31;
    if (slot == 0)
        return (offset < 64 ? host_bridge[offset / 4] : 0) >> (offset % 4 * 8);
    return slot <= guest.assigned_count ? guest.assigned[slot - 1]->config_read(offset, size) : ~0u;
}

void PciConfiguration::write(Guest& guest, u16 port, unsigned size, u32 value) {
    if (port < 0xcfc) {
        if (port == 0xcf8 && size == 4)
            address_ = value & 0x80ff'fffc;
        return;
    }
    const unsigned slot = address_ >> 11 & 31;
    if (address_ >> 31 && !(address_ & 0x7fff'0700) && (port & 3) + size <= 4 && slot && slot <= guest.assigned_count)
        guest.assigned[slot - 1]->config_write((address_ & 0xfc) + (port & 3), size, value);
}

} // namespace vitrine::pane
