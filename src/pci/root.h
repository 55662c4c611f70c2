// SPDX-License-Identifier: Apache-2.0
// The root complex: the root bus, configuration access by ports CF8h/CFCh and by the memory-mapped ECAM, and the eight
// PIRQ wires.
#pragma once

#include "pci/bridge.h"

#include <array>
#include <functional>
#include <optional>

namespace vitrine::pci {

class RootComplex : public Device {
public:
    /// Maps ports CF8h to CFFh at once; ECAM when the host bridge says where.
    explicit RootComplex(const Platform& platform);
    ~RootComplex() override;

    PciBus& bus() { return bus_; }

    const PciBus& bus() const { return bus_; }

    /// Bus, device, function as software numbers them now; null where nobody answers.
    Function* find(u16 id) const { return bus_.find(id); }

    /// 1, 2 or 4 bytes inside one dword. Nobody there: all ones.
    u32 config_read(u16 id, unsigned offset, unsigned size);
    void config_write(u16 id, unsigned offset, unsigned size, u32 value);

    // --- ECAM
    struct Range {
        u64 base = 0, size = 0;
    };

    void map_ecam(Range range);
    void unmap_ecam();

    /// Nothing while it is off.
    std::optional<Range> ecam() const;

    // --- INTx. Functions below bridges are rotated at each bridge; on the root bus `route` says the PIRQ of a device's
    // pin.
    static constexpr unsigned pirq_count = 8;
    /// PIRQA is 0. ICH9: devices below 25 rotate over PIRQE to PIRQH, the others have PIRQA to PIRQD for INTA to INTD.
    using Route = std::array<u8, 4>;

    const Route& route(unsigned device) const { return routes_[device & 31]; }

    void set_route(unsigned device, const Route& route);

    /// Bits 1:0 of the configuration address count, as on QEMU's boards; hardware has none.
    void take_byte_addresses() { byte_address_ = true; }

    bool pirq_level(unsigned pirq) const { return pirqs_ >> pirq & 1; }

    /// Who hears of changed levels: the LPC bridge, which knows I/O APIC pins and 8259 inputs.
    void on_pirq(std::function<void(unsigned pirq, bool level)> told) { pirq_changed_ = std::move(told); }

    // --- Device
    std::string_view name() const override { return "pci"; }

    /// Its own registers only; functions are devices of their own to the machine.
    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    void update_pirqs();
    static Route default_route(unsigned device);
    void address_port(Access& access);
    void config_access(u16 id, unsigned offset, Access& access);

    Platform platform_;
    PciBus bus_;
    Region address_port_, data_port_, ecam_;
    std::array<Route, 32> routes_{};
    std::function<void(unsigned, bool)> pirq_changed_;
    u32 address_ = 0;
    bool byte_address_ = false; ///< the board's, no state
    u8 pirqs_ = 0;
};

} // namespace vitrine::pci
