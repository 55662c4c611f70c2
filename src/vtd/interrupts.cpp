// SPDX-License-Identifier: Apache-2.0
// Interrupt remapping: from a message to the entry that it names, and from there to a local APIC or into a posted-interrupt descriptor.
#include "vtd/unit.h"

#include <fmt/format.h>

#include <cstring>

namespace vitrine::vtd {

void Unit::message(Requester requester, u64 address, u32 data) {
    ++by_device_[requester.id].interrupts;
    if (!remapping_interrupts() || address >> 20 != 0xfee)
        return interrupts_.message(requester, address, data);
    const u16 source = requester.id;
    const auto& a = remappable_address;
    if (!a.remappable(address)) {
        if (global_status.compatibility(*status_) && !interrupt_table.extended(interrupt_table_))
            return interrupts_.message(requester, address, data);
        return block_interrupt(source, address, data, 0, FaultReason::compatibility_blocked, false, {});
    }
    u32 index = static_cast<u32>(a.handle(address) | a.handle_high(address) << 15);
    if (a.subhandle_valid(address)) {
        if (data & ~remappable_data.subhandle.mask())
            return block_interrupt(source, address, data, index, FaultReason::request_reserved, false, {});
        index += static_cast<u32>(remappable_data.subhandle(data));
    }
    if (index >> (interrupt_table.size(interrupt_table_) + 1))
        return block_interrupt(source, address, data, index, FaultReason::index_beyond_table, false, {});
    Steps steps;
    const CachedInterrupt entry = entry_of(source, index, steps);
    FaultReason fault = entry.fault;
    if (fault == FaultReason::none && !source_accepted(entry.high, source))
        fault = FaultReason::source_rejected;
    if (fault == FaultReason::none) {
        glass_.tell(Topic::vtd, "interrupt", {{"requester", source}, {"index", index}, {"low", entry.low}, {"high", entry.high}});
        if (remapped_low.posted(entry.low))
            fault = post(entry);
        else
            deliver_remapped(entry);
    }
    if (fault != FaultReason::none)
        block_interrupt(source, address, data, index, fault, entry.silenced, steps.count ? steps : walker_.interrupt(interrupt_table_, index).steps);
}

CachedInterrupt Unit::entry_of(u16 source, u32 index, Steps& steps) {
    if (CachedInterrupt* known = interrupts_cached_.find(index)) {
        ++counters_.entry_hit;
        if (stale_)
            compare(*known, source, index);
        return *known;
    }
    ++counters_.entry_miss;
    const InterruptLook look = walker_.interrupt(interrupt_table_, index);
    steps = look.steps;
    CachedInterrupt entry;
    entry.key = index;
    entry.fault = look.fault;
    entry.low = look.low;
    entry.high = look.high;
    entry.silenced = look.silenced;
    if (stale_) {
        stale_->watch(look.steps);
        entry.filled = stale_->now();
        entry.compared = stale_->generation();
    }
    if (look.fault == FaultReason::none || options_.caching_mode)
        interrupts_cached_.fill(entry);
    return entry;
}

bool Unit::source_accepted(u64 high, u16 source) const {
    if (source == io_apic_ && !options_.verify_io_apic)
        return true;
    const auto& h = remapped_high;
    const u16 expected = static_cast<u16>(h.source(high));
    switch (static_cast<SourceValidation>(h.validation(high))) {
    case SourceValidation::none:
        return true;
    case SourceValidation::source: {
        static constexpr u16 ignored[] = {0, 4, 6, 7}; // of the function number
        return ((source ^ expected) & ~ignored[h.qualifier(high)]) == 0;
    }
    case SourceValidation::buses:
        return source >> 8 >= expected >> 8 && source >> 8 <= (expected & 0xff);
    case SourceValidation::reserved:
        break;
    }
    return false;
}

void Unit::deliver_remapped(const CachedInterrupt& entry) {
    const auto& r = remapped_low;
    InterruptMessage m;
    m.wide = interrupt_table.extended(interrupt_table_);
    m.destination = static_cast<u32>(m.wide ? r.destination(entry.low) : r.destination(entry.low) >> 8 & 0xff);
    m.logical = r.logical(entry.low);
    m.mode = static_cast<apic::DeliveryMode>(r.delivery_mode(entry.low));
    m.vector = static_cast<u8>(r.vector(entry.low));
    m.level = r.level(entry.low);
    m.redirection_hint = r.redirection_hint(entry.low);
    ++counters_.remapped;
    interrupts_.deliver(m);
}

/// Sets the request; notifies unless a notification is outstanding, or suppressed and the interrupt not urgent. One step: nothing else touches
/// the descriptor between its read and its write.
FaultReason Unit::post(const CachedInterrupt& entry) {
    const auto& p = posted_low;
    const Physical at{posted_high.descriptor_high(entry.high) << 32 | p.descriptor_low(entry.low) << 6};
    u8* host = space_.host(at);
    if (!host)
        return FaultReason::descriptor_inaccessible;
    u64 control;
    std::memcpy(&control, host + descriptor_control_at, 8);
    const auto& d = descriptor_control;
    if (control & ~(d.outstanding.mask() | d.suppress.mask() | d.vector.mask() | d.destination.mask()))
        return FaultReason::descriptor_reserved;
    space_.note_write(at, descriptor_size, Requester::function(0xfffe));
    const unsigned vector = static_cast<unsigned>(p.vector(entry.low));
    host[vector / 8] = static_cast<u8>(host[vector / 8] | 1 << vector % 8);
    ++counters_.posted;
    const bool notify = !d.outstanding(control) && (p.urgent(entry.low) || !d.suppress(control));
    glass_.tell(Topic::vtd, "posted", {{"descriptor", at.value}, {"vector", vector}, {"notification", notify}, {"control", control}});
    if (!notify)
        return FaultReason::none;
    control |= d.outstanding.mask();
    std::memcpy(host + descriptor_control_at, &control, 8);
    ++counters_.notified;
    InterruptMessage m;
    m.wide = interrupt_table.extended(interrupt_table_);
    m.destination = static_cast<u32>(m.wide ? d.destination(control) : d.destination(control) >> 8 & 0xff);
    m.vector = static_cast<u8>(d.vector(control));
    interrupts_.deliver(m);
    return FaultReason::none;
}

void Unit::compare(CachedInterrupt& entry, u16 source, u32 index) {
    if (entry.compared == stale_->generation())
        return;
    const InterruptLook fresh = walker_.interrupt(interrupt_table_, index);
    stale_->watch(fresh.steps);
    const u64 ignored = remapped_low.fault_disable.mask() | remapped_low.available.mask();
    const bool same = fresh.fault == entry.fault && (entry.fault != FaultReason::none || (!((fresh.low ^ entry.low) & ~ignored) && fresh.high == entry.high));
    entry.compared = same ? stale_->generation() : 0;
    if (same)
        return;
    StaleUse use{.source = source, .address = index, .device = name_of(source)};
    use.cached = entry.fault == FaultReason::none ? fmt::format("{:016x}:{:016x}", entry.high, entry.low) : row_of(entry.fault).id;
    use.memory = fresh.fault == FaultReason::none ? fmt::format("{:016x}:{:016x}", fresh.high, fresh.low) : row_of(fresh.fault).id;
    stale_->note(entry, StaleKind::interrupt_entry, std::move(use), fresh.steps);
}

} // namespace vitrine::vtd
