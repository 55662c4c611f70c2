// SPDX-License-Identifier: Apache-2.0
// PCI Express capability: a link that is always up; requests never wait, so no transaction is ever
// pending.
#include "pci/express.h"

#include "pci/function.h"

namespace vitrine::pci {

Express::Express(Function& function, unsigned offset, const Options& options)
    : Capability(function, offset, express_length),
      resettable_(options.function_level_reset && options.type != PortType::root_port) {
    function.link(CapabilityId::express, offset);
    function.express_ = offset;
    ConfigSpace& c = config();
    const bool port = options.type == PortType::root_port;
    const bool link = options.type != PortType::integrated_endpoint;

    u64 caps = express_capabilities.version.with(0, 2);
    c.add(express_capabilities, offset,
          static_cast<u32>(express_capabilities.port_type.with(caps, static_cast<u64>(options.type))));
    u64 device = device_capabilities.role_based_error_reporting.mask();
    device = device_capabilities.extended_tag_supported.with(device, 1);
    device = device_capabilities.function_level_reset.with(device, resettable_);
    c.add(device_capabilities, offset, static_cast<u32>(device));
    c.add(device_control, offset,
          static_cast<u32>(device_control.max_read_request.with(0, 2) | device_control.relaxed_ordering.mask() |
                           device_control.no_snoop.mask()));
    c.add(device_status, offset);
    if (link) {
        u64 up = link_capabilities.max_speed.with(link_capabilities.max_width.with(0, options.link.width), options.link.speed);
        up = link_capabilities.link_active_reporting.with(up, port);
        c.add(link_capabilities, offset, static_cast<u32>(link_capabilities.port_number.with(up, options.port_number)));
        c.add(link_control, offset);
        u64 now = link_status.speed.with(link_status.width_negotiated.with(0, options.link.width), options.link.speed) | link_status.slot_clock.mask();
        c.add(link_status, offset, static_cast<u32>(link_status.link_active.with(now, port)));
        c.add(link_control2, offset, options.link.speed);
    }
    if (port) {
        c.add(root_control, offset);
        c.add(offset + 0x20, 4, "RTSTA", 0);
    }
    u64 device2 = device_capabilities2.completion_timeout_disable.mask();
    c.add(device_capabilities2, offset, static_cast<u32>(device_capabilities2.ari_forwarding.with(device2, port)));
    c.add(device_control2, offset);
    if (!port) // only a port forwards
        c.set_writable(offset + DeviceControl2::offset, 2,
                       static_cast<u32>(device_control2.completion_timeout_disable.mask()));
}

void Express::written(unsigned dword, u32 value, u32) {
    if (dword == offset() + DeviceControl::offset && device_control.initiate_flr(value) && resettable_)
        function_.function_reset();
}

} // namespace vitrine::pci
