// SPDX-License-Identifier: Apache-2.0
// The I/O APIC's registers and the delivery of its interrupts to the guest's local APICs.
#include "pane/devices/io_apic.h"

#include "pane/guest/guest.h"

#include "interrupts/spec/apic.h"

namespace vitrine::pane {

namespace {

constexpr u32 select = 0x00, window = 0x10, eoi = 0x40;
constexpr u32 id_register = 0, version_register = 1, arbitration_register = 2, first_entry = 0x10;

} // namespace

IoApic::IoApic() {
    for (u64& e : entries_)
        e = apic::redirection.mask.mask();
}

u32 IoApic::read(u32 offset) const {
    if (offset == select)
        return index_;
    if (offset != window)
        return 0;
    if (index_ == id_register || index_ == arbitration_register)
        return id_ << 24;
    if (index_ == version_register)
        return apic::io_apic_version;
    const u32 n = index_ - first_entry;
    return index_ >= first_entry && n / 2 < pins ? static_cast<u32>(entries_[n / 2] >> (n % 2 * 32)) : 0;
}

void IoApic::write(Guest& guest, u32 offset, u32 value) {
    if (offset == select)
        index_ = value & 0xff;
    else if (offset == eoi)
        end_of_interrupt(guest, static_cast<u8>(value));
    if (offset != window)
        return;
    if (index_ == id_register)
        id_ = value >> 24 & 15;
    const u32 n = index_ - first_entry;
    if (index_ < first_entry || n / 2 >= pins)
        return;
    u64& e = entries_[n / 2];
    const auto& r = apic::redirection;
    const u64 read_only = r.remote_irr.mask() | r.delivery_status.mask();
    const u64 written = n % 2 ? (e & 0xffff'ffff) | u64{value} << 32 : (e & ~0xffff'ffffull) | value;
    e = (written & ~read_only) | (e & read_only);
    if (!r.level(e))
        e = r.remote_irr.with(e, 0);
    else if (lines_ >> (n / 2) & 1)
        deliver(guest, n / 2);
}

void IoApic::deliver(Guest& guest, unsigned pin) {
    const auto& r = apic::redirection;
    u64& e = entries_[pin];
    if (r.mask(e) || r.remote_irr(e))
        return;
    const bool level = r.level(e);
    const Message m{static_cast<u8>(r.vector(e)), static_cast<apic::DeliveryMode>(r.delivery_mode(e)), r.logical(e) != 0, level,
                    static_cast<u32>(r.destination(e))};
    delivered[pin] += guest.deliver(m);
    if (level)
        e = r.remote_irr.with(e, 1);
}

void IoApic::set_line(Guest& guest, unsigned pin, bool level) {
    const u32 mask = 1u << pin;
    const bool rose = level && !(lines_ & mask);
    lines_ = level ? lines_ | mask : lines_ & ~mask;
    if (rose || (level && apic::redirection.level(entries_[pin])))
        deliver(guest, pin);
}

void IoApic::end_of_interrupt(Guest& guest, u8 vector) {
    const auto& r = apic::redirection;
    for (unsigned pin = 0; pin < pins; ++pin) {
        u64& e = entries_[pin];
        if (!r.level(e) || r.vector(e) != vector || !r.remote_irr(e))
            continue;
        e = r.remote_irr.with(e, 0);
        if (lines_ >> pin & 1)
            deliver(guest, pin);
    }
}

} // namespace vitrine::pane
