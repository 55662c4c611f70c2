// SPDX-License-Identifier: Apache-2.0
// Seam: what the platform does to a processor; owned by x86, called by the local APIC.
#pragma once

#include "words/integers.h"

namespace vitrine {

class Pins {
public:
    virtual ~Pins() = default;
    /// The local APIC (or the 8259 through it) has, or no longer has, an interrupt for the processor. A level, not an edge.
    virtual void set_interrupt(bool pending) = 0;
    virtual void nmi() = 0;
    virtual void smi() = 0;
    virtual void init() = 0;
    virtual void sipi(u8 vector) = 0;
};

} // namespace vitrine
