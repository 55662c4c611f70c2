// SPDX-License-Identifier: Apache-2.0
// DMA remapping: from requester and device address to physical memory, page by page, through the caches.
#include "vtd/unit.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace vitrine::vtd {

namespace {

constexpr bool for_interrupts(u64 address) { return address >> 20 == 0xfee; }

constexpr u64 left_in_page(u64 address, unsigned size_log2) { return bit(size_log2) - (address & low_mask(size_log2)); }

} // namespace

/// Nothing that the unit does is enabled.
bool Unit::idle() {
    return !translating() && !remapping_interrupts() && !protected_enable.status(*protected_);
}

bool Unit::read(Requester requester, DeviceAddress from, std::span<u8> data) {
    Traffic& traffic = by_device_[requester.id];
    ++traffic.reads;
    traffic.bytes += data.size();
    if (idle() || data.empty() || from.value + (data.size() - 1) < from.value)
        return plain_.read(requester, from, data);
    while (!data.empty()) {
        const Request request{requester.id, from.value, false};
        const Translated t = for_interrupts(from.value) ? refuse("dma.interrupt-address", request) : translate(request);
        const std::span<u8> piece = data.first(std::min<u64>(data.size(), t.length));
        tell(request, t, piece.size());
        if (!t.allowed || !plain_.read(requester, DeviceAddress{t.address}, piece)) {
            std::fill(data.begin(), data.end(), u8{0xff});
            return false;
        }
        if (t.traffic)
            t.traffic->bytes += piece.size();
        data = data.subspan(piece.size());
        from = from + piece.size();
    }
    return true;
}

bool Unit::write(Requester requester, DeviceAddress to, std::span<const u8> data) {
    Traffic& traffic = by_device_[requester.id];
    ++traffic.writes;
    traffic.bytes += data.size();
    if (idle() || data.empty() || to.value + (data.size() - 1) < to.value)
        return plain_.write(requester, to, data);
    if (for_interrupts(to.value) && data.size() == 4 && is_aligned(to.value, 4)) {
        // An interrupt request, before any translation.
        u32 value;
        std::memcpy(&value, data.data(), 4);
        message(requester, to.value, value);
        return true;
    }
    while (!data.empty()) {
        const Request request{requester.id, to.value, true};
        const Translated t = for_interrupts(to.value) ? refuse("dma.interrupt-address", request) : translate(request);
        const std::span<const u8> piece = data.first(std::min<u64>(data.size(), t.length));
        tell(request, t, piece.size());
        if (!t.allowed || !plain_.write(requester, DeviceAddress{t.address}, piece))
            return false;
        if (t.traffic)
            t.traffic->bytes += piece.size();
        data = data.subspan(piece.size());
        to = to + piece.size();
    }
    return true;
}

/// Where allowed DMA was led. What was blocked is told where it is.
void Unit::tell(const Request& request, const Translated& to, u64 size) {
    if (to.allowed && to.domain != no_domain)
        glass_.tell(Topic::vtd, "dma", {{"requester", request.source}, {"domain", to.domain}, {"access", request.write ? "write" : "read"}, {"address", request.address},
                                        {"physical", to.address}, {"size", size}});
}

/// Blocked without a fault: an unsupported request.
Unit::Translated Unit::refuse(std::string_view why, const Request& request) {
    ++counters_.dma_blocked;
    ++by_device_[request.source].blocked;
    glass_.odd(Topic::vtd, why, {{"device", name_of(request.source)}, {"requester", request.source}, {"address", request.address}});
    return {};
}

/// A protected region keeps out whatever is not translated.
bool Unit::is_protected(u64 address) {
    if (!protected_enable.status(*protected_))
        return false;
    RegisterFile& r = registers_;
    const auto covers = [&](u64 base, u64 limit) { return address >= base && address <= (limit | low_mask(21)); };
    return covers(r.value(protected_low_base_at), r.value(protected_low_limit_at)) ||
           covers(r.value(protected_high_base_at), r.value(protected_high_limit_at));
}

Unit::Translated Unit::translate(const Request& request) {
    const Translated same{true, request.address, left_in_page(request.address, 12)};
    if (!translating())
        return is_protected(request.address) ? refuse("dma.protected-region", request) : same;
    const CachedContext* context = context_of(request);
    if (!context)
        return {};
    const u16 domain = context->domain();
    Traffic& traffic = by_domain_[domain];
    ++(request.write ? traffic.writes : traffic.reads);
    const bool passes = static_cast<TranslationType>(context_low.type(context->low)) == TranslationType::pass_through;
    const unsigned levels = static_cast<unsigned>(context_high.width(context->high)) + 2;
    const unsigned width = passes ? options_.address_bits : std::min(options_.address_bits, 12 + 9 * levels);
    if (request.address >> width) {
        block(request, FaultReason::address_beyond_width, context->silenced, domain, {});
        return {};
    }
    Translated result = !passes                           ? page_of(request, *context)
                        : is_protected(request.address) ? refuse("dma.protected-region", request)
                                                        : same;
    result.domain = domain;
    result.traffic = &traffic;
    return result;
}

/// Null: the request has been blocked.
const CachedContext* Unit::context_of(const Request& request) {
    const bool negative = options_.caching_mode;
    if (CachedContext* known = contexts_.find(request.source)) {
        ++counters_.context_hit;
        if (stale_)
            compare(*known, request);
        if (known->fault == FaultReason::none)
            return known;
        block(request, known->fault, known->silenced, {}, walker_.context(root_, request.source).steps);
        return nullptr;
    }
    ++counters_.context_miss;
    const ContextLook look = walker_.context(root_, request.source);
    CachedContext entry;
    entry.key = request.source;
    entry.fault = look.fault;
    entry.low = look.low;
    entry.high = look.high;
    entry.silenced = look.silenced;
    if (stale_) {
        stale_->watch(look.steps);
        entry.filled = stale_->now();
        entry.compared = stale_->generation();
    }
    if (look.fault == FaultReason::none)
        return &contexts_.fill(entry);
    if (negative)
        contexts_.fill(entry);
    block(request, look.fault, look.silenced, {}, look.steps);
    return nullptr;
}

Unit::Translated Unit::use(const CachedPage& page, const Request& request) {
    const u64 address = page.page | (request.address & low_mask(page.size_log2));
    if (for_interrupts(address))
        return refuse("dma.translated-to-interrupts", request);
    return {true, address, left_in_page(request.address, page.size_log2)};
}

Unit::Translated Unit::page_of(const Request& request, const CachedContext& context) {
    const u16 domain = context.domain();
    for (u64 sizes = page_sizes_; sizes; sizes &= sizes - 1) {
        CachedPage* known = pages_.find(PageKey::make(domain, request.address, static_cast<unsigned>(std::countr_zero(sizes))));
        if (!known)
            continue;
        if (stale_)
            compare(*known, context, request);
        if (known->fault == FaultReason::none && (request.write ? known->writable : known->readable)) {
            ++counters_.iotlb_hit;
            return use(*known, request);
        }
        if (options_.caching_mode) {
            ++counters_.iotlb_hit;
            const FaultReason reason = known->fault != FaultReason::none ? known->fault
                                       : request.write                   ? FaultReason::write_not_permitted
                                                                         : FaultReason::read_not_permitted;
            block(request, reason, context.silenced, domain, look(request, context).steps);
            return {};
        }
        break; // it may have gained rights: memory decides
    }
    ++counters_.iotlb_miss;
    const SecondLook found = look(request, context);
    CachedPage page;
    page.key = PageKey::make(domain, request.address, found.size_log2);
    page.fault = found.fault;
    page.page = found.page;
    page.size_log2 = found.size_log2;
    page.readable = found.readable;
    page.writable = found.writable;
    if (stale_) {
        page.filled = stale_->now();
        page.compared = stale_->generation();
    }
    if (found.fault == FaultReason::none || options_.caching_mode) {
        page_sizes_ |= bit(page.size_log2);
        pages_.fill(page);
    }
    if (found.fault == FaultReason::none)
        return use(page, request);
    block(request, found.fault, context.silenced, domain, found.steps);
    return {};
}

/// By memory; with --stale max by tables that are remembered, where these lead somewhere.
SecondLook Unit::look(const Request& request, const CachedContext& context) {
    const unsigned levels = static_cast<unsigned>(context_high.width(context.high)) + 2;
    const SecondStart top{Physical{context.low & context_low.table.mask()}, levels};
    const SecondLook fresh = walker_.second(top, request.address, request.write);
    if (!stale_)
        return fresh;
    stale_->watch(fresh.steps);
    const u16 domain = context.domain();
    if (CachedTable* table = lowest_table(context, request.address)) {
        const SecondLook kept = walker_.second({Physical{table->table}, table->level, table->readable, table->writable}, request.address, request.write);
        if (kept.fault == FaultReason::none && (fresh.fault != FaultReason::none || fresh.page != kept.page || fresh.size_log2 != kept.size_log2)) {
            StaleUse use{.source = request.source, .domain = domain, .address = request.address, .device = name_of(request.source)};
            use.cached = fmt::format("table-{:x},page-{:x}", table->table, kept.page);
            use.memory = fresh.fault == FaultReason::none ? fmt::format("page-{:x}", fresh.page) : row_of(fresh.fault).id;
            stale_->note(*table, StaleKind::paging_structure, std::move(use), fresh.steps);
            return kept;
        }
    }
    if (fresh.fault == FaultReason::none)
        remember_tables(domain, request.address, fresh);
    return fresh;
}

CachedTable* Unit::lowest_table(const CachedContext& context, u64 address) {
    for (unsigned level = 1; level <= 3; ++level)
        if (CachedTable* t = tables_.find(PageKey::make(context.domain(), address, 12 + 9 * level)))
            return t;
    return nullptr;
}

void Unit::remember_tables(u16 domain, u64 address, const SecondLook& look) {
    bool readable = true, writable = true;
    for (const Step& s : look.steps) {
        if (&s + 1 == look.steps.end())
            return; // the last one is the page's
        readable &= second_stage.read(s.low) != 0;
        writable &= second_stage.write(s.low) != 0;
        CachedTable t;
        t.key = PageKey::make(domain, address, 12 + 9 * (s.level - 1u));
        t.table = s.low & second_stage.address.mask();
        t.level = static_cast<u8>(s.level - 1);
        t.readable = readable;
        t.writable = writable;
        t.filled = stale_->now();
        if (!tables_.find(t.key))
            tables_.fill(t);
    }
}

// ---- --stale max ------------------------------------------------------------------------------------------------------------

void Unit::compare(CachedContext& entry, const Request& request) {
    if (entry.compared == stale_->generation())
        return;
    const ContextLook fresh = walker_.context(root_, request.source);
    stale_->watch(fresh.steps);
    const u64 matters_low = ~context_low.fault_disable.mask(), matters_high = ~context_high.available.mask();
    const bool same = fresh.fault == entry.fault && (entry.fault != FaultReason::none || (!((fresh.low ^ entry.low) & matters_low) &&
                                                                                          !((fresh.high ^ entry.high) & matters_high)));
    entry.compared = same ? stale_->generation() : 0;
    if (same)
        return;
    StaleUse use{.source = request.source, .domain = entry.domain(), .address = request.address, .device = name_of(request.source)};
    use.cached = entry.fault == FaultReason::none ? fmt::format("{:016x}:{:016x}", entry.high, entry.low) : row_of(entry.fault).id;
    use.memory = fresh.fault == FaultReason::none ? fmt::format("{:016x}:{:016x}", fresh.high, fresh.low) : row_of(fresh.fault).id;
    stale_->note(entry, StaleKind::context, std::move(use), fresh.steps);
}

void Unit::compare(CachedPage& entry, const CachedContext& context, const Request& request) {
    if (entry.compared == stale_->generation())
        return;
    const unsigned levels = static_cast<unsigned>(context_high.width(context.high)) + 2;
    const SecondLook fresh = walker_.second({Physical{context.low & context_low.table.mask()}, levels}, request.address, request.write);
    stale_->watch(fresh.steps);
    // Rights that were added do not count, nor that the same memory is mapped by another size.
    const u64 at = request.address & ~0xfffull;
    const auto leads = [&](u64 page, u8 size_log2) { return page | (at & low_mask(size_log2)); };
    const bool allowed_by_cache = entry.fault == FaultReason::none && (request.write ? entry.writable : entry.readable);
    const bool same = allowed_by_cache ? fresh.fault == FaultReason::none && leads(fresh.page, fresh.size_log2) == leads(entry.page, entry.size_log2)
                                       : !options_.caching_mode || fresh.fault != FaultReason::none;
    // What holds for a part of a large page need not hold for the rest.
    entry.compared = same && fresh.size_log2 >= entry.size_log2 && allowed_by_cache ? stale_->generation() : 0;
    if (same)
        return;
    StaleUse use{.source = request.source, .domain = context.domain(), .address = request.address, .device = name_of(request.source)};
    use.cached = entry.fault == FaultReason::none
                     ? fmt::format("{:x},{}{}", leads(entry.page, entry.size_log2), entry.readable ? 'r' : '-', entry.writable ? 'w' : '-')
                     : row_of(entry.fault).id;
    use.memory = fresh.fault == FaultReason::none
                     ? fmt::format("{:x},{}{}", leads(fresh.page, fresh.size_log2), fresh.readable ? 'r' : '-', fresh.writable ? 'w' : '-')
                     : row_of(fresh.fault).id;
    stale_->note(entry, StaleKind::iotlb, std::move(use), fresh.steps);
}

} // namespace vitrine::vtd
