// SPDX-License-Identifier: Apache-2.0
// Invalidation: the queue and its descriptors, and what each drops from the caches. Requests that a device made before are done before: DMA is
// never in flight between two instructions here, so draining has nothing to wait for.
#include "vtd/unit.h"

#include "vtd/spec/descriptors.h"

#include <cstring>

namespace vitrine::vtd {

namespace {

template <class Layout> u64 mask_of(const Layout& layout) {
    u64 mask = 0;
    for (const Field& f : fields_of(layout))
        mask |= f.mask();
    return mask;
}

/// Who writes a wait descriptor's status: no function has this id.
constexpr Requester own = Requester::function(0xfffe);

/// What was not present is cached for domain 0, whatever stood in the entry.
u16 tag_of(const CachedContext& c) {
    return c.fault == FaultReason::none ? c.domain() : u16{0};
}

/// Bits of the source-id that a function mask leaves out: none, 2, 2:1, 2:0.
constexpr u16 function_bits[] = {0, 4, 6, 7};

} // namespace

/// From the head to the tail, at most the whole queue. A wait descriptor's status goes to RAM alone, so nothing in the queue moves its tail.
void Unit::run_queue() {
    if (!queue_enabled() || running_queue_ || fault_status.queue_error(registers_.value(fault_status_at)))
        return;
    const u64 address = registers_.value(queue_address_at);
    const u64 size = page_size << queue_address.size(address);
    const u64 tail = registers_.value(queue_tail_at);
    u64& head = registers_.value(queue_head_at);
    if (head == tail)
        return;
    if (queue_address.width(address))
        return stop_queue(QueueErrorReason::width_invalid);
    if (tail >= size || head >= size)
        return stop_queue(QueueErrorReason::tail_invalid);
    running_queue_ = true;
    while (head != tail) {
        const u8* host = space_.host(Physical{(address & queue_address.address.mask()) + head});
        u64 descriptor[2];
        if (!host) {
            stop_queue(QueueErrorReason::fetch_failed);
            break;
        }
        std::memcpy(descriptor, host, sizeof descriptor);
        ++counters_.descriptors;
        if (!run_descriptor(descriptor[0], descriptor[1]))
            break;
        head = (head + descriptor_bytes) & (size - 1);
    }
    running_queue_ = false;
}

void Unit::stop_queue(QueueErrorReason why) {
    u64& fsts = registers_.value(fault_status_at);
    const u64 before = fsts;
    fsts |= fault_status.queue_error.mask();
    registers_.value(queue_error_at) = static_cast<u64>(why);
    const u64 address = registers_.value(queue_address_at);
    const u64 head = registers_.value(queue_head_at);
    u64 low = 0, high = 0;
    if (const u8* host = space_.host(Physical{(address & queue_address.address.mask()) + head})) {
        std::memcpy(&low, host, 8);
        std::memcpy(&high, host + 8, 8);
    }
    glass_.odd(Topic::vtd, "queue-error",
               {{"why", queue_error_names[static_cast<unsigned>(why)]}, {"head", head}, {"tail", registers_.value(queue_tail_at)}, {"low", low}, {"high", high}});
    fault_event(before);
}

bool Unit::run_descriptor(u64 low, u64 high) {
    const auto stop = [this](QueueErrorReason why) {
        stop_queue(why);
        return false;
    };
    const auto reserved = [&](u64 low_mask_, u64 high_mask) { return (low & ~(low_mask_ | any_descriptor.type.mask())) || (high & ~high_mask); };
    if (any_descriptor.type_high(low))
        return stop(QueueErrorReason::type_invalid);
    glass_.tell(Topic::vtd, "descriptor", {{"low", low}, {"high", high}});
    switch (static_cast<DescriptorType>(any_descriptor.type(low))) {
    case DescriptorType::context_cache: {
        const auto& d = context_descriptor;
        if (reserved(mask_of(d), 0) || !d.granularity(low))
            return stop(QueueErrorReason::reserved_bits);
        invalidate_contexts(static_cast<Granularity>(d.granularity(low)), static_cast<u16>(d.domain(low)), static_cast<u16>(d.source(low)),
                            static_cast<unsigned>(d.function_mask(low)));
        return true;
    }
    case DescriptorType::iotlb: {
        const auto& d = iotlb_descriptor_low;
        const auto& h = iotlb_descriptor_high;
        const unsigned mask = static_cast<unsigned>(h.mask(high));
        const auto granularity = static_cast<Granularity>(d.granularity(low));
        if (reserved(mask_of(d), mask_of(h)) || granularity == Granularity::reserved || (granularity == Granularity::selective && mask > most_address_mask))
            return stop(QueueErrorReason::reserved_bits);
        invalidate_pages(granularity, static_cast<u16>(d.domain(low)), high & h.address.mask(), mask, h.hint(high));
        return true;
    }
    case DescriptorType::interrupt_entry_cache: {
        const auto& d = interrupt_descriptor;
        if (!options_.interrupt_remapping)
            return stop(QueueErrorReason::type_invalid);
        if (reserved(mask_of(d), 0))
            return stop(QueueErrorReason::reserved_bits);
        invalidate_interrupts(d.selective(low), static_cast<u16>(d.index(low)), static_cast<unsigned>(d.index_mask(low)));
        return true;
    }
    case DescriptorType::wait:
        if (reserved(mask_of(wait_descriptor_low), mask_of(wait_descriptor_high)))
            return stop(QueueErrorReason::reserved_bits);
        wait_done(low, high);
        return true;
    case DescriptorType::device_tlb: // no device-TLB support
    default:
        return stop(QueueErrorReason::type_invalid);
    }
}

/// Everything before it is done: first the status, then the interrupt.
void Unit::wait_done(u64 low, u64 high) {
    const auto& d = wait_descriptor_low;
    if (d.status_write(low)) {
        const Physical at{high & wait_descriptor_high.address.mask()};
        const u32 data = static_cast<u32>(d.data(low));
        if (u8* host = space_.host(at)) {
            space_.note_write(at, 4, own);
            std::memcpy(host, &data, 4);
        } else {
            glass_.odd(Topic::vtd, "wait-status-to-no-memory", {{"address", at.value}, {"data", data}});
        }
    }
    if (!d.interrupt(low))
        return;
    u64& ics = registers_.value(completion_status_at);
    if (completion_status.complete(ics))
        return; // software has not taken note of the one before
    ics |= completion_status.complete.mask();
    u64& control = registers_.value(completion_event_at);
    if (event_control.mask(control))
        control |= event_control.pending.mask();
    else
        send_event(completion_event_at);
}

Granularity Unit::invalidate_contexts(Granularity granularity, u16 domain, u16 source, unsigned function_mask) {
    const u16 ignored = function_bits[function_mask & 3];
    glass_.tell(Topic::vtd, "invalidate-contexts", {{"granularity", static_cast<u64>(granularity)}, {"domain", domain}, {"requester", source}, {"mask", ignored}});
    switch (granularity) {
    case Granularity::global:
        contexts_.clear();
        break;
    case Granularity::domain:
        contexts_.drop([&](const CachedContext& c) { return tag_of(c) == domain; });
        break;
    case Granularity::selective:
        contexts_.drop([&](const CachedContext& c) { return ((c.key ^ source) & 0xffff & ~u64{ignored}) == 0 && tag_of(c) == domain; });
        break;
    case Granularity::reserved:
        break;
    }
    return granularity;
}

Granularity Unit::invalidate_pages(Granularity granularity, u16 domain, u64 address, unsigned mask, bool hint) {
    glass_.tell(Topic::vtd, "invalidate-pages",
                {{"granularity", static_cast<u64>(granularity)}, {"domain", domain}, {"address", address}, {"mask", mask}, {"hint", hint}});
    const auto in_domain = [&](const auto& e) { return PageKey::domain(e.key) == domain; };
    switch (granularity) {
    case Granularity::global:
        pages_.clear();
        tables_.clear();
        page_sizes_ = 0;
        break;
    case Granularity::domain:
        pages_.drop(in_domain);
        tables_.drop(in_domain);
        break;
    case Granularity::selective: {
        const u64 first = address & ~low_mask(12 + mask), last = first | low_mask(12 + mask);
        const auto touched = [&](const auto& e) {
            const u64 base = PageKey::address(e.key);
            return PageKey::domain(e.key) == domain && base <= last && (base | low_mask(PageKey::size_log2(e.key))) >= first;
        };
        pages_.drop(touched);
        if (!hint)
            tables_.drop(touched);
        break;
    }
    case Granularity::reserved:
        break;
    }
    return granularity;
}

void Unit::invalidate_interrupts(bool selective, u16 index, unsigned mask) {
    glass_.tell(Topic::vtd, "invalidate-interrupts", {{"selective", selective}, {"index", index}, {"mask", mask}});
    if (!selective)
        return interrupts_cached_.clear();
    const u64 ignored = low_mask(mask);
    interrupts_cached_.drop([&](const CachedInterrupt& e) { return ((e.key ^ index) & ~ignored) == 0; });
}

} // namespace vitrine::vtd
