// SPDX-License-Identifier: Apache-2.0
// Buses and the bridges between them: type 1 headers whose bus numbers route configuration accesses and whose windows,
// enables and access control really gate what passes.
#pragma once

#include "pci/express.h"
#include "pci/function.h"

#include <functional>
#include <vector>

namespace vitrine::pci {

/// The functions that sit on one bus, and the bridge above it (none above the root bus). Not the owner of either.
class PciBus {
public:
    explicit PciBus(Bridge* bridge = nullptr) : bridge_(bridge) {}

    ~PciBus();
    PciBus(const PciBus&) = delete;
    PciBus& operator=(const PciBus&) = delete;

    void attach(Function& function, unsigned device, unsigned function_number = 0);
    void detach(Function& function);

    Bridge* bridge() const { return bridge_; }

    /// The bus number that software gave; 0 for the root bus.
    u16 number() const;

    /// The function that a configuration access to `id` reaches from this bus downward; null where nobody answers.
    Function* find(u16 id) const;

    /// In order of device and function number.
    const std::vector<Function*>& functions() const { return functions_; }

    /// Every function on this bus and below, each bridge before what is under it.
    void for_each(const std::function<void(Function&)>& visit) const;

    /// Some function's pin changed: goes up to whoever drives the wires.
    void interrupts_changed();

    /// Set on the root bus only.
    void on_interrupts_changed(std::function<void()> told) { interrupts_changed_ = std::move(told); }

    /// The pins INTA to INTD (bits 0 to 3) as this bus shows them to the bridge above, after its rotation by device.
    u8 pins() const;

private:
    Bridge* bridge_;
    std::vector<Function*> functions_;
    std::function<void()> interrupts_changed_;
};

/// A PCI-to-PCI bridge as every PCI Express port is one.
class Bridge : public Function {
public:
    Bridge(const Platform& platform, std::string name, const Identity& identity);
    ~Bridge() override;

    PciBus& secondary() { return secondary_; }

    const PciBus& secondary() const { return secondary_; }

    u16 secondary_number() const { return static_cast<u16>(config().get(secondary_bus, 1)); }

    u16 subordinate_number() const { return static_cast<u16>(config().get(subordinate_bus, 1)); }

    /// Whether bus number `n` lies behind it.
    bool leads_to(u16 n) const { return n && n >= secondary_number() && n <= subordinate_number(); }

    /// Whether a request of `requester` from below passes: bus master enable, D0, and access control's source
    /// validation.
    bool forwards_upstream(u16 requester) const;
    /// Whether the windows pass the whole of a range from above.
    bool forwards_downstream(bool io, u64 base, u64 size) const;

    /// Whether configuration accesses reach device numbers above 0: a PCI Express link has one device, unless ARI is
    /// forwarded.
    virtual bool reaches_all_devices() const { return true; }

    Bridge* as_bridge() override { return this; }

    void remap() override;

    struct Window {
        u64 base = 0, limit = 0; ///< nothing passes when limit < base
    };

    Window io_window() const;
    Window memory_window() const;
    Window prefetchable_window() const;
    /// For the assigner: programs a window; an empty one closes it.
    void set_windows(Window io, Window memory, Window prefetchable);

protected:
    void config_written(unsigned offset, unsigned size) override;

    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    PciBus secondary_;
    bool in_reset_ = false;
};

/// A PCI Express root port with generic ids: MSI, power management, AER, ACS and ARI forwarding. It has no slot:
/// nothing is hot-plugged.
class RootPort : public Bridge {
public:
    /// `port` is its number, from 1.
    RootPort(const Platform& platform, std::string name, u8 port, LinkShape link = {});

    bool reaches_all_devices() const override;
};

} // namespace vitrine::pci
