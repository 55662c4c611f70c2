// SPDX-License-Identifier: Apache-2.0
// PCI Express capability, version 2: makes 4 KiB of configuration space visible; device control with function-level
// reset.
#pragma once

#include "pci/capability.h"
#include "pci/spec/capabilities.h"

namespace vitrine::pci {

/// A link's lanes, and its speed as the registers have it: 1 for 2.5 GT/s, 2 for 5 GT/s.
struct LinkShape {
    u8 width = 1, speed = 1;
};

class Express : public Capability {
public:
    struct Options {
        PortType type = PortType::endpoint;
        bool function_level_reset = true; ///< never for a root port
        u8 port_number = 0;
        LinkShape link{};
    };

    Express(Function& function, unsigned offset, const Options& options);

    void written(unsigned dword, u32 value, u32 lanes) override;

private:
    bool resettable_;
};

} // namespace vitrine::pci
