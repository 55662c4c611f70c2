// SPDX-License-Identifier: Apache-2.0
// MSI capability: 64-bit address, 1 to 32 vectors, per-vector masking with pending bits.
#pragma once

#include "pci/capability.h"
#include "words/integers.h"

namespace vitrine::pci {

class Msi : public Capability {
public:
    /// `vectors` is a power of two up to 32.
    Msi(Function& function, unsigned offset, unsigned vectors);

    bool enabled() const;

    /// How many vectors software granted.
    unsigned granted() const;

    /// Raises vector `n`; one beyond what was granted goes to the last granted one. Masked ones become pending.
    void trigger(unsigned n);

    void written(unsigned dword, u32 value, u32 lanes) override;

private:
    void send(unsigned n);

    unsigned vectors_;
};

} // namespace vitrine::pci
