// SPDX-License-Identifier: Apache-2.0
// Watching paging structures: every write to a watched entry, before it happens.
#include "x86/table_watch.h"

#include "x86/stale.h"

#include <algorithm>
#include <cstring>

namespace vitrine {

namespace {

/// Accessed and dirty flags of both kinds of entries, and bits that software has for itself: no cache holds them.
constexpr u64 nobody_caches = bit(5) | bit(6) | bit(8) | bit(9) | bit(11) | (low_mask(59) - low_mask(52));

bool differ(u64 a, u64 b, bool exactly) { return ((a ^ b) & (exactly ? ~0ull : ~nobody_caches)) != 0; }

/// A page that was a table once and is written so often without any walk has become something else.
constexpr unsigned patience = 4096;

} // namespace

TableWatch::TableWatch(Space& space) : space_(space) {
    space_.set_table_written([this](Physical p, u64 n, Requester by) { written(p, n, by); });
}

TableWatch::~TableWatch() { space_.set_table_written({}); }

void TableWatch::attach(Stale& processor) { processors_.push_back(&processor); }

void TableWatch::detach(Stale& processor) { std::erase(processors_, &processor); }

u64 TableWatch::value_at(Physical entry) const {
    u64 value = 0;
    if (const u8* host = space_.host(entry))
        std::memcpy(&value, host, sizeof value);
    return value;
}

void TableWatch::watch(Physical entry, bool exactly) {
    const u64 offset = space_.ram_offset(entry);
    if (offset == ~0ull)
        return; // a table in a device's memory cannot be watched
    Page& page = pages_[entry.page().value];
    page.writes = 0;
    page.watched.set(entry.page_offset() / 8);
    if (exactly)
        page.exactly.set(entry.page_offset() / 8);
    space_.set_table_page(offset / page_size, true);
}

void TableWatch::written(Physical address, u64 length, Requester by) {
    if (marking)
        return;
    const auto found = pages_.find(address.page().value);
    if (found == pages_.end())
        return;
    Page& page = found->second;
    bool changes = false;
    for (u64 n = address.page_offset() / 8; n <= (address.page_offset() + length - 1) / 8; ++n) {
        if (!page.watched[n])
            continue;
        changes = true;
        const Place place = space_.glass().place();
        TableWriter writer{.by = by, .time = place.time, .instructions = place.instructions};
        for (const Stale* s : processors_)
            if (by.is_processor() && s->index() == by.cpu)
                s->sign(writer);
        const u64 present = value_at(Physical{found->first + 8 * n});
        const auto [entry, fresh] = page.histories.try_emplace(static_cast<u16>(n));
        History& h = entry->second;
        if (!fresh && differ(h.before, present, page.exactly[n]))
            h.earlier = h.last;
        h.before = present;
        h.last = writer;
    }
    if (!changes)
        return;
    ++generation_;
    // What was compared with memory may not be used without a look any more.
    for (Stale* s : processors_)
        s->forget();
    if (++page.writes >= patience) {
        space_.set_table_page(space_.ram_offset(address) / page_size, false);
        pages_.erase(found);
    }
}

const TableWriter* TableWatch::last_change(Physical entry) const {
    const auto page = pages_.find(entry.page().value);
    if (page == pages_.end())
        return nullptr;
    const auto found = page->second.histories.find(static_cast<u16>(entry.page_offset() / 8));
    if (found == page->second.histories.end())
        return nullptr;
    const History& h = found->second;
    const Physical quadword{entry.value & ~7ull};
    return differ(h.before, value_at(quadword), page->second.exactly[entry.page_offset() / 8]) ? &h.last : h.earlier ? &*h.earlier : nullptr;
}

} // namespace vitrine
