// SPDX-License-Identifier: Apache-2.0
// DMA without remapping: a device's address is the physical one. The last step of remapped DMA too.
#pragma once

#include "glass/glass.h"
#include "interrupts/msi.h"
#include "memory/space.h"
#include "pci/dma.h"

namespace vitrine::pci {

/// RAM is reached directly. A write of 4 bytes to FEEx_xxxxh is a message-signalled interrupt. Other addresses reach
/// other devices' BARs (peer to peer); refused, and told by the glass, are a device's own BARs, everything that is
/// no PCI function's (configuration space, interrupt controllers), and DMA that another device starts while it answers
/// such an access. A transfer ends at its first refused byte.
class PlainDma : public DmaPort {
public:
    PlainDma(Space& space, MsiSink& msi) : space_(space), msi_(msi) {}

    [[nodiscard]] bool read(Requester requester, DeviceAddress from, std::span<u8> data) override;
    [[nodiscard]] bool write(Requester requester, DeviceAddress to, std::span<const u8> data) override;

private:
    bool device_piece(Requester requester, u64 address, unsigned size, bool write, u8* data);
    bool refuse(std::string_view why, Requester requester, u64 address);

    Space& space_;
    MsiSink& msi_;
    bool busy_ = false; ///< inside a device's access; never set between instructions, hence no state
};

} // namespace vitrine::pci
