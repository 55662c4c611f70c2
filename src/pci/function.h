// SPDX-License-Identifier: Apache-2.0
// A PCI function: configuration space, BARs that appear on the platform's buses, capabilities, DMA and interrupts that
// always carry its requester id, and resets. Devices derive from it.
#pragma once

#include "pci/capability.h"
#include "pci/config_space.h"
#include "pci/platform.h"
#include "pci/spec/capabilities.h"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vitrine::pci {

class Bridge;
class Msi;
class Msix;
class PciBus;
class PowerManagement;

struct Identity {
    u16 vendor = 0, device = 0;
    u8 revision = 0;
    u32 class_code = 0; ///< base class, subclass, programming interface
    u16 subsystem_vendor = 0, subsystem = 0;
};

enum class BarKind : u8 { io, memory_32, memory_64, memory_64_prefetchable };

/// A wish for address space; pci::assign grants it. BARs make them, and later the SR-IOV capability for its VF BARs.
struct Wish {
    BarKind kind;
    u64 size;
    u64 alignment;
    std::function<void(u64 base)> grant;
};

class Function : public Device {
public:
    Function(const Platform& platform, std::string name, const Identity& identity, u8 header = 0);
    ~Function() override;
    Function(const Function&) = delete;
    Function& operator=(const Function&) = delete;

    // --- software's view of the configuration space: 1, 2 or 4 bytes, naturally aligned
    u32 config_read(unsigned offset, unsigned size);
    void config_write(unsigned offset, unsigned size, u32 value);

    // --- where it is
    PciBus* bus() const { return bus_; }

    u8 devfn() const { return devfn_; }

    /// Bus, device and function now; bus numbers are software's and change. A virtual function has its own rule.
    virtual u16 requester_id() const;

    /// Whether `requester` is this function or another of the same device with SR-IOV: a port does not send a device's request back to it.
    virtual bool is_one_device_with(u16 requester) const { return requester == requester_id(); }

    /// False hides the function from configuration accesses: a virtual function that is not enabled.
    virtual bool present() const { return true; }

    /// A virtual function: the bus does not count it as a function of a device of many.
    bool is_virtual() const { return config_.get(vendor_id, 2) == 0xffff; }

    /// Bus numbers beyond the one it sits on that its virtual functions need.
    virtual unsigned extra_buses() const { return 0; }

    // --- what it may do
    /// Its own and every upstream bridge's bus master enable, D0, and no ACS source validation against it.
    bool may_master() const;

    /// DMA. False: not allowed or nobody answers; a read then gives all ones.
    [[nodiscard]] bool dma_read(DeviceAddress from, std::span<u8> data);
    [[nodiscard]] bool dma_write(DeviceAddress to, std::span<const u8> data);
    /// A message-signalled interrupt; dropped where DMA would be.
    void message(u64 address, u32 data);
    /// The INTx pin. Devices that also have MSI or MSI-X call it with the pin's level regardless; the function gates
    /// it.
    void set_intx(bool level);

    bool intx_level() const { return intx_; }

    /// The level seen on the wire: gated by interrupt disable, MSI and MSI-X.
    bool intx_asserted() const;

    u8 pin() const { return static_cast<u8>(config_.get(interrupt_pin, 1)); }

    // --- resets
    void reset(Reset kind) override;
    /// Function-level reset; also what a secondary bus reset does to each function below.
    void function_reset();

    // --- Device
    std::string_view name() const override { return name_; }

    void access(Region& region, Access& access) final;
    /// Configuration space, capabilities and pin, then device_state(), then BARs are mapped again.
    void state(Visitor& v) final;

    // --- for the assigner and the bridges above
    virtual std::vector<Wish> wishes();
    /// Maps and unmaps BARs as the configuration says now.
    virtual void remap();

    virtual Bridge* as_bridge() { return nullptr; }

    const Bridge* as_bridge() const { return const_cast<Function*>(this)->as_bridge(); }

    bool memory_decoded() const;
    bool io_decoded() const;

    /// Bus address of BAR `n`; nothing when it does not decode. A virtual function computes its own.
    virtual std::optional<u64> bar_address(unsigned n) const;

    const ConfigSpace& config() const { return config_; }

    ConfigSpace& config() { return config_; }

    Glass& glass() const { return platform_.glass; }

    const Platform& platform() const { return platform_; }

    PowerManagement* power() const { return power_; }

    Msi* msi() const { return msi_; }

    Msix* msix() const { return msix_; }

    bool is_express() const { return express_ != 0; }

    /// Offset of the PCI Express capability; 0 without one.
    unsigned express() const { return express_; }

    /// Offset of an extended capability; 0 without one.
    unsigned extended(ExtendedId id) const;

    /// The interrupt mode changed (MSI, MSI-X or interrupt disable): the pin is looked at again.
    void interrupt_mode_changed();

    // --- building, in constructors
    /// Adds a capability structure to the list. `T(function, offset, arguments...)` declares its registers.
    template <class T, class... Args>
    T& add(unsigned offset, Args&&... args) {
        auto made = std::make_unique<T>(*this, offset, std::forward<Args>(args)...);
        T& capability = *made;
        capabilities_.push_back(std::move(made));
        return capability;
    }

    /// Links a capability into the list; T's constructor calls it.
    void link(CapabilityId id, unsigned offset);
    void link_extended(ExtendedId id, u8 version, unsigned offset);

protected:
    struct BarShape {
        BarKind kind = BarKind::memory_32;
        u64 size = 4096; ///< a power of two
        const char* name = "";
        unsigned min_size = 1, max_size = 4;
    };

    void add_bar(unsigned n, const BarShape& shape);
    /// The same without registers in the header: a virtual function's, which its physical function places.
    void add_virtual_bar(unsigned n, const BarShape& shape);

    /// An access to a BAR, after MSI-X has had its part.
    virtual void bar_access(unsigned bar, Access& access);
    /// Software wrote configuration space; masks and capabilities have been applied.
    virtual void config_written(unsigned offset, unsigned size);
    /// The device's own reset, for every kind.
    virtual void device_reset(Reset kind) = 0;
    /// The device's own state.
    virtual void device_state(Visitor& v) = 0;

private:
    friend class PciBus;
    friend class PowerManagement;
    friend class Msi;
    friend class Msix;
    friend class Express;

    struct Bar {
        BarShape shape;
        Region region;
        bool used = false;
    };

    void declare_header(const Identity& identity, u8 header);
    void reset_config(bool cold);
    void pin_changed();

    Platform platform_;
    std::string name_;
    ConfigSpace config_;
    std::array<Bar, bar_count> bars_;
    std::vector<std::unique_ptr<Capability>> capabilities_;
    PciBus* bus_ = nullptr;
    PowerManagement* power_ = nullptr;
    Msi* msi_ = nullptr;
    Msix* msix_ = nullptr;
    unsigned express_ = 0;
    unsigned last_capability_ = 0, last_extended_ = 0;
    u8 devfn_ = 0;
    bool intx_ = false;
};

} // namespace vitrine::pci
