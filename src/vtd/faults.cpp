// SPDX-License-Identifier: Apache-2.0
// Blocked requests: what is told of them, primary fault recording, and the two events that the unit sends by itself.
#include "vtd/unit.h"

#include <fmt/format.h>

namespace vitrine::vtd {

namespace {

constexpr u64 any_status = fault_status.overflow.mask() | fault_status.pending.mask() | fault_status.queue_error.mask() |
                           fault_status.completion_error.mask() | fault_status.time_out.mask();

/// Whether a person sees it; if not it is counted here, and its words need not be found.
bool is_shown(Glass& glass, std::string_view event) {
    if (glass.on(Topic::vtd) || glass.counter(event) < Glass::shown_odd)
        return true;
    ++glass.counter(event);
    return false;
}

} // namespace

void Unit::block(const Request& request, FaultReason reason, bool silenced, std::optional<u16> domain, const Steps& steps) {
    const FaultRow& row = row_of(reason);
    ++counters_.dma_blocked;
    ++by_device_[request.source].blocked;
    if (domain)
        ++by_domain_[*domain].blocked;
    const bool quiet = silenced && row.qualified;
    if (is_shown(glass_, "dma.blocked")) {
        // A second-stage walk began at the context entry.
        const std::string before = domain ? text_of(walker_.context(root_, request.source).steps) + "," : std::string();
        glass_.odd(Topic::vtd, "dma.blocked",
                   {{"device", name_of(request.source)}, {"requester", request.source}, {"domain", domain ? fmt::format("{:x}", *domain) : "none"},
                    {"access", request.write ? "write" : "read"}, {"address", request.address}, {"fault", static_cast<u64>(reason)}, {"why", row.meaning},
                    {"walk", before + walk_text(steps)}, {"recorded", quiet ? "no" : "yes"}});
    }
    if (!quiet)
        record(reason, request.source, request.address & ~low_mask(12), !request.write);
}

void Unit::block_interrupt(u16 source, u64 address, u32 data, u32 index, FaultReason reason, bool silenced, const Steps& steps) {
    const FaultRow& row = row_of(reason);
    ++counters_.interrupts_blocked;
    ++by_device_[source].blocked;
    const bool quiet = silenced && row.qualified;
    if (is_shown(glass_, "interrupt.blocked"))
        glass_.odd(Topic::vtd, "interrupt.blocked",
                   {{"device", name_of(source)}, {"requester", source}, {"address", address}, {"data", data}, {"index", index},
                    {"fault", static_cast<u64>(reason)}, {"why", row.meaning}, {"entry", walk_text(steps)}, {"recorded", quiet ? "no" : "yes"}});
    if (!quiet)
        record(reason, source, u64{index & 0xffff} << 48, false);
}

/// A record that software has not cleared is not written over: the fault is lost, and PFO says so; as long as it does, every further one is lost.
void Unit::record(FaultReason reason, u16 source, u64 information, bool read) {
    u64& fsts = registers_.value(fault_status_at);
    const u64 before = fsts;
    const u64 at = fault_records_at + 16 * next_record_;
    u64& high = registers_.value(at + 8);
    if (fault_status.overflow(fsts) || fault_record_high.fault(high)) {
        ++counters_.lost;
        fsts |= fault_status.overflow.mask();
        return fault_event(before);
    }
    ++counters_.recorded;
    registers_.value(at) = information;
    const auto& h = fault_record_high;
    high = h.fault.mask() | h.source.with(0, source) | h.reason.with(0, static_cast<u64>(reason)) | h.read.with(0, read);
    if (!fault_status.pending(fsts))
        fsts = fault_status.index.with(fsts | fault_status.pending.mask(), next_record_);
    next_record_ = static_cast<u8>((next_record_ + 1) % fault_records);
    fault_event(before);
}

/// The first condition makes the event; further ones while it stands do not.
void Unit::fault_event(u64 before) {
    if ((before & any_status) || !(registers_.value(fault_status_at) & any_status))
        return;
    u64& control = registers_.value(fault_event_at);
    if (event_control.mask(control))
        control |= event_control.pending.mask();
    else
        send_event(fault_event_at);
}

/// When no condition is left, no event waits.
void Unit::status_cleared() {
    if (!(registers_.value(fault_status_at) & any_status))
        registers_.value(fault_event_at) &= ~event_control.pending.mask();
}

void Unit::event_control_written(u64 at) {
    u64& control = registers_.value(at);
    if (event_control.mask(control) || !event_control.pending(control))
        return;
    control &= ~event_control.pending.mask();
    send_event(at);
}

/// The unit's own messages are never remapped. Bits 63:40 of the address hold the upper bits of a 32-bit APIC id.
void Unit::send_event(u64 at) {
    const u64 data = registers_.value(at + 4), address = registers_.value(at + 8), upper = registers_.value(at + 12);
    glass_.tell(Topic::vtd, at == fault_event_at ? "fault-event" : "completion-event", {{"address", upper << 32 | address}, {"data", data}});
    if (apic::msi_address.fee(address) != 0xfee) {
        glass_.odd(Topic::vtd, "event-to-no-apic", {{"address", address}});
        return;
    }
    InterruptMessage m;
    m.wide = interrupt_table.extended(interrupt_table_);
    m.destination = static_cast<u32>(apic::msi_address.destination(address) | (m.wide ? upper & 0xffff'ff00 : 0));
    m.logical = apic::msi_address.logical(address);
    m.redirection_hint = apic::msi_address.redirection_hint(address);
    m.mode = static_cast<apic::DeliveryMode>(apic::msi_data.delivery_mode(data));
    m.vector = static_cast<u8>(apic::msi_data.vector(data));
    if (m.mode == apic::DeliveryMode::start_up || m.mode == apic::DeliveryMode::reserved) {
        glass_.odd(Topic::vtd, "event-to-no-apic", {{"address", address}, {"data", data}});
        return;
    }
    interrupts_.deliver(m);
}

} // namespace vitrine::vtd
