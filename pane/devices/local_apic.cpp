// SPDX-License-Identifier: Apache-2.0
// The local APIC's registers, priorities, timer and inter-processor interrupts (SDM volume 3, Advanced Programmable Interrupt Controller).
#include "pane/devices/local_apic.h"

#include "pane/guest/guest.h"
#include "pane/kernel/memory.h"
#include "pane/kernel/time.h"

namespace vitrine::pane {

using namespace apic;

void LocalApic::start(Vcpu& vcpu, u32 id) {
    vcpu_ = &vcpu;
    id_ = id;
    if (!page_)
        page_ = reinterpret_cast<u8*>(allocate(4096));
    reset(false);
    if (id_ == 0) { // as firmware leaves the boot processor's: the 8259s reach it by LINT0, NMIs by LINT1
        reg(spurious_vector) = static_cast<u32>(svr.enable.mask()) | 0xff;
        reg(lvt_lint0) = static_cast<u32>(DeliveryMode::ext_int) << 8;
        reg(lvt_lint1) = static_cast<u32>(DeliveryMode::nmi) << 8;
    }
}

void LocalApic::reset(bool keep_mode) {
    clear_pages(page(), 4096);
    if (!keep_mode)
        base_ = 0xfee0'0000 | apic_base.en.mask() | (id_ == 0 ? apic_base.bsp.mask() : 0);
    for (u32& r : requested_)
        r = 0;
    reg(version) = version_value;
    reg(destination_format) = ~0u;
    reg(spurious_vector) = 0xff;
    for (const u16 entry : {lvt_cmci, lvt_timer, lvt_thermal, lvt_performance, lvt_lint0, lvt_lint1, lvt_error})
        reg(entry) = static_cast<u32>(lvt.mask.mask());
    deadline_ = ~0ull;
    guest_deadline_ = 0;
    identify();
}

/// The identification's form depends on the mode; in x2APIC mode the logical one follows from it.
void LocalApic::identify() {
    reg(apic::id) = x2apic() ? id_ : id_ << 24;
    if (x2apic())
        reg(logical_destination) = (id_ >> 4) << 16 | 1u << (id_ & 15);
}

bool LocalApic::set_base(u64 value) {
    const bool en = apic_base.en(value), extd = apic_base.extd(value);
    if ((value & 0xff) || (value >> 9 & 1) || apic_base.base(value) != 0xfee00 || (extd && !en) || (x2apic() && en && !extd) ||
        (!enabled() && extd))
        return false; // Pane keeps the page where it is on every PC
    const bool was_x2apic = x2apic(), was_enabled = enabled();
    base_ = (value & ~apic_base.bsp.mask()) | (base_ & apic_base.bsp.mask());
    if (was_enabled && !en)
        reset(true);
    if (was_x2apic != x2apic() || was_enabled != enabled()) {
        identify();
        vcpu_->apic_mode_changed();
    }
    return true;
}

u32 LocalApic::read(u16 offset) const {
    switch (offset) {
    case current_count: {
        if (deadline_ == ~0ull || timer_mode() == TimerMode::tsc_deadline)
            return 0;
        const u64 now = rdtsc();
        return now >= deadline_ ? 0 : static_cast<u32>(scale(deadline_ - now, reg(initial_count), timer_period()));
    }
    case processor_priority: {
        const u8 serving = highest(in_service), task = task_priority();
        return (task >> 4) >= (serving >> 4) ? task : serving & 0xf0u;
    }
    default: return offset < 0x400 && offset % 16 == 0 ? reg(offset) : 0;
    }
}

void LocalApic::write(u16 offset, u32 value) {
    const RegisterRow* row = find(offset);
    if (!row || !(x2apic() ? row->x2apic_write : row->xapic_write))
        return;
    switch (offset) {
    case eoi: end_of_interrupt(); return;
    case interrupt_command:
        reg(offset) = value & row->writable;
        command(reg(interrupt_command_high) >> 24, reg(offset));
        return;
    case self_ipi: ipis += accept(static_cast<u8>(value), false); return;
    case error_status: reg(offset) = 0; return; // Pane sends no message that could be an error
    case apic::id: identify(); return;
    default: break;
    }
    reg(offset) = (value & row->writable) | (offset == destination_format ? 0x0fff'ffff : 0);
    switch (offset) {
    case spurious_vector:
        if (!svr.enable(value))
            for (const u16 entry : {lvt_cmci, lvt_timer, lvt_thermal, lvt_performance, lvt_lint0, lvt_lint1, lvt_error})
                reg(entry) |= static_cast<u32>(lvt.mask.mask());
        break;
    case initial_count:
        if (timer_mode() == TimerMode::tsc_deadline)
            break;
        timer_start_ = rdtsc();
        deadline_ = value ? timer_start_ + timer_period() : ~0ull;
        break;
    case lvt_timer:
        if ((timer_mode() == TimerMode::tsc_deadline) != (guest_deadline_ != 0)) {
            deadline_ = ~0ull;
            guest_deadline_ = 0;
        }
        break;
    }
}

u64 LocalApic::timer_period() const {
    const u32 divide = reg(divide_configuration);
    const unsigned code = (divide & 3) | (divide >> 1 & 4);
    const u64 divider = code == 7 ? 1 : 2ull << code;
    const u64 ticks = scale(reg(initial_count) * divider, tsc_frequency(), crystal_frequency());
    return ticks ? ticks : 1;
}

void LocalApic::set_tsc_deadline(u64 value) {
    if (timer_mode() != TimerMode::tsc_deadline)
        return;
    guest_deadline_ = value;
    deadline_ = value ? value : ~0ull;
}

void LocalApic::advance(u64 now) {
    if (now < deadline_)
        return;
    if (timer_mode() == TimerMode::periodic) {
        const u64 period = timer_period();
        deadline_ += (now - deadline_) / period * period + period;
    } else {
        deadline_ = ~0ull;
        guest_deadline_ = 0;
    }
    const u32 entry = reg(lvt_timer);
    if (!lvt.mask(entry))
        timer_interrupts += accept(static_cast<u8>(lvt.vector(entry)), false);
}

bool LocalApic::is_destination(u32 destination, bool logical) const {
    if (!enabled())
        return false;
    if (!logical)
        return destination == id_ || destination == (x2apic() ? ~0u : 0xffu);
    const u32 mine = reg(logical_destination);
    if (x2apic())
        return destination >> 16 == mine >> 16 && (destination & mine & 0xffff);
    const u32 bits_of_mine = mine >> 24;
    if (reg(destination_format) >> 28 == 0xf)
        return (destination & bits_of_mine) != 0; // flat
    return destination >> 4 == bits_of_mine >> 4 && (destination & bits_of_mine & 15); // cluster
}

void LocalApic::command(u32 destination, u32 low) {
    Message m{static_cast<u8>(icr.vector(low)), static_cast<DeliveryMode>(icr.delivery_mode(low)), icr.logical(low) != 0, false, destination};
    if (m.mode == DeliveryMode::init && !icr.assert_level(low))
        return; // INIT level de-assert: nothing on any processor of this century
    const auto shorthand = static_cast<Shorthand>(icr.shorthand(low));
    Guest& guest = *vcpu_->guest;
    if (shorthand == Shorthand::none) {
        ipis += guest.deliver(m);
        return;
    }
    for (unsigned n = 0; n < guest.vcpu_count; ++n) {
        Vcpu& v = *guest.vcpus[n];
        const bool self = &v == vcpu_;
        if (shorthand == Shorthand::self ? self : shorthand == Shorthand::all_including_self || !self)
            ipis += v.receive(m);
    }
}

bool LocalApic::accept(u8 vector, bool level) {
    if (!enabled() || !svr.enable(reg(spurious_vector)) || vector < 16)
        return false;
    const u32 bit = 1u << (vector & 31);
    u32& requested = requested_[vector / 32];
    const bool fresh = !(requested & bit) && !(irr(vector / 32) & bit);
    requested |= bit;
    u32& t = tmr(vector / 32);
    t = level ? t | bit : t & ~bit;
    vcpu_->notify();
    return fresh;
}

bool LocalApic::accept_posted(u8 vector) {
    if (!enabled() || !svr.enable(reg(spurious_vector)) || vector < 16)
        return false;
    requested_[vector / 32] |= 1u << (vector & 31);
    tmr(vector / 32) &= ~(1u << (vector & 31));
    return true;
}

u8 LocalApic::highest(u16 first) const {
    for (unsigned n = 8; n-- > 0;)
        if (const u32 word = reg(static_cast<u16>(first + 16 * n)))
            return static_cast<u8>(32 * n + 31 - static_cast<unsigned>(__builtin_clz(word)));
    return 0;
}

u8 LocalApic::pending() {
    for (unsigned n = 0; n < 8; ++n) {
        irr(n) |= requested_[n];
        requested_[n] = 0;
    }
    return highest(interrupt_request);
}

u8 LocalApic::deliverable() {
    const u8 vector = pending();
    return vector >> 4 > read(processor_priority) >> 4 ? vector : 0;
}

void LocalApic::begin_service(u8 vector) {
    irr(vector / 32) &= ~(1u << (vector & 31));
    isr(vector / 32) |= 1u << (vector & 31);
}

void LocalApic::end_of_interrupt() {
    const u8 vector = highest(in_service);
    if (!vector)
        return;
    isr(vector / 32) &= ~(1u << (vector & 31));
    if (tmr(vector / 32) >> (vector & 31) & 1)
        broadcast_eoi(vector);
}

void LocalApic::broadcast_eoi(u8 vector) { vcpu_->guest->io_apic.end_of_interrupt(*vcpu_->guest, vector); }

/// Whether the 8259s reach this processor: through LINT0, or straight when the local APIC is off.
bool LocalApic::takes_ext_int() const {
    if (id_ != 0)
        return false;
    const u32 entry = reg(lvt_lint0);
    return !enabled() || (!lvt.mask(entry) && static_cast<DeliveryMode>(lvt.delivery_mode(entry)) == DeliveryMode::ext_int);
}

} // namespace vitrine::pane
