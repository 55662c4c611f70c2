// SPDX-License-Identifier: Apache-2.0
// The local APIC of one processor, in xAPIC and x2APIC mode. SDM, "Advanced Programmable Interrupt Controller (APIC)".
// It speaks to its processor through Pins and to the other APICs, the 8259s and the I/O APIC through ApicBus.
#pragma once

#include "glass/glass.h"
#include "interrupts/apic_timer.h"
#include "interrupts/message.h"
#include "interrupts/vector_set.h"
#include "x86/apic_port.h"
#include "x86/pins.h"

namespace vitrine {

/// What a local APIC needs of the platform.
class ApicBus {
public:
    virtual ~ApicBus() = default;
    /// An IPI: to `message`'s destination, or by shorthand seen from processor `from`.
    virtual void ipi(unsigned from, const InterruptMessage& message, apic::Shorthand shorthand) = 0;
    virtual void broadcast_eoi(u8 vector) = 0;
    /// INTA to the 8259s.
    virtual u8 acknowledge_ext_int() = 0;
};

class LocalApic : public ApicPort {
public:
    struct Options {
        unsigned processor = 0; ///< its index, for the ApicBus
        u32 id = 0;             ///< x2APIC id; its low byte is the initial xAPIC id
        bool bootstrap = false;
        unsigned physical_bits = 46;
        bool x2apic = true;
        bool tsc_deadline = true;
    };

    LocalApic(Clock& clock, Glass& glass, ApicBus& bus, const Options& options);

    /// Without a processor connected the APIC works and tells nobody.
    void connect(Pins& pins);

    // ApicPort
    u8 acknowledge() override;

    u64 base() const override { return base_; }

    bool set_base(u64 value) override;
    bool covers(Physical p) const override;
    void access(Access& access) override;
    bool read_msr(u32 msr, u64& value) override;
    bool write_msr(u32 msr, u64 value) override;

    void notify(u32 destination, u8 vector) override;

    u8 cr8() const override { return static_cast<u8>(task_priority_ >> 4); }

    void set_cr8(u8 value) override;

    void tsc_offset_changed(u64 offset) override { timer_.set_tsc_offset(offset); }

    void reset(Reset kind) override;

    // What arrives from outside.
    bool is_destination(const InterruptMessage& message) const;

    /// For lowest-priority delivery: may it take part, and with which priority (the lowest wins)?
    bool takes_fixed() const { return globally_enabled() && apic::svr.enable(spurious_); }

    u8 arbitration_priority() const;
    void accept(const InterruptMessage& message);
    void set_lint(unsigned n, bool level);

    /// A local source raises its entry: thermal sensor, performance counters, CMCI.
    void raise(apic::Offset entry);

    u32 id() const { return x2apic_mode() ? options_.id : xapic_id_; }

    bool globally_enabled() const { return apic::apic_base.en(base_); }

    bool x2apic_mode() const { return (base_ & mode_mask) == mode_mask; }

    u8 processor_priority() const;

    bool is_requested(u8 vector) const { return irr_.test(vector); }

    bool is_in_service(u8 vector) const { return isr_.test(vector); }

    void state(Visitor& v);

private:
    static constexpr u64 mode_mask = apic::apic_base.en.mask() | apic::apic_base.extd.mask();
    static constexpr unsigned lvt_count = 7;

    static int lvt_index(u16 offset);

    u32& lvt_entry(u16 offset) { return lvt_[static_cast<unsigned>(lvt_index(offset))]; }

    u32 lvt_value(u16 offset) const { return lvt_[static_cast<unsigned>(lvt_index(offset))]; }

    u32 logical_id() const;
    u32 read_register(u16 offset);
    u64 told(u16 offset, u64 value); ///< to the glass, as read
    void write_register(u16 offset, u32 value);
    void write_lvt(u16 offset, u32 value);
    void write_spurious(u32 value);
    void configure_timer();
    void send_ipi(u64 command);
    void deliver_lvt(u16 offset);
    void request(u8 vector, bool level);
    void end_of_interrupt();
    void error(u64 bits);
    void try_lint0();
    bool ext_int_pending() const;
    bool fixed_pending() const;
    void clear();  ///< the registers as after INIT
    void update(); ///< tells the processor when what is pending for it changes

    Glass& glass_;
    ApicBus& bus_;
    Options options_;
    Pins* pins_ = nullptr;
    ApicTimer timer_;

    u64 base_ = 0;
    u32 xapic_id_ = 0; ///< as in bits 31:24 of the register
    u8 task_priority_ = 0;
    u32 ldr_ = 0, dfr_ = 0; ///< xAPIC mode; x2APIC's logical id follows from the id
    u32 spurious_ = 0;
    u64 icr_ = 0;
    u32 esr_ = 0, errors_ = 0; ///< as read, and as gathered since ESR was last written
    u32 lvt_[lvt_count] = {};
    VectorSet irr_, isr_, tmr_;
    bool lint_[2] = {};
    bool ext_int_message_ = false; ///< an ExtINT message has come and the 8259 was not asked since
    bool announced_ = false;       ///< level told to the processor
};

} // namespace vitrine
