// SPDX-License-Identifier: Apache-2.0
// The local APIC: modes, what it accepts, priorities, local vector table, errors. Register access is in
// local_apic_registers.cpp.
#include "interrupts/local_apic.h"

#include <algorithm>
#include <string>

namespace vitrine {

using namespace apic;

namespace {

constexpr u64 default_base = 0xfee0'0000;
constexpr u32 lvt_masked = static_cast<u32>(lvt.mask.mask());

u8 class_of(u8 vector) {
    return vector & 0xf0;
}

} // namespace

LocalApic::LocalApic(Clock& clock, Glass& glass, ApicBus& bus, const Options& options)
    : glass_(glass), bus_(bus), options_(options),
      timer_(clock, "apic-timer-" + std::to_string(options.processor), [this] { deliver_lvt(lvt_timer); }) {
    reset(Reset::cold);
}

void LocalApic::connect(Pins& pins) {
    pins_ = &pins;
    pins_->set_interrupt(announced_);
}

void LocalApic::reset(Reset kind) {
    if (kind != Reset::init) {
        base_ = default_base | apic_base.en.mask() | (options_.bootstrap ? apic_base.bsp.mask() : 0);
        xapic_id_ = options_.id & 0xff;
    }
    clear();
}

void LocalApic::clear() {
    task_priority_ = 0;
    ldr_ = 0;
    dfr_ = 0xffff'ffff;
    spurious_ = 0xff;
    icr_ = 0;
    esr_ = errors_ = 0;
    std::fill_n(lvt_, lvt_count, lvt_masked);
    irr_.clear();
    isr_.clear();
    tmr_.clear();
    ext_int_message_ = false;
    timer_.reset();
    update();
}

// SDM, "x2APIC State Transitions": disabled -> xAPIC -> x2APIC -> disabled, and xAPIC -> disabled. Nothing else.
bool LocalApic::set_base(u64 value) {
    const u64 known = apic_base.bsp.mask() | apic_base.en.mask() | (options_.x2apic ? apic_base.extd.mask() : 0) |
                      (apic_base.base.mask() & low_mask(options_.physical_bits));
    if (value & ~known)
        return false;
    const u64 from = base_ & mode_mask, to = value & mode_mask;
    if (to == apic_base.extd.mask())
        return false;
    if ((from == 0 && to == mode_mask) || (from == mode_mask && to == apic_base.en.mask()))
        return false;
    base_ = value;
    if (from == to)
        return true;
    if (to == 0) {
        xapic_id_ = options_.id & 0xff;
        const u8 priority = task_priority_; // CR8 outlives the APIC
        clear();
        task_priority_ = priority;
    } else if (to == mode_mask) {
        icr_ = static_cast<u32>(icr_);
    }
    glass_.tell(Topic::interrupts, "apic.mode", {{"cpu", options_.processor}, {"base", value}});
    update();
    return true;
}

bool LocalApic::covers(Physical p) const {
    return (base_ & mode_mask) == apic_base.en.mask() && p.page().value == (base_ & apic_base.base.mask());
}

u8 LocalApic::processor_priority() const {
    const u8 serving = class_of(isr_.highest());
    return class_of(task_priority_) >= serving ? task_priority_ : serving;
}

u8 LocalApic::arbitration_priority() const {
    const u8 waiting = class_of(irr_.highest()), serving = class_of(isr_.highest());
    if (class_of(task_priority_) >= waiting && class_of(task_priority_) > serving)
        return task_priority_;
    return std::max({class_of(task_priority_), waiting, serving});
}

u32 LocalApic::logical_id() const {
    return x2apic_mode() ? options_.id >> 4 << 16 | 1u << (options_.id & 15) : ldr_;
}

bool LocalApic::is_destination(const InterruptMessage& m) const {
    if (!globally_enabled())
        return false;
    if (m.broadcast())
        return true;
    if (!m.logical)
        return m.destination == id();
    if (x2apic_mode())
        return m.destination >> 16 == logical_id() >> 16 && (m.destination & logical_id() & 0xffff);
    if (m.destination > 0xff)
        return false;
    const u32 mine = logical_id() >> 24;
    if (dfr_ >> 28 == 0xf) // flat
        return mine & m.destination;
    return mine >> 4 == m.destination >> 4 && (mine & m.destination & 0xf); // cluster
}

void LocalApic::accept(const InterruptMessage& m) {
    switch (m.mode) {
    case DeliveryMode::fixed:
    case DeliveryMode::lowest_priority:
        if (takes_fixed())
            request(m.vector, m.level);
        else
            glass_.tell(Topic::interrupts, "apic.disabled-drops", {{"cpu", options_.processor}, {"vector", m.vector}});
        return;
    case DeliveryMode::ext_int:
        ext_int_message_ = true;
        return update();
    case DeliveryMode::smi:
        if (pins_)
            pins_->smi();
        return;
    case DeliveryMode::nmi:
        if (pins_)
            pins_->nmi();
        return;
    case DeliveryMode::init:
        if (pins_)
            pins_->init();
        return;
    case DeliveryMode::start_up:
        if (pins_)
            pins_->sipi(m.vector);
        return;
    case DeliveryMode::reserved:
        glass_.odd(Topic::interrupts, "apic.reserved-delivery-mode",
                   {{"cpu", options_.processor}, {"vector", m.vector}});
        return;
    }
}

void LocalApic::request(u8 vector, bool level) {
    if (vector < 16)
        return error(esr.receive_illegal_vector.mask());
    irr_.set(vector);
    tmr_.set(vector, level);
    update();
}

// The error interrupt comes with the first error; a write to ESR arms it again.
void LocalApic::error(u64 bits) {
    const bool first = errors_ == 0;
    errors_ |= static_cast<u32>(bits);
    glass_.odd(Topic::interrupts, "apic.error", {{"cpu", options_.processor}, {"bits", bits}});
    if (first)
        deliver_lvt(lvt_error);
}

void LocalApic::raise(Offset entry) {
    deliver_lvt(entry);
}

void LocalApic::deliver_lvt(u16 offset) {
    u32& entry = lvt_entry(offset);
    if (!globally_enabled() || lvt.mask(entry))
        return;
    InterruptMessage m;
    m.mode = static_cast<DeliveryMode>(lvt.delivery_mode(entry));
    m.vector = static_cast<u8>(lvt.vector(entry));
    m.level = offset == lvt_lint0 && lvt.level(entry) && m.mode == DeliveryMode::fixed;
    if (offset == lvt_performance)
        entry |= lvt_masked; // one interrupt for each unmasking
    if (m.mode == DeliveryMode::lowest_priority || m.mode == DeliveryMode::start_up || m.mode == DeliveryMode::ext_int)
        m.mode = DeliveryMode::reserved;
    accept(m);
}

void LocalApic::set_lint(unsigned n, bool level) {
    const bool rose = level && !lint_[n];
    lint_[n] = level;
    if (!globally_enabled()) {
        // Without the APIC the pins are the processor's INTR and NMI.
        if (n == 1 && rose && pins_)
            pins_->nmi();
        return update();
    }
    const u32 entry = lvt_value(n == 0 ? lvt_lint0 : lvt_lint1);
    const auto mode = static_cast<DeliveryMode>(lvt.delivery_mode(entry));
    if (n == 0 && mode == DeliveryMode::fixed && lvt.level(entry))
        try_lint0();
    else if (rose && mode != DeliveryMode::ext_int)
        deliver_lvt(n == 0 ? lvt_lint0 : lvt_lint1);
    update();
}

void LocalApic::try_lint0() {
    u32& entry = lvt_entry(lvt_lint0);
    if (!lint_[0] || lvt.mask(entry) || lvt.remote_irr(entry) || !lvt.level(entry) || lvt.delivery_mode(entry) != 0)
        return;
    entry |= static_cast<u32>(lvt.remote_irr.mask());
    deliver_lvt(lvt_lint0);
}

bool LocalApic::ext_int_pending() const {
    if (!globally_enabled())
        return lint_[0];
    const auto passes = [&](u16 offset, bool level) {
        const u32 entry = lvt_value(offset);
        return level && !lvt.mask(entry) && lvt.delivery_mode(entry) == u64(DeliveryMode::ext_int);
    };
    return ext_int_message_ || passes(lvt_lint0, lint_[0]) || passes(lvt_lint1, lint_[1]);
}

bool LocalApic::fixed_pending() const {
    return class_of(irr_.highest()) > class_of(processor_priority());
}

void LocalApic::update() {
    const bool pending = ext_int_pending() || fixed_pending();
    if (pending == announced_)
        return;
    announced_ = pending;
    if (pins_)
        pins_->set_interrupt(pending);
}

u8 LocalApic::acknowledge() {
    if (ext_int_pending()) {
        ext_int_message_ = false;
        const u8 vector = bus_.acknowledge_ext_int();
        update();
        return vector;
    }
    if (!fixed_pending()) // withdrawn meanwhile, by a raised task priority for instance
        return static_cast<u8>(svr.vector(spurious_));
    const u8 vector = irr_.highest();
    irr_.set(vector, false);
    isr_.set(vector);
    glass_.tell(Topic::interrupts, "apic.acknowledge", {{"cpu", options_.processor}, {"vector", vector}});
    update();
    return vector;
}

void LocalApic::end_of_interrupt() {
    const u8 vector = isr_.highest();
    if (vector == 0)
        return;
    isr_.set(vector, false);
    if (tmr_.test(vector)) {
        u32& lint0 = lvt_entry(lvt_lint0);
        if (lvt.remote_irr(lint0) && lvt.vector(lint0) == vector) {
            lint0 &= ~static_cast<u32>(lvt.remote_irr.mask());
            try_lint0();
        }
        if (!svr.suppress_eoi_broadcast(spurious_))
            bus_.broadcast_eoi(vector);
    }
    update();
}

void LocalApic::set_cr8(u8 value) {
    task_priority_ = static_cast<u8>(value << 4);
    update();
}

void LocalApic::state(Visitor& v) {
    v.field("base", base_);
    v.field("xapic-id", xapic_id_);
    v.field("task-priority", task_priority_);
    v.field("ldr", ldr_);
    v.field("dfr", dfr_);
    v.field("spurious", spurious_);
    v.field("icr", icr_);
    v.field("esr", esr_);
    v.field("errors", errors_);
    v.field("lvt", lvt_);
    v.field("irr", irr_);
    v.field("isr", isr_);
    v.field("tmr", tmr_);
    v.field("lint", lint_);
    v.field("ext-int-message", ext_int_message_);
    v.field("announced", announced_);
    v.field("timer", timer_);
    if (v.loading() && pins_)
        pins_->set_interrupt(announced_);
}

} // namespace vitrine
