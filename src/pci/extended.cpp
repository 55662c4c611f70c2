// SPDX-License-Identifier: Apache-2.0
// Extended capabilities: their registers.
#include "pci/extended.h"

#include "pci/function.h"
#include "pci/spec/capabilities.h"

#include <array>
#include <bit>

namespace vitrine::pci {

Aer::Aer(Function& function, unsigned offset, bool root_port) : Capability(function, offset, root_port ? 0x38 : 0x2c) {
    function.link_extended(ExtendedId::advanced_error_reporting, 2, offset);
    ConfigSpace& c = config();
    const auto status = [&](unsigned at, const char* name, u32 mask) {
        c.add(offset + at, 4, name, 0);
        c.clearable(offset + at, 4, mask);
        c.sticky(offset + at, 4, mask);
    };
    const auto control = [&](unsigned at, const char* name, u32 reset, u32 mask) {
        c.add(offset + at, 4, name, reset, mask);
        c.sticky(offset + at, 4, mask);
    };
    status(aer_uncorrectable_status, "UESTS", aer_uncorrectable);
    control(aer_uncorrectable_mask, "UEMSK", 0, aer_uncorrectable);
    control(aer_uncorrectable_severity_offset, "UESEV", aer_uncorrectable_severity, aer_uncorrectable);
    status(aer_correctable_status, "CESTS", aer_correctable);
    control(aer_correctable_mask, "CEMSK", aer_advisory_non_fatal, aer_correctable);
    c.add(offset + aer_capabilities, 4, "AERCAP", 0);
    c.sticky(offset + aer_capabilities, 4, 0x1f);
    static constexpr std::array<const char*, 4> logs{"HLOG0", "HLOG1", "HLOG2", "HLOG3"};
    for (unsigned i = 0; i < 4; ++i)
        c.add(offset + aer_header_log + 4 * i, 4, logs[i], 0);
    if (root_port) {
        c.add(offset + aer_root_error_command, 4, "RTERRCMD", 0, 7);
        status(aer_root_error_status, "RTERRSTS", 0x7f);
        c.add(offset + aer_error_source, 4, "ERRSRC", 0);
    }
}

void Aer::report(u32 uncorrectable) {
    ConfigSpace& c = config();
    const unsigned at = offset() + aer_uncorrectable_status;
    const u32 before = c.get(at, 4);
    uncorrectable &= aer_uncorrectable;
    if (!uncorrectable)
        return;
    const u32 pointer = c.get(offset() + aer_capabilities, 4) & 0x1f;
    if (!(before >> pointer & 1))
        c.set(offset() + aer_capabilities, 4, static_cast<u32>(std::countr_zero(uncorrectable)));
    c.set(at, 4, before | uncorrectable);
}

Acs::Acs(Function& function, unsigned offset) : Capability(function, offset, 8) {
    function.link_extended(ExtendedId::access_control_services, 1, offset);
    config().add(acs_capability, offset, 0x1f);
    config().add(acs_control, offset);
}

Ari::Ari(Function& function, unsigned offset, u8 next_function) : Capability(function, offset, 8) {
    function.link_extended(ExtendedId::alternative_routing_id, 1, offset);
    config().add(ari_capability, offset, static_cast<u32>(next_function) << 8);
    config().add(offset + 6, 2, "ARICTL", 0);
}

DeviceSerialNumber::DeviceSerialNumber(Function& function, unsigned offset, u64 serial)
    : Capability(function, offset, 12) {
    function.link_extended(ExtendedId::device_serial_number, 1, offset);
    config().add(offset + 4, 4, "DSNLO", static_cast<u32>(serial));
    config().add(offset + 8, 4, "DSNHI", static_cast<u32>(serial >> 32));
}

} // namespace vitrine::pci
