// SPDX-License-Identifier: Apache-2.0
// Switches virtual functions on and offers them to guests. (PCI Express Base 5.0, Single Root I/O Virtualization and
// Sharing.)
#include "pane/adapter/port.h"

#include "pci/spec/sriov.h"

namespace vitrine::pane {

namespace {

constexpr u64 time_to_come = 100'000; ///< microseconds until virtual functions answer

/// The bridge above the function, or null: it lies on the root bus.
const Function* above(const Function& f) {
    for (unsigned n = 0; n < function_count; ++n)
        if (functions[n]->bridge && config_read(functions[n]->id, pci::secondary_bus, 1) == f.id >> 8u)
            return functions[n];
    return nullptr;
}

/// Routing ids with eight bits of function number, where the port above forwards them: then all lie on the function's
/// own bus.
bool alternative_routing_ids(const Function& f) {
    const Function* port = above(f);
    if (!port || !port->express ||
        !pci::device_capabilities2.ari_forwarding(capability_read(port->id, port->express, pci::device_capabilities2)))
        return false;
    const u64 control = capability_read(port->id, port->express, pci::device_control2);
    capability_write(port->id, port->express, pci::device_control2,
                     pci::device_control2.ari_forwarding.with(control, 1));
    return true;
}

/// A virtual function's BAR `n` of the capability at `at`: where number 0's lies, and the size of one. Number of
/// registers that it takes.
unsigned read_bar(const Function& f, unsigned at, unsigned n, Bar& bar) {
    const unsigned place = at + pci::sriov_vf_bar0 + 4 * n;
    const u32 low = config_read(f.id, place, 4);
    bar.wide = (low & pci::bar_is_64_bit) && n + 1 < Function::bar_count;
    bar.prefetchable = low & pci::bar_is_prefetchable;
    const u32 high = bar.wide ? config_read(f.id, place + 4, 4) : 0;
    config_write(f.id, place, 4, ~0u);
    const u32 mask = config_read(f.id, place, 4) & ~15u;
    config_write(f.id, place, 4, low);
    bar.size = mask ? ~mask + 1 : 0; // none is as large as 4 GiB
    bar.address = (low & ~15u) | u64{high} << 32;
    return bar.wide ? 2 : 1;
}

} // namespace

void start_virtual_functions(Port& port, unsigned count) {
    const Function& f = *port.function;
    const FunctionName name(f.id);
    const unsigned at = find_extended_capability(f.id, pci::ExtendedId::single_root_io_virtualization);
    const unsigned most = at ? config_read(f.id, at + pci::sriov_total_vfs, 2) : 0;
    if (count > most || count > port.chip->virtual_functions)
        panic("adapter {} has {} virtual functions, not {}", name,
              most < port.chip->virtual_functions ? most : port.chip->virtual_functions, count);
    const auto& control = pci::sriov_control;
    const u64 base = control.ari_capable_hierarchy.with(0, alternative_routing_ids(f));
    capability_write(f.id, at, control, base);
    config_write(f.id, at + pci::sriov_system_page_size, 4, 1); // of 4 KiB
    config_write(f.id, at + pci::sriov_num_vfs, 2, count);
    // Only now are these what they will be.
    const unsigned offset = config_read(f.id, at + pci::sriov_first_offset, 2),
                   stride = config_read(f.id, at + pci::sriov_stride, 2);
    Bar bars[Function::bar_count];
    for (unsigned n = 0; n < Function::bar_count;) {
        const unsigned taken = read_bar(f, at, n, bars[n]);
        if (bars[n].size && bars[n].size < 4096)
            bars[n].size = 4096; // each begins on a page of its own
        if (bars[n].size && !bars[n].address)
            panic("the firmware has given the virtual functions of adapter {} no addresses", name);
        n += taken;
    }
    capability_write(f.id, at, control, base | control.vf_enable.mask() | control.vf_memory_space_enable.mask());
    wait_microseconds(time_to_come);
    for (unsigned v = 0; v < count; ++v) {
        Bar own[Function::bar_count];
        for (unsigned n = 0; n < Function::bar_count; ++n) {
            own[n] = bars[n];
            own[n].address += own[n].size * v;
        }
        VirtualFunction& vf = port.virtual_functions[v];
        vf.address = port.address_of(v);
        vf.function = offer_virtual_function(f, static_cast<u16>(f.id + offset + v * stride), f.vendor,
                                             port.chip->virtual_device, own);
        if (!vf.function)
            panic("virtual function {} of adapter {} has no place", v, name);
        filter_address(port, Port::first_address + v, vf.address, bit(v));
        port.change(port.chip->anti_spoofing + 4 * (v / 8), 0x101u << v % 8);
        for (unsigned n = 0; n < port.chip->queues_a_pool; ++n)
            port.chip->drop_when_full(port, v * port.chip->queues_a_pool + n);
    }
    port.virtual_function_count = count;
}

} // namespace vitrine::pane
