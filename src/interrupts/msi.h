// SPDX-License-Identifier: Apache-2.0
// Seam: message-signalled interrupts. The only way by which a device or the I/O APIC raises one, so that nothing
// bypasses remapping.
#pragma once

#include "base/device.h"
#include "words/integers.h"

namespace vitrine {

class MsiSink {
public:
    virtual ~MsiSink() = default;
    /// A 4-byte write of `data` to `address` (FEEx_xxxxh) on behalf of `requester`. Implemented by plain delivery to
    /// local APICs, or by VT-d.
    virtual void message(Requester requester, u64 address, u32 data) = 0;
};

} // namespace vitrine
