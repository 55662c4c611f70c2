// SPDX-License-Identifier: Apache-2.0
// The firmware configuration device: numbered items and named files that the guest reads by ports or DMA. Nothing is
// writable.
#pragma once

#include "base/device.h"
#include "firmware/board.h"
#include "firmware/boot.h"
#include "firmware/memory_map.h"
#include "firmware/spec/fw_cfg.h"
#include "glass/glass.h"
#include "pci/dma.h"

#include <map>
#include <string>
#include <vector>

namespace vitrine::firmware {

class FwCfg : public Device {
public:
    /// DMA is the platform's own: `requester` says who the port is to believe it is.
    FwCfg(DmaPort& dma, Requester requester, Glass& glass);

    /// To be mapped at ports 510h and 514h.
    Region& selector() { return selector_; }

    Region& dma() { return dma_region_; }

    /// Contents are set up before the guest runs. A key or name given again is replaced.
    void set(u16 key, std::vector<u8> bytes);
    void set(u16 key, u64 value, unsigned bytes);
    void set_file(std::string_view name, std::vector<u8> bytes);

    std::string_view name() const override { return "fw_cfg"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    void select(u16 key);
    u8 next_byte();
    void dma_access(Access& access);
    void run_dma(u64 descriptor);
    bool transfer(u32 control, u32 length, u64 address);
    void rebuild_directory();
    const std::vector<u8>& item() const; ///< the selected one, empty if there is none

    DmaPort& port_;
    Requester requester_;
    Glass& glass_;
    Region selector_, dma_region_;
    std::map<u16, std::vector<u8>> items_;          ///< files and their directory too
    std::map<std::string, u16, std::less<>> files_; ///< keys by name, for setting up; the guest has the directory
    u16 key_ = 0;
    u64 offset_ = 0;
    u64 dma_address_ = 0;
};

/// What firmware and test programs look for: sizes, counts, memory map, ACPI and SMBIOS tables, IA32_FEATURE_CONTROL.
void describe_platform(FwCfg& device, const Board& board, RamSize ram, u64 feature_control);

/// A kernel for firmware to start: a bzImage in its two parts, initrd, command line.
Expected<> offer_kernel(FwCfg& device, const BootRequest& request);

} // namespace vitrine::firmware
