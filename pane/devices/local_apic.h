// SPDX-License-Identifier: Apache-2.0
// A virtual processor's local APIC, in xAPIC and x2APIC mode. Its registers are the virtual-APIC page, so that the processor
// can serve what it knows how to serve (SDM volume 3, APIC Virtualization and Virtual Interrupts).
#pragma once

#include "interrupts/spec/apic.h"

namespace vitrine::pane {

struct Vcpu;

class LocalApic {
public:
    void start(Vcpu& vcpu, u32 id);

    /// As after INIT; identification and mode stay.
    void reset(bool keep_mode);

    u64 page() const { return reinterpret_cast<u64>(page_); }
    u32 id() const { return id_; }
    bool enabled() const { return base_ & apic::apic_base.en.mask(); }
    bool x2apic() const { return base_ & apic::apic_base.extd.mask(); }
    u64 base() const { return base_; }

    /// WRMSR to IA32_APIC_BASE; false is #GP.
    bool set_base(u64 value);

    /// Registers by xAPIC offset. What a write does happens here too, unless the processor did it.
    u32 read(u16 offset) const;
    void write(u16 offset, u32 value);
    void command(u32 destination, u32 low);

    /// The processor has stored the value already (APIC-write exits).
    void written(u16 offset) { write(offset, reg(offset)); }

    bool is_destination(u32 destination, bool logical) const;

    /// A fixed interrupt; true when it was not pending yet.
    bool accept(u8 vector, bool level);

    /// The same for one that a device has posted, by whoever has this processor: nobody is to be told.
    bool accept_posted(u8 vector);

    /// What came since the last look goes to IRR. Then the highest pending vector, 0 for none.
    u8 pending();

    /// The highest vector in service, 0 for none.
    u8 serving() const { return highest(apic::in_service); }

    /// The vector that may be delivered now; 0: none is above the processor's priority.
    u8 deliverable();
    void begin_service(u8 vector);
    void end_of_interrupt();
    void broadcast_eoi(u8 vector);

    bool takes_ext_int() const;
    u8 task_priority() const { return static_cast<u8>(reg(apic::task_priority)); }
    void set_task_priority(u8 value) { reg(apic::task_priority) = value; }
    u64 level_vectors(unsigned quarter) const { return tmr(2 * quarter) | u64{tmr(2 * quarter + 1)} << 32; }

    u64 deadline() const { return deadline_; }
    void set_tsc_deadline(u64 value);
    u64 tsc_deadline() const { return timer_mode() == apic::TimerMode::tsc_deadline ? guest_deadline_ : 0; }
    void advance(u64 now);

    u64 timer_interrupts = 0, ipis = 0;

private:
    u32& reg(u16 offset) const { return *reinterpret_cast<u32*>(page_ + offset); }
    u32& irr(unsigned n) const { return reg(static_cast<u16>(apic::interrupt_request + 16 * n)); }
    u32& isr(unsigned n) const { return reg(static_cast<u16>(apic::in_service + 16 * n)); }
    u32& tmr(unsigned n) const { return reg(static_cast<u16>(apic::trigger_mode + 16 * n)); }
    apic::TimerMode timer_mode() const { return static_cast<apic::TimerMode>(apic::lvt.timer_mode(reg(apic::lvt_timer))); }
    u64 timer_period() const;
    u8 highest(u16 first) const;
    void identify();

    Vcpu* vcpu_ = nullptr;
    u8* page_ = nullptr;
    u32 id_ = 0;
    u64 base_ = 0;
    u32 requested_[8]{}; ///< not yet in IRR: the page may be in use by a running processor
    u64 deadline_ = ~0ull, timer_start_ = 0, guest_deadline_ = 0;
};

} // namespace vitrine::pane
