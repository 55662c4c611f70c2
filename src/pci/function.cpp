// SPDX-License-Identifier: Apache-2.0
// A PCI function: header, BARs, gates, resets and state.
#include "pci/function.h"

#include "base/error.h"
#include "pci/bridge.h"
#include "pci/msi.h"
#include "pci/msix.h"
#include "pci/power.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vitrine::pci {

ConfigSpace& Capability::config() const {
    return function_.config();
}

Function::Function(const Platform& platform, std::string name, const Identity& identity, u8 header)
    : platform_(platform), name_(std::move(name)) {
    declare_header(identity, header);
}

Function::~Function() {
    for (Bar& bar : bars_)
        (bar.shape.kind == BarKind::io ? platform_.ports : platform_.memory).unmap(bar.region);
    if (bus_)
        bus_->detach(*this);
}

void Function::declare_header(const Identity& id, u8 header) {
    config_.add(vendor_id, 2, "VID", id.vendor);
    config_.add(device_id, 2, "DID", id.device);
    config_.add(command);
    config_.add(status);
    config_.add(revision_id, 1, "RID", id.revision);
    config_.add(class_code, 1, "PI", id.class_code & 0xff);
    config_.add(class_code + 1, 2, "CC", id.class_code >> 8);
    config_.add(cache_line_size, 1, "CLS", 0, 0xff);
    config_.add(latency_timer, 1, "LT", 0, 0);
    config_.add(header_type, 1, "HT", header);
    config_.add(capabilities_pointer, 1, "CAP", 0);
    config_.add(interrupt_line, 1, "INTL", 0, 0xff);
    config_.add(interrupt_pin, 1, "INTP", 0);
    if (header == 0) {
        config_.add(subsystem_vendor_id, 2, "SSVID", id.subsystem_vendor);
        config_.add(subsystem_id, 2, "SSID", id.subsystem);
    }
}

void Function::add_bar(unsigned n, const BarShape& shape) {
    static constexpr std::array<const char*, bar_count> names{"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5"};
    VERIFY(n < bar_count && std::has_single_bit(shape.size) && !bars_[n].used);
    const bool wide = shape.kind == BarKind::memory_64 || shape.kind == BarKind::memory_64_prefetchable;
    VERIFY(!wide || (n + 1 < bar_count && !bars_[n + 1].used));
    const u32 type = shape.kind == BarKind::io                       ? bar_is_io
                     : shape.kind == BarKind::memory_64              ? bar_is_64_bit
                     : shape.kind == BarKind::memory_64_prefetchable ? bar_is_64_bit | bar_is_prefetchable
                                                                     : 0;
    const u64 mask = ~(shape.size - 1) & ~0xfull;
    config_.add(bar0 + 4 * n, 4, names[n], type,
                static_cast<u32>(shape.kind == BarKind::io ? ~(shape.size - 1) & ~3ull : mask));
    if (wide)
        config_.add(bar0 + 4 * n + 4, 4, names[n + 1], 0, static_cast<u32>(mask >> 32));
    add_virtual_bar(n, shape);
}

void Function::add_virtual_bar(unsigned n, const BarShape& shape) {
    VERIFY(n < bar_count && !bars_[n].used);
    Bar& bar = bars_[n];
    bar.used = true;
    bar.shape = shape;
    bar.region = Region{.device = this,
                        .name = name_ + "." + shape.name,
                        .size = shape.size,
                        .index = n,
                        .min_size = shape.min_size,
                        .max_size = shape.max_size};
}

void Function::link(CapabilityId id, unsigned offset) {
    VERIFY(offset >= first_capability && offset < conventional_size && is_aligned(offset, 4));
    config_.add(offset, 1, "CAPID", static_cast<u8>(id));
    config_.add(offset + 1, 1, "NEXT", 0);
    unsigned pointer = capabilities_pointer;
    if (last_capability_)
        pointer = last_capability_ + 1;
    config_.set(pointer, 1, offset);
    config_.set_reset(pointer, 1, offset);
    last_capability_ = offset;
    config_.set(status, status.capabilities_list, 1);
    config_.set_reset(status_offset, 2, config_.get(status));
}

void Function::link_extended(ExtendedId id, u8 version, unsigned offset) {
    VERIFY(offset >= conventional_size && offset < extended_size && is_aligned(offset, 4));
    VERIFY(last_extended_ ? offset > last_extended_ : offset == conventional_size);
    config_.add(offset, 4, "ECAPHDR", static_cast<u32>(id) | static_cast<u32>(version) << 16);
    if (last_extended_) {
        const u32 header = (config_.get(last_extended_, 4) & 0xfffff) | offset << 20;
        config_.set(last_extended_, 4, header);
        config_.set_reset(last_extended_, 4, header);
    }
    last_extended_ = offset;
}

unsigned Function::extended(ExtendedId id) const {
    if (!last_extended_)
        return 0;
    for (unsigned at = conventional_size; at;) {
        const u32 header = config_.get(at, 4);
        if ((header & 0xffff) == static_cast<u32>(id))
            return at;
        const unsigned next = header >> 20 & ~3u;
        at = next > at ? next : 0;
    }
    return 0;
}

u32 Function::config_read(unsigned offset, unsigned size) {
    if (offset >= conventional_size && !is_express())
        return static_cast<u32>(low_mask(8 * size));
    u32 value = config_.read(offset, size);
    // Interrupt status shows the device's wish, whatever gates it.
    if (offset <= status_offset && status_offset < offset + size && intx_)
        value |= static_cast<u32>(status.interrupt_status.mask()) << (8 * (status_offset - offset));
    platform_.glass.tell(Topic::pci, "config-read", {{"function", name_}, {"offset", offset}, {"size", size}, {"value", value}});
    return value;
}

void Function::config_write(unsigned offset, unsigned size, u32 value) {
    if (offset >= conventional_size && !is_express())
        return;
    config_.write(offset, size, value);
    platform_.glass.tell(Topic::pci, "config-write",
                         {{"function", name_}, {"offset", offset}, {"size", size}, {"value", value}});
    const unsigned dword = static_cast<unsigned>(align_down(offset, 4));
    const unsigned shift = 8 * (offset - dword);
    const u32 lanes = static_cast<u32>(low_mask(8 * size) << shift);
    for (const auto& capability : capabilities_)
        if (dword + 4 > capability->offset() && dword < capability->offset() + capability->length())
            capability->written(dword, (value << shift) & lanes, lanes);
    if (offset < bar0 + 4 * bar_count) {
        remap();
        if (dword == command_offset)
            pin_changed();
    }
    config_written(offset, size);
}

u16 Function::requester_id() const {
    return static_cast<u16>((bus_ ? bus_->number() << 8 : 0) | devfn_);
}

bool Function::memory_decoded() const {
    return command.memory_space(config_.get(command)) && (!power_ || power_->in_d0());
}

bool Function::io_decoded() const {
    return command.io_space(config_.get(command)) && (!power_ || power_->in_d0());
}

bool Function::may_master() const {
    if (!command.bus_master(config_.get(command)) || (power_ && !power_->in_d0()) || !present())
        return false;
    const u16 id = requester_id();
    for (const PciBus* b = bus_; b && b->bridge(); b = b->bridge()->bus())
        if (!b->bridge()->forwards_upstream(id))
            return false;
    return true;
}

bool Function::dma_read(DeviceAddress from, std::span<u8> data) {
    if (may_master() && platform_.dma.read(Requester::function(requester_id()), from, data))
        return true;
    if (!may_master()) {
        platform_.glass.odd(Topic::pci, "dma-not-allowed", {{"function", name_}, {"address", from.value}});
        std::fill(data.begin(), data.end(), u8{0xff});
    }
    config_.set(status, status.received_master_abort, 1);
    return false;
}

bool Function::dma_write(DeviceAddress to, std::span<const u8> data) {
    if (may_master())
        return platform_.dma.write(Requester::function(requester_id()), to, data);
    platform_.glass.odd(Topic::pci, "dma-not-allowed", {{"function", name_}, {"address", to.value}});
    return false;
}

void Function::message(u64 address, u32 data) {
    if (!may_master()) {
        platform_.glass.odd(Topic::pci, "msi-not-allowed", {{"function", name_}, {"address", address}});
        return;
    }
    if (address >> 20 != 0xfee) {
        // A message is a memory write; only at these addresses is it an interrupt.
        u8 bytes[4];
        std::memcpy(bytes, &data, 4);
        platform_.glass.odd(Topic::pci, "msi-to-memory", {{"function", name_}, {"address", address}});
        static_cast<void>(dma_write(DeviceAddress{address}, bytes));
        return;
    }
    platform_.msi.message(Requester::function(requester_id()), address, data);
}

void Function::set_intx(bool level) {
    if (level == intx_)
        return;
    intx_ = level;
    pin_changed();
}

bool Function::intx_asserted() const {
    return intx_ && pin() && !command.interrupt_disable(config_.get(command)) && !(msi_ && msi_->enabled()) &&
           !(msix_ && msix_->enabled());
}

void Function::pin_changed() {
    if (bus_)
        bus_->interrupts_changed();
}

void Function::interrupt_mode_changed() {
    pin_changed();
}

void Function::reset_config(bool cold) {
    config_.reset(cold);
    intx_ = false;
    for (const auto& capability : capabilities_)
        capability->reset();
    remap();
    pin_changed();
}

void Function::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    reset_config(kind == Reset::cold);
    device_reset(kind);
}

void Function::function_reset() {
    platform_.glass.tell(Topic::pci, "function-level-reset", {{"function", name_}});
    reset_config(false);
    device_reset(Reset::warm);
}

std::optional<u64> Function::bar_address(unsigned n) const {
    const Bar& bar = bars_[n];
    if (!(bar.shape.kind == BarKind::io ? io_decoded() : memory_decoded()))
        return std::nullopt;
    const u32 low = config_.get(bar0 + 4 * n, 4);
    u64 base = low & ~0xfull, top = low_mask(32);
    if (bar.shape.kind == BarKind::io) {
        base = low & 0xfffc;
        top = low_mask(16);
        if (low >> 16)
            return std::nullopt; // beyond what a processor's ports reach
    } else if (bar.shape.kind != BarKind::memory_32) {
        base |= static_cast<u64>(config_.get(bar0 + 4 * n + 4, 4)) << 32;
        top = ~0ull;
    }
    // Zero is unassigned; a range that ends where addresses end is software finding out the size.
    if (base == 0 || base + (bar.shape.size - 1) >= top)
        return std::nullopt;
    return base;
}

void Function::remap() {
    for (unsigned n = 0; n < bar_count; ++n) {
        Bar& bar = bars_[n];
        if (!bar.used)
            continue;
        const bool io = bar.shape.kind == BarKind::io;
        vitrine::Bus& where = io ? platform_.ports : platform_.memory;
        std::optional<u64> base = bar_address(n);
        for (const PciBus* b = bus_; base && b && b->bridge(); b = b->bridge()->bus())
            if (!b->bridge()->forwards_downstream(io, *base, bar.shape.size))
                base.reset();
        if (base)
            where.map(bar.region, *base);
        else
            where.unmap(bar.region);
    }
}

std::vector<Wish> Function::wishes() {
    std::vector<Wish> list;
    for (unsigned n = 0; n < bar_count; ++n) {
        const Bar& bar = bars_[n];
        if (!bar.used)
            continue;
        list.push_back({bar.shape.kind, bar.shape.size, bar.shape.size, [this, n](u64 base) {
                            config_.write(bar0 + 4 * n, 4, static_cast<u32>(base));
                            if (bars_[n].shape.kind >= BarKind::memory_64)
                                config_.write(bar0 + 4 * n + 4, 4, static_cast<u32>(base >> 32));
                        }});
    }
    return list;
}

void Function::access(Region& region, Access& access) {
    if (msix_ && msix_->covers(region.index, access.offset))
        return msix_->access(region.index, access);
    bar_access(region.index, access);
}

void Function::bar_access(unsigned, Access& access) {
    if (!access.write)
        access.value = low_mask(8 * access.size);
}

void Function::config_written(unsigned, unsigned) {}

void Function::state(Visitor& v) {
    v.field("space", config_);
    v.field("intx", intx_);
    for (const auto& capability : capabilities_)
        capability->state(v);
    device_state(v);
    if (v.loading())
        remap();
}

} // namespace vitrine::pci
