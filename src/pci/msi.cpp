// SPDX-License-Identifier: Apache-2.0
// MSI: composing the message, masking, sending what became pending.
#include "pci/msi.h"

#include "base/error.h"
#include "pci/function.h"
#include "pci/spec/capabilities.h"

#include <algorithm>
#include <bit>

namespace vitrine::pci {

namespace {

constexpr unsigned address_low = 4, address_high = 8, data_offset = 0xc, mask_offset = 0x10, pending_offset = 0x14;

} // namespace

Msi::Msi(Function& function, unsigned offset, unsigned vectors)
    : Capability(function, offset, 0x18), vectors_(vectors) {
    VERIFY(std::has_single_bit(vectors) && vectors <= 32);
    function.link(CapabilityId::msi, offset);
    function.msi_ = this;
    u64 control = msi_control.multiple_message_capable.with(0, static_cast<u64>(std::countr_zero(vectors)));
    control |= msi_control.address_64.mask() | msi_control.per_vector_masking.mask();
    config().add(msi_control, offset, static_cast<u32>(control));
    config().add(offset + address_low, 4, "MSIADDR", 0, 0xffff'fffc);
    config().add(offset + address_high, 4, "MSIADDRH", 0, 0xffff'ffff);
    config().add(offset + data_offset, 2, "MSIDATA", 0, 0xffff);
    const u32 used = static_cast<u32>(low_mask(vectors));
    config().add(offset + mask_offset, 4, "MSIMASK", 0, used);
    config().add(offset + pending_offset, 4, "MSIPEND", 0);
}

bool Msi::enabled() const {
    return msi_control.enable(config().get(msi_control, offset()));
}

unsigned Msi::granted() const {
    const u64 log = msi_control.multiple_message_enable(config().get(msi_control, offset()));
    return std::min(vectors_, 1u << std::min<u64>(log, 5));
}

void Msi::trigger(unsigned n) {
    if (!enabled())
        return;
    n = std::min(n, granted() - 1);
    if (config().get(offset() + mask_offset, 4) >> n & 1)
        config().set(offset() + pending_offset, 4, config().get(offset() + pending_offset, 4) | 1u << n);
    else
        send(n);
}

void Msi::send(unsigned n) {
    const u64 address =
        config().get(offset() + address_low, 4) | static_cast<u64>(config().get(offset() + address_high, 4)) << 32;
    const u32 data = config().get(offset() + data_offset, 2);
    function_.message(address, (data & ~(granted() - 1)) | n);
}

void Msi::written(unsigned, u32, u32) {
    function_.interrupt_mode_changed();
    if (!enabled())
        return;
    u32 ready = config().get(offset() + pending_offset, 4) & ~config().get(offset() + mask_offset, 4);
    config().set(offset() + pending_offset, 4, config().get(offset() + pending_offset, 4) & ~ready);
    for (; ready; ready &= ready - 1)
        send(std::min(static_cast<unsigned>(std::countr_zero(ready)), granted() - 1));
}

} // namespace vitrine::pci
