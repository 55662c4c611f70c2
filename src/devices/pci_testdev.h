// SPDX-License-Identifier: Apache-2.0
// The PCI test device (1b36:0005) of kvm-unit-tests: counts writes to a byte that it names, in a memory BAR and in an
// I/O BAR.
#pragma once

#include "pci/function.h"

namespace vitrine {

class PciTestdev : public pci::Function {
public:
    struct Options {
        u64 membar = 0; ///< size of BAR2, 64 bits wide with nothing behind it; a power of two from 4096 on, 0 for none
    };

    PciTestdev(const pci::Platform& platform, const Options& options);

    explicit PciTestdev(const pci::Platform& platform) : PciTestdev(platform, Options{}) {}

protected:
    void bar_access(unsigned bar, Access& access) override;
    void device_reset(Reset kind) override;
    void device_state(Visitor& v) override;

private:
    u8 read(u64 offset) const;
    void write(unsigned bar, u64 offset, u8 value);

    static constexpr u8 none = 0xff;
    u8 current_ = none; ///< row of the table of tests
    u32 count_ = 0;
};

} // namespace vitrine
