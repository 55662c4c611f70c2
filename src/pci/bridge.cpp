// SPDX-License-Identifier: Apache-2.0
// Bridges: routing by bus number, windows, gates, interrupt rotation, secondary bus reset.
#include "pci/bridge.h"

#include "base/error.h"
#include "pci/express.h"
#include "pci/extended.h"
#include "pci/msi.h"
#include "pci/power.h"

#include <algorithm>

namespace vitrine::pci {

PciBus::~PciBus() {
    for (Function* f : functions_)
        f->bus_ = nullptr;
}

void PciBus::attach(Function& function, unsigned device, unsigned function_number) {
    VERIFY(device < 32 && function_number < 8 && !function.bus_);
    const u8 devfn = static_cast<u8>(device << 3 | function_number);
    const auto at = std::lower_bound(functions_.begin(), functions_.end(), devfn,
                                     [](const Function* f, u8 d) { return f->devfn_ < d; });
    VERIFY(at == functions_.end() || (*at)->devfn_ != devfn);
    functions_.insert(at, &function);
    function.bus_ = this;
    function.devfn_ = devfn;
    const auto same_device = [&](const Function* f) { return f->devfn_ >> 3 == device && !f->is_virtual(); };
    if (std::count_if(functions_.begin(), functions_.end(), same_device) > 1)
        for (Function* f : functions_)
            if (same_device(f)) {
                const u8 type = static_cast<u8>(f->config().get(header_type, 1) | multi_function);
                f->config().set(header_type, 1, type);
                f->config().set_reset(header_type, 1, type);
            }
    function.remap();
}

void PciBus::detach(Function& function) {
    std::erase(functions_, &function);
    function.bus_ = nullptr;
}

u16 PciBus::number() const {
    return bridge_ ? bridge_->secondary_number() : 0;
}

Function* PciBus::find(u16 id) const {
    const u16 target = id >> 8;
    const bool all = !bridge_ || bridge_->reaches_all_devices();
    for (Function* f : functions_)
        if (f->requester_id() == id && f->present() && (all || target != number() || (id & 0xff) < 8))
            return f;
    if (target == number())
        return nullptr;
    for (Function* f : functions_)
        if (const Bridge* b = f->as_bridge(); b && b->leads_to(target))
            return b->secondary().find(id);
    return nullptr;
}

void PciBus::for_each(const std::function<void(Function&)>& visit) const {
    for (Function* f : functions_) {
        visit(*f);
        if (Bridge* b = f->as_bridge())
            b->secondary().for_each(visit);
    }
}

void PciBus::interrupts_changed() {
    const PciBus* top = this;
    while (top->bridge_ && top->bridge_->bus())
        top = top->bridge_->bus();
    if (top->interrupts_changed_)
        top->interrupts_changed_();
}

u8 PciBus::pins() const {
    u8 result = 0;
    for (const Function* f : functions_) {
        u8 from = f->intx_asserted() ? static_cast<u8>(1 << ((f->pin() - 1) & 3)) : u8{0};
        if (const Bridge* b = f->as_bridge())
            from |= b->secondary().pins();
        const unsigned turn = (f->devfn() >> 3) & 3;
        result |= static_cast<u8>((from << turn | from >> (4 - turn)) & 0xf);
    }
    return result;
}

Bridge::Bridge(const Platform& platform, std::string name, const Identity& identity)
    : Function(platform, std::move(name), identity, 1), secondary_(this) {
    ConfigSpace& c = config();
    c.add(primary_bus, 1, "PBN", 0, 0xff);
    c.add(secondary_bus, 1, "SCBN", 0, 0xff);
    c.add(subordinate_bus, 1, "SBBN", 0, 0xff);
    c.add(secondary_latency, 1, "SLT", 0);
    c.add(io_base, 1, "IOB", 0, 0xf0);
    c.add(io_limit, 1, "IOL", 0, 0xf0);
    c.add(secondary_status);
    c.add(memory_base, 2, "MB", 0, 0xfff0);
    c.add(memory_limit, 2, "ML", 0, 0xfff0);
    c.add(prefetchable_base, 2, "PMB", 1, 0xfff0);
    c.add(prefetchable_limit, 2, "PML", 1, 0xfff0);
    c.add(prefetchable_base_upper, 4, "PMBU", 0, 0xffffffff);
    c.add(prefetchable_limit_upper, 4, "PMLU", 0, 0xffffffff);
    c.add(io_base_upper, 2, "IOBU", 0);
    c.add(io_limit_upper, 2, "IOLU", 0);
    c.add(bridge_control);
}

Bridge::~Bridge() = default;

bool Bridge::forwards_upstream(u16 requester) const {
    if (!command.bus_master(config().get(command)) || (power() && !power()->in_d0()))
        return false;
    const unsigned acs = extended(ExtendedId::access_control_services);
    if (acs && acs_control.source_validation(config().get(acs_control, acs)) && !leads_to(requester >> 8)) {
        glass().odd(Topic::pci, "acs-source-validation", {{"port", name()}, {"requester", requester}});
        return false;
    }
    return true;
}

Bridge::Window Bridge::io_window() const {
    return {(config().get(io_base, 1) & 0xf0ull) << 8, (config().get(io_limit, 1) & 0xf0ull) << 8 | 0xfff};
}

Bridge::Window Bridge::memory_window() const {
    return {(config().get(memory_base, 2) & 0xfff0ull) << 16,
            (config().get(memory_limit, 2) & 0xfff0ull) << 16 | 0xfffff};
}

Bridge::Window Bridge::prefetchable_window() const {
    return {static_cast<u64>(config().get(prefetchable_base_upper, 4)) << 32 |
                (config().get(prefetchable_base, 2) & 0xfff0ull) << 16,
            static_cast<u64>(config().get(prefetchable_limit_upper, 4)) << 32 |
                (config().get(prefetchable_limit, 2) & 0xfff0ull) << 16 | 0xfffff};
}

bool Bridge::forwards_downstream(bool io, u64 base, u64 size) const {
    const auto covers = [&](Window w) { return base >= w.base && base <= w.limit && size - 1 <= w.limit - base; };
    if (io)
        return io_decoded() && covers(io_window());
    return memory_decoded() && (covers(memory_window()) || covers(prefetchable_window()));
}

void Bridge::set_windows(Window io, Window memory, Window prefetchable) {
    const auto closed = [](Window w) { return w.limit < w.base || (w.base == 0 && w.limit == 0); };
    // A closed window has its base above its limit.
    if (closed(io))
        io = {0xf000, 0};
    if (closed(memory))
        memory = {0xfff0'0000, 0};
    if (closed(prefetchable))
        prefetchable = {0xfff0'0000, 0};
    ConfigSpace& c = config();
    c.write(io_base, 1, static_cast<u32>(io.base >> 8));
    c.write(io_limit, 1, static_cast<u32>(io.limit >> 8));
    c.write(memory_base, 2, static_cast<u32>(memory.base >> 16));
    c.write(memory_limit, 2, static_cast<u32>(memory.limit >> 16));
    c.write(prefetchable_base, 2, static_cast<u32>(prefetchable.base >> 16));
    c.write(prefetchable_limit, 2, static_cast<u32>(prefetchable.limit >> 16));
    c.write(prefetchable_base_upper, 4, static_cast<u32>(prefetchable.base >> 32));
    c.write(prefetchable_limit_upper, 4, static_cast<u32>(prefetchable.limit >> 32));
    remap();
}

void Bridge::remap() {
    Function::remap();
    for (Function* f : secondary_.functions())
        f->remap();
}

void Bridge::config_written(unsigned offset, unsigned size) {
    if (offset < bridge_control_offset + 2 && offset + size > primary_bus)
        remap();
    const bool reset = bridge_control.secondary_bus_reset(config().get(bridge_control));
    if (reset && !in_reset_)
        for (Function* f : secondary_.functions())
            f->function_reset();
    in_reset_ = reset;
}

void Bridge::device_reset(Reset) {
    in_reset_ = false;
    // Hot reset goes down the hierarchy; at power on every function is told by the machine as well, which does no harm.
    for (Function* f : secondary_.functions())
        f->function_reset();
}

void Bridge::device_state(Visitor& v) {
    v.field("in reset", in_reset_);
}

RootPort::RootPort(const Platform& platform, std::string name, u8 port, LinkShape link)
    : Bridge(platform, std::move(name), {.vendor = 0x1b36, .device = 0x000c, .class_code = 0x060400}) {
    add<PowerManagement>(0x40);
    add<Msi>(0x50, 1u);
    add<Express>(0x70, Express::Options{.type = PortType::root_port, .port_number = port, .link = link});
    config().set_reset(interrupt_pin, 1, 1);
    config().set(interrupt_pin, 1, 1);
    add<Aer>(0x100, true);
    add<Acs>(0x140);
}

bool RootPort::reaches_all_devices() const {
    return device_control2.ari_forwarding(config().get(device_control2, express()));
}

} // namespace vitrine::pci
