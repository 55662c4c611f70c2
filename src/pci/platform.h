// SPDX-License-Identifier: Apache-2.0
// What the board gives to every PCI function: where its BARs are mapped, its way to memory, its way to raise
// interrupts.
#pragma once

#include "glass/glass.h"
#include "interrupts/msi.h"
#include "memory/bus.h"
#include "pci/dma.h"

namespace vitrine::pci {

struct Platform {
    vitrine::Bus& memory;
    vitrine::Bus& ports;
    DmaPort& dma;
    MsiSink& msi;
    Glass& glass;
};

} // namespace vitrine::pci
