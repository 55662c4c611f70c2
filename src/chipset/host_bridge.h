// SPDX-License-Identifier: Apache-2.0
// The host bridge at 0:0.0, as software sees it in configuration space: where ECAM lies (PCIEXBAR), and the registers
// that firmware sets for shadow RAM (PAM), SMRAM and the memory map. PAM and SMRAM keep and show their values and tell
// whoever asked; memory itself is RAM throughout the first megabyte, which is what firmware leaves behind. EPBAR,
// MCHBAR and DMIBAR have nothing behind them.
#pragma once

#include "chipset/spec/host_bridge.h"
#include "pci/root.h"

#include <array>
#include <functional>

namespace vitrine {

class HostBridge : public pci::Function {
public:
    struct Memory {
        u64 below_4g = 0, above_4g = 0; ///< bytes of RAM
    };

    HostBridge(const pci::Platform& platform, pci::RootComplex& root, const Memory& memory);

    /// Leaves it as firmware does: ECAM on, all segments RAM for reads and writes, SMRAM closed and locked.
    void set_up_without_firmware(u64 ecam_base = 0xb000'0000, u64 ecam_size = 256_MiB);

    struct Segment {
        u32 base, size;
        bool read_ram, write_ram;
    };

    static constexpr unsigned segment_count = 13;
    /// C0000h to EFFFFh by 16 KiB, then F0000h to FFFFFh.
    std::array<Segment, segment_count> segments() const;

    bool smram_locked() const;

    /// Told when PAM, SMRAM or ESMRAMC changed.
    void on_memory_map_changed(std::function<void()> told) { memory_map_changed_ = std::move(told); }

protected:
    void config_written(unsigned offset, unsigned size) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    void map_ecam();
    void apply_lock();

    pci::RootComplex& root_;
    std::function<void()> memory_map_changed_;
};

} // namespace vitrine
