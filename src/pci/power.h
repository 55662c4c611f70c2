// SPDX-License-Identifier: Apache-2.0
// PCI power management capability: D0 and D3hot. Below D0 a function decodes nothing and sends nothing; no PME is ever
// raised.
#pragma once

#include "pci/capability.h"
#include "words/integers.h"

namespace vitrine::pci {

class PowerManagement : public Capability {
public:
    PowerManagement(Function& function, unsigned offset);

    bool in_d0() const;

    void written(unsigned dword, u32 value, u32 lanes) override;
    void reset() override;
    void state(Visitor& v) override;

private:
    u8 state_ = 0; ///< the power state that was last valid
};

} // namespace vitrine::pci
