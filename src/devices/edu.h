// SPDX-License-Identifier: Apache-2.0
// The educational device (1234:11e8) that driver courses and kvm-unit-tests know: liveness check, factorials,
// interrupts by pin or MSI, and a DMA engine with a buffer of 4 KiB. What takes time takes a fixed virtual time.
#pragma once

#include "base/clock.h"
#include "pci/function.h"

#include <array>

namespace vitrine {

class Edu : public pci::Function {
public:
    struct Options {
        u64 dma_mask = (1 << 28) - 1; ///< address bits that the DMA engine has
    };

    static constexpr u64 buffer_start = 0x40000, buffer_size = 4096; ///< in the device's own address space for DMA
    static constexpr u64 factorial_time = 10'000, dma_time = 100'000;

    Edu(const pci::Platform& platform, Clock& clock, const Options& options);

    Edu(const pci::Platform& platform, Clock& clock) : Edu(platform, clock, Options{}) {}

protected:
    void bar_access(unsigned bar, Access& access) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    u64 read(u64 offset);
    void write(u64 offset, u64 value);
    void raise(u32 causes);
    void factorial_done();
    void dma_done();
    bool transfer();

    Clock& clock_;
    u64 dma_mask_;
    Timer factorial_timer_, dma_timer_;
    u32 liveness_ = 0, factorial_ = 0, status_ = 0, interrupt_status_ = 0;
    u64 source_ = 0, destination_ = 0, count_ = 0, command_ = 0;
    std::array<u8, buffer_size> buffer_{};
};

} // namespace vitrine
