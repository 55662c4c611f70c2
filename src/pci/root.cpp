// SPDX-License-Identifier: Apache-2.0
// The root complex: both ways into configuration space, and the wires of INTx.
#include "pci/root.h"

#include "base/error.h"

namespace vitrine::pci {

namespace {

constexpr u32 address_enable = 1u << 31;

} // namespace

RootComplex::RootComplex(const Platform& platform)
    : platform_(platform),
      address_port_{.device = this, .name = "pci.config-address", .size = 4, .index = 0, .max_size = 4},
      data_port_{.device = this, .name = "pci.config-data", .size = 4, .index = 1, .max_size = 4},
      ecam_{.device = this, .name = "pci.ecam", .size = 0, .index = 2, .max_size = 4} {
    for (unsigned device = 0; device < 32; ++device)
        routes_[device] = default_route(device);
    platform_.ports.map(address_port_, 0xcf8);
    platform_.ports.map(data_port_, 0xcfc);
    bus_.on_interrupts_changed([this] { update_pirqs(); });
}

RootComplex::~RootComplex() {
    platform_.ports.unmap(address_port_);
    platform_.ports.unmap(data_port_);
    platform_.memory.unmap(ecam_);
}

RootComplex::Route RootComplex::default_route(unsigned device) {
    Route route{};
    for (unsigned pin = 0; pin < 4; ++pin)
        route[pin] = static_cast<u8>(device < 25 ? 4 + ((device + pin) & 3) : pin);
    return route;
}

u32 RootComplex::config_read(u16 id, unsigned offset, unsigned size) {
    Function* f = find(id);
    return f ? f->config_read(offset, size) : static_cast<u32>(low_mask(8 * size));
}

void RootComplex::config_write(u16 id, unsigned offset, unsigned size, u32 value) {
    if (Function* f = find(id))
        f->config_write(offset, size, value);
}

void RootComplex::map_ecam(Range range) {
    VERIFY(range.size >= 1_MiB && is_aligned(range.base, range.size));
    unmap_ecam();
    ecam_.size = range.size;
    platform_.memory.map(ecam_, range.base);
}

void RootComplex::unmap_ecam() {
    platform_.memory.unmap(ecam_);
}

std::optional<RootComplex::Range> RootComplex::ecam() const {
    return ecam_.mapped ? std::optional(Range{ecam_.base, ecam_.size}) : std::nullopt;
}

void RootComplex::set_route(unsigned device, const Route& route) {
    VERIFY(device < 32);
    routes_[device] = route;
    update_pirqs();
}

void RootComplex::update_pirqs() {
    u8 now = 0;
    for (const Function* f : bus_.functions()) {
        u8 pins = f->intx_asserted() ? static_cast<u8>(1 << ((f->pin() - 1) & 3)) : u8{0};
        if (const Bridge* b = f->as_bridge())
            pins |= b->secondary().pins();
        for (unsigned pin = 0; pin < 4; ++pin)
            if (pins >> pin & 1)
                now |= static_cast<u8>(1 << (routes_[f->devfn() >> 3][pin] & 7));
    }
    const u8 changed = now ^ pirqs_;
    pirqs_ = now;
    for (unsigned n = 0; n < pirq_count; ++n)
        if ((changed >> n & 1) && pirq_changed_)
            pirq_changed_(n, now >> n & 1);
}

void RootComplex::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    address_ = 0;
    for (unsigned device = 0; device < 32; ++device)
        routes_[device] = default_route(device);
    update_pirqs();
}

void RootComplex::address_port(Access& a) {
    // Only whole dwords are the register; narrower accesses belong to whatever else lies at these ports.
    if (a.size != 4) {
        platform_.glass.odd(Topic::pci, "config-address-size", {{"offset", a.offset}, {"size", a.size}});
        if (!a.write)
            a.value = low_mask(8 * a.size);
    } else if (a.write) {
        address_ = static_cast<u32>(a.value) & (byte_address_ ? 0x80ff'ffff : 0x80ff'fffc);
    } else {
        a.value = address_ & ~3u;
    }
}

void RootComplex::config_access(u16 id, unsigned offset, Access& a) {
    if (a.write)
        config_write(id, offset, a.size, static_cast<u32>(a.value));
    else
        a.value = config_read(id, offset, a.size);
}

void RootComplex::access(Region& region, Access& a) {
    if (&region == &address_port_)
        return address_port(a);
    if (&region == &ecam_)
        return config_access(static_cast<u16>(a.offset >> 12), a.offset & 0xfff, a);
    if (address_ & address_enable) {
        const unsigned at = (address_ & 0xfc) | static_cast<unsigned>(a.offset), within = at | (address_ & 3);
        return config_access(static_cast<u16>(address_ >> 8), is_aligned(within, a.size) ? within : at, a);
    }
    if (!a.write)
        a.value = low_mask(8 * a.size);
}

void RootComplex::state(Visitor& v) {
    v.field("address", address_);
    v.field("pirqs", pirqs_);
    for (Route& r : routes_)
        v.field("route", r);
    if (v.loading())
        for (Route& r : routes_)
            for (u8& pirq : r)
                if (pirq >= pirq_count)
                    v.refuse("a PCI interrupt route names no PIRQ");
}

} // namespace vitrine::pci
