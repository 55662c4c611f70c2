// SPDX-License-Identifier: Apache-2.0
// The local APIC as software sees it: the xAPIC page, the x2APIC MSRs, and the interrupt command register.
#include "interrupts/local_apic.h"

namespace vitrine {

using namespace apic;

namespace {

constexpr u16 lvt_offsets[] = {lvt_cmci, lvt_timer, lvt_thermal, lvt_performance, lvt_lint0, lvt_lint1, lvt_error};

bool is_vector_word(u16 offset) {
    return offset >= in_service && offset < error_status;
}

} // namespace

int LocalApic::lvt_index(u16 offset) {
    for (unsigned i = 0; i < lvt_count; ++i)
        if (lvt_offsets[i] == offset)
            return static_cast<int>(i);
    return -1;
}

u32 LocalApic::read_register(u16 offset) {
    if (is_vector_word(offset)) {
        const VectorSet& set = offset < trigger_mode ? isr_ : offset < interrupt_request ? tmr_ : irr_;
        return set.word((offset >> 4) & 7);
    }
    if (lvt_index(offset) >= 0)
        return lvt_value(offset);
    switch (offset) {
    case apic::id:
        return x2apic_mode() ? options_.id : xapic_id_ << 24;
    case version:
        return version_value;
    case task_priority:
        return task_priority_;
    case apic::arbitration_priority:
        return arbitration_priority();
    case apic::processor_priority:
        return processor_priority();
    case logical_destination:
        return logical_id();
    case destination_format:
        return dfr_;
    case spurious_vector:
        return spurious_;
    case error_status:
        return esr_;
    case interrupt_command:
        return static_cast<u32>(icr_);
    case interrupt_command_high:
        return static_cast<u32>(icr_ >> 32);
    case initial_count:
        return timer_.initial();
    case current_count:
        return timer_.current();
    case divide_configuration:
        return timer_.divide_configuration();
    default:
        return 0; // remote read
    }
}

void LocalApic::write_register(u16 offset, u32 value) {
    glass_.tell(Topic::interrupts, "apic.write", {{"cpu", options_.processor}, {"offset", offset}, {"value", value}});
    if (lvt_index(offset) >= 0)
        return write_lvt(offset, value);
    switch (offset) {
    case apic::id:
        xapic_id_ = value >> 24;
        break;
    case task_priority:
        task_priority_ = static_cast<u8>(value);
        update();
        break;
    case eoi:
        end_of_interrupt();
        break;
    case logical_destination:
        ldr_ = value;
        break;
    case destination_format:
        dfr_ = value | 0x0fff'ffff;
        break;
    case spurious_vector:
        write_spurious(value);
        break;
    case error_status:
        esr_ = errors_;
        errors_ = 0;
        break;
    case interrupt_command:
        icr_ = (icr_ & ~low_mask(32)) | value;
        send_ipi(icr_);
        break;
    case interrupt_command_high:
        icr_ = static_cast<u32>(icr_) | u64{value} << 32;
        break;
    case initial_count:
        timer_.set_initial(value);
        break;
    case divide_configuration:
        timer_.set_divide(static_cast<u8>(value));
        break;
    default:
        break;
    }
}

void LocalApic::configure_timer() {
    const u32 entry = lvt_value(lvt_timer);
    auto mode = static_cast<TimerMode>(lvt.timer_mode(entry));
    if (mode == TimerMode::tsc_deadline && !options_.tsc_deadline)
        mode = TimerMode::reserved;
    if (mode == TimerMode::reserved)
        glass_.odd(Topic::interrupts, "apic.reserved-timer-mode", {{"cpu", options_.processor}, {"lvt", entry}});
    timer_.configure(mode, lvt.mask(entry));
}

void LocalApic::write_lvt(u16 offset, u32 value) {
    u32& entry = lvt_entry(offset);
    if (!svr.enable(spurious_))
        value |= static_cast<u32>(lvt.mask.mask()); // a software-disabled APIC keeps every entry masked
    if (offset == lvt_lint0 && lvt.level(value) && lvt.delivery_mode(value) == 0)
        value |= entry & static_cast<u32>(lvt.remote_irr.mask());
    entry = value;
    if (offset == lvt_timer)
        configure_timer();
    else if (offset == lvt_lint0)
        try_lint0();
    update();
}

void LocalApic::write_spurious(u32 value) {
    const bool was = svr.enable(spurious_);
    spurious_ = value;
    if (was && !svr.enable(value)) {
        for (u32& entry : lvt_)
            entry |= static_cast<u32>(lvt.mask.mask());
        configure_timer();
    }
    update();
}

void LocalApic::send_ipi(u64 command) {
    InterruptMessage m;
    m.wide = x2apic_mode();
    m.destination = static_cast<u32>(m.wide ? icr.x2apic_destination(command) : icr.xapic_destination(command));
    m.logical = icr.logical(command);
    m.mode = static_cast<DeliveryMode>(icr.delivery_mode(command));
    m.vector = static_cast<u8>(icr.vector(command));
    const auto shorthand = static_cast<Shorthand>(icr.shorthand(command));
    const bool vectored = m.mode == DeliveryMode::fixed || m.mode == DeliveryMode::lowest_priority;
    glass_.tell(Topic::interrupts, "apic.ipi", {{"cpu", options_.processor}, {"icr", command}});
    if (vectored && m.vector < 16)
        return error(esr.send_illegal_vector.mask());
    // INIT level de-assert synchronised arbitration ids long ago; nothing listens to it any more.
    if (m.mode == DeliveryMode::init && icr.level(command) && !icr.assert_level(command))
        return;
    if (m.mode == DeliveryMode::reserved || m.mode == DeliveryMode::ext_int) {
        glass_.odd(Topic::interrupts, "apic.ipi-reserved-delivery-mode",
                   {{"cpu", options_.processor}, {"icr", command}});
        return;
    }
    if ((shorthand == Shorthand::self || shorthand == Shorthand::all_including_self) && m.mode != DeliveryMode::fixed)
        glass_.odd(Topic::interrupts, "apic.ipi-to-self-not-fixed", {{"cpu", options_.processor}, {"icr", command}});
    bus_.ipi(options_.processor, m, shorthand); // IPIs are edges whatever the trigger mode says
}

void LocalApic::notify(u32 destination, u8 vector) {
    const u64 high = x2apic_mode() ? destination : u64{destination >> 8 & 0xff} << 24;
    send_ipi(high << 32 | vector);
}

u64 LocalApic::told(u16 offset, u64 value) {
    glass_.tell(Topic::interrupts, "apic.read", {{"cpu", options_.processor}, {"offset", offset}, {"value", value}});
    return value;
}

void LocalApic::access(Access& a) {
    const auto offset = static_cast<u16>(a.offset & 0xff0);
    const unsigned within = a.offset & 0xf;
    if (!a.write)
        a.value = 0;
    if (within + a.size > 4 && !(within == 0 && a.size == 8)) {
        glass_.odd(Topic::interrupts, "apic.odd-access",
                   {{"cpu", options_.processor}, {"offset", a.offset}, {"size", a.size}});
        return;
    }
    const RegisterRow* row = find(offset);
    const bool vectors = is_vector_word(offset);
    if ((!row && !vectors) || (row && offset == apic::self_ipi))
        return error(esr.illegal_register.mask());
    if (!a.write) {
        if (vectors || row->xapic_read)
            a.answer(told(offset, read_register(offset)), offset);
        else
            glass_.odd(Topic::interrupts, "apic.read-of-write-only", {{"cpu", options_.processor}, {"offset", offset}});
        return;
    }
    if (vectors || !row->xapic_write || within != 0 || a.size < 4) {
        glass_.odd(Topic::interrupts, "apic.ignored-write",
                   {{"cpu", options_.processor}, {"offset", a.offset}, {"size", a.size}, {"value", a.value}});
        return;
    }
    if (row->offset != eoi && row->offset != error_status &&
        a.value & ~u64{row->writable | row->status} & low_mask(32) && row->offset != destination_format)
        glass_.odd(Topic::interrupts, "apic.reserved-bits",
                   {{"cpu", options_.processor}, {"offset", offset}, {"value", a.value}});
    write_register(offset, static_cast<u32>(a.value) & row->writable);
}

bool LocalApic::read_msr(u32 msr, u64& value) {
    if (msr == tsc_deadline_msr) {
        if (options_.tsc_deadline)
            value = timer_.deadline();
        return options_.tsc_deadline;
    }
    if (!x2apic_mode() || msr < x2apic_first_msr || msr > x2apic_last_msr)
        return false;
    const auto offset = static_cast<u16>((msr - x2apic_first_msr) << 4);
    const RegisterRow* row = find(offset);
    if (!is_vector_word(offset) && (!row || !row->x2apic_read))
        return false;
    value = told(offset, offset == interrupt_command ? icr_ : read_register(offset));
    return true;
}

bool LocalApic::write_msr(u32 msr, u64 value) {
    if (msr == tsc_deadline_msr) {
        if (options_.tsc_deadline)
            timer_.set_deadline(value);
        return options_.tsc_deadline;
    }
    if (!x2apic_mode() || msr < x2apic_first_msr || msr > x2apic_last_msr)
        return false;
    const auto offset = static_cast<u16>((msr - x2apic_first_msr) << 4);
    const RegisterRow* row = find(offset);
    if (!row || !row->x2apic_write)
        return false;
    u64 allowed = row->writable | row->status;
    if (offset == interrupt_command)
        allowed |= icr.x2apic_destination.mask();
    if (value & ~allowed)
        return false;
    if (offset == interrupt_command) {
        icr_ = value & ~icr.delivery_status.mask();
        send_ipi(icr_);
    } else if (offset == self_ipi) {
        InterruptMessage m;
        m.vector = static_cast<u8>(value);
        if (m.vector < 16)
            error(esr.send_illegal_vector.mask());
        else
            bus_.ipi(options_.processor, m, Shorthand::self);
    } else {
        write_register(offset, static_cast<u32>(value) & row->writable);
    }
    return true;
}

} // namespace vitrine
