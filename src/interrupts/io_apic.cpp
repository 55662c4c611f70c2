// SPDX-License-Identifier: Apache-2.0
// The I/O APIC: redirection entries, edges and levels.
#include "interrupts/io_apic.h"

namespace vitrine {

using namespace apic;

namespace {

enum : u64 { select_offset = 0x00, window_offset = 0x10, eoi_offset = 0x40 };

enum : u8 { id_register = 0, version_register = 1, arbitration_register = 2, first_entry = 0x10 };

constexpr u64 entry_reset = redirection.mask.mask();

constexpr u64 entry_writable = redirection.vector.mask() | redirection.delivery_mode.mask() |
                               redirection.logical.mask() | redirection.polarity.mask() | redirection.level.mask() |
                               redirection.mask.mask() | redirection.remappable.mask() |
                               redirection.extended_destination.mask() | redirection.destination.mask();

/// Only these two wait for an EOI; all else is an edge whatever the trigger mode says.
bool is_level(u64 entry) {
    return redirection.level(entry) && redirection.delivery_mode(entry) <= u64(DeliveryMode::lowest_priority);
}

} // namespace

IoApic::IoApic(Bus& mmio, Glass& glass, MsiSink& sink, const Options& options)
    : glass_(glass), sink_(&sink),
      options_(options), region_{.device = this, .name = "ioapic", .size = 0x1000, .max_size = 4} {
    mmio.map(region_, options.base);
    reset(Reset::cold);
}

void IoApic::reset(Reset kind) {
    if (kind == Reset::init)
        return;
    id_ = u32{options_.id} << 24 & 0x0f00'0000;
    select_ = 0;
    entries_.fill(entry_reset);
}

void IoApic::set_pin(unsigned n, bool level) {
    if (n >= io_apic_pins)
        return;
    const u32 mask = 1u << n;
    const bool rose = level && !(levels_ & mask);
    levels_ = level ? levels_ | mask : levels_ & ~mask;
    if (is_level(entries_[n]))
        try_level(n);
    else if (rose && !redirection.mask(entries_[n])) // an edge on a masked pin is lost
        send(n);
}

void IoApic::try_level(unsigned n) {
    u64& entry = entries_[n];
    if (!(levels_ & (1u << n)) || redirection.mask(entry) || redirection.remote_irr(entry) || !is_level(entry))
        return;
    entry |= redirection.remote_irr.mask();
    send(n);
}

// The message carries the entry's bits as they are: 63:48 become address bits 19:4, bit 11 becomes address bit 2. In
// compatibility format these are destination and destination mode, in remappable format the handle.
void IoApic::send(unsigned n) {
    const u64 entry = entries_[n];
    const u64 address = 0xfee0'0000 | (entry >> 48 << 4) | (redirection.logical(entry) << 2);
    u64 data = redirection.vector(entry) | msi_data.delivery_mode.with(0, redirection.delivery_mode(entry));
    if (is_level(entry))
        data |= msi_data.level.mask();
    data |= msi_data.assert_level.mask();
    glass_.tell(Topic::interrupts, "ioapic.send", {{"pin", n}, {"address", address}, {"data", data}});
    sink_->message(Requester::function(options_.requester), address, static_cast<u32>(data));
}

void IoApic::end_of_interrupt(u8 vector) {
    for (unsigned n = 0; n < io_apic_pins; ++n) {
        u64& entry = entries_[n];
        if (redirection.remote_irr(entry) && redirection.vector(entry) == vector) {
            entry &= ~redirection.remote_irr.mask();
            try_level(n);
        }
    }
}

void IoApic::reevaluate() {
    for (unsigned n = 0; n < io_apic_pins; ++n)
        try_level(n);
}

u32 IoApic::read_register() const {
    if (select_ == id_register || select_ == arbitration_register)
        return id_;
    if (select_ == version_register)
        return io_apic_version;
    if (select_ >= first_entry && select_ < first_entry + 2 * io_apic_pins)
        return static_cast<u32>(entries_[(select_ - first_entry) / 2] >> (select_ & 1 ? 32 : 0));
    glass_.odd(Topic::interrupts, "ioapic.read-unknown-register", {{"index", select_}});
    return 0;
}

void IoApic::write_register(u32 value) {
    if (select_ == id_register)
        id_ = value & 0x0f00'0000;
    else if (select_ >= first_entry && select_ < first_entry + 2 * io_apic_pins) {
        const bool high = select_ & 1;
        const u64 half = high ? ~0ull << 32 : low_mask(32);
        write_entry((select_ - first_entry) / 2, high ? u64{value} << 32 : value, entry_writable & half);
    } else
        glass_.odd(Topic::interrupts, "ioapic.write-unknown-register", {{"index", select_}, {"value", value}});
}

void IoApic::write_entry(unsigned n, u64 value, u64 writable) {
    u64& entry = entries_[n];
    entry = (entry & ~writable) | (value & writable);
    if (!is_level(entry))
        entry &= ~redirection.remote_irr.mask(); // the classic way to clear a stuck one: to edge and back
    try_level(n);
}

void IoApic::access(Region&, Access& a) {
    const u64 reg = a.offset & ~0xfull;
    if (a.write) {
        if (reg == select_offset && a.offset == reg)
            select_ = static_cast<u8>(a.value);
        else if (reg == window_offset && a.offset == reg && a.size == 4)
            write_register(static_cast<u32>(a.value));
        else if (reg == eoi_offset && a.offset == reg)
            end_of_interrupt(static_cast<u8>(a.value));
        else
            glass_.odd(Topic::interrupts, "ioapic.odd-write",
                       {{"offset", a.offset}, {"size", a.size}, {"value", a.value}});
    } else if (a.offset - reg >= 4) {
        a.value = 0; // registers are 32 bits wide and 16 bytes apart
    } else if (reg == select_offset) {
        a.answer(select_, reg);
    } else if (reg == window_offset) {
        a.answer(read_register(), reg);
    } else {
        glass_.odd(Topic::interrupts, "ioapic.odd-read", {{"offset", a.offset}, {"size", a.size}});
    }
}

void IoApic::state(Visitor& v) {
    v.field("id", id_);
    v.field("select", select_);
    v.field("levels", levels_);
    v.field("entries", entries_);
    if (v.loading())
        for (u64& entry : entries_)
            entry &= entry_writable | redirection.remote_irr.mask();
}

} // namespace vitrine
