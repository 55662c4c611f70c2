// SPDX-License-Identifier: Apache-2.0
// The I/O APIC: 24 pins to messages, version 20h with an EOI register. 82093AA and ICH9 datasheets.
// Pin levels are logical: a line that is asserted is high here whatever the polarity bit says, which is only stored.
#pragma once

#include "base/device.h"
#include "glass/glass.h"
#include "interrupts/msi.h"
#include "interrupts/spec/apic.h"
#include "memory/bus.h"

#include <array>

namespace vitrine {

class IoApic : public Device {
public:
    struct Options {
        u64 base = 0xfec0'0000;
        u8 id = 0;
        /// Who the interrupts come from in the eyes of interrupt remapping: the DMAR table must name the same function.
        u16 requester = 0xf0f8;
    };

    IoApic(Bus& mmio, Glass& glass, MsiSink& sink, const Options& options);

    void set_pin(unsigned n, bool level);

    /// EOI broadcast by a local APIC.
    void end_of_interrupt(u8 vector);

    /// Sends again what is pending on level-triggered pins whose remote IRR is clear: after remapping tables have
    /// changed.
    void reevaluate();

    /// Interrupt remapping stands between the I/O APIC and the local APICs from now on.
    void set_sink(MsiSink& sink) { sink_ = &sink; }

    u8 id() const { return static_cast<u8>(id_ >> 24); }

    u16 requester() const { return options_.requester; }

    u64 entry(unsigned n) const { return entries_[n]; }

    std::string_view name() const override { return "ioapic"; }

    void reset(Reset kind) override;
    void access(Region& region, Access& access) override;
    void state(Visitor& v) override;

private:
    u32 read_register() const;
    void write_register(u32 value);
    void write_entry(unsigned n, u64 value, u64 writable);
    void try_level(unsigned n);
    void send(unsigned n);

    Glass& glass_;
    MsiSink* sink_;
    Options options_;
    Region region_;
    u32 id_ = 0;
    u8 select_ = 0;
    u32 levels_ = 0;
    std::array<u64, apic::io_apic_pins> entries_{};
};

} // namespace vitrine
