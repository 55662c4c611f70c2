// SPDX-License-Identifier: Apache-2.0
// Single root I/O virtualization: the capability of a physical function, and what a virtual function is on the bus.
#pragma once

#include "pci/capability.h"
#include "pci/function.h"
#include "pci/spec/sriov.h"

#include <functional>
#include <optional>
#include <vector>

namespace vitrine::pci {

/// The physical function's side. NumVFs is locked while VF enable is set; the first VF offset depends on ARI Capable Hierarchy.
class SrIov : public Capability {
public:
    struct VfBar {
        unsigned n = 0;
        BarKind kind = BarKind::memory_64;
        u64 size = 16_KiB; ///< of one VF
    };

    struct Options {
        u16 total_vfs = 0;
        u16 vf_device = 0;
        u16 first_offset = 0x80;             ///< of the VFs' routing ids, where ARI is
        u16 first_offset_without_ari = 0x180;
        u16 stride = 2;
        std::vector<VfBar> bars;
        std::function<void()> changed{}; ///< VF enable, VF MSE, NumVFs or a VF BAR
    };

    SrIov(Function& function, unsigned offset, Options options);

    bool enabled() const;
    bool memory_enabled() const;
    /// How many VFs there are now: NumVFs if VF enable is set.
    unsigned count() const;
    unsigned total() const { return options_.total_vfs; }
    u16 requester_id(unsigned vf) const;
    /// Whether the requester is one of the VFs that there are now.
    bool has(u16 requester) const;
    /// Bus address of a BAR of a VF; nothing where it does not decode.
    std::optional<u64> bar_address(unsigned bar, unsigned vf) const;
    /// What the assigner gives addresses to: each VF BAR for all VFs.
    std::vector<Wish> wishes();

    void written(unsigned dword, u32 value, u32 lanes) override;
    void reset() override;

private:
    void follow();
    const VfBar* bar(unsigned n) const;
    u64 spacing(const VfBar& bar) const;

    Options options_;
};

/// A virtual function: vendor and device read as all ones, BARs and presence are the physical function's, bus mastering is its own.
class VirtualFunction : public Function {
public:
    VirtualFunction(const Platform& platform, std::string name, const Function& physical, const SrIov& sriov, unsigned index,
                    Identity identity);

    unsigned index() const { return index_; }
    u16 requester_id() const override { return sriov_.requester_id(index_); }
    bool is_one_device_with(u16 requester) const override { return physical_.is_one_device_with(requester); }
    bool present() const override { return index_ < sriov_.count(); }
    std::optional<u64> bar_address(unsigned n) const override;
    std::vector<Wish> wishes() override { return {}; }

private:
    const Function& physical_;
    const SrIov& sriov_;
    unsigned index_;
};

} // namespace vitrine::pci
