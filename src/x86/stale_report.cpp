// SPDX-License-Identifier: Apache-2.0
// Telling of stale uses: which entry makes the difference, who changed it, and whether its invalidation may still be under way.
#include "x86/stale.h"

#include <fmt/format.h>

namespace vitrine {

namespace {

constexpr std::string_view linear_kind = "stale.linear", combined_kind = "stale.combined", guest_physical_kind = "stale.guest-physical",
                           table_kind = "stale.paging-structure", under_way = "stale.under-way";
constexpr std::string_view kinds[] = {linear_kind, combined_kind, guest_physical_kind, table_kind, under_way};

/// Places that are told of. Who forgets everything is not helped by more.
constexpr std::size_t most_told = 100;

std::string text_of(const WalkStep& step) {
    static constexpr std::string_view names[] = {"?", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    return fmt::format("{}{}@{:x}={:x}", step.second ? "EPT-" : "", names[step.level], step.at.value, step.value);
}

std::string text_of(u64 page, const Allowed& may) {
    return fmt::format("{:x},{}{}{}", page, may.readable ? 'r' : '-', may.writable ? 'w' : '-', may.executable ? 'x' : '-');
}

std::string_view name_of(Use use) { return use == Use::fetch ? "fetch" : use == Use::write ? "write" : "read"; }

} // namespace

std::span<const std::string_view> stale_kinds() { return kinds; }

/// The page was used where memory, compared just now, would not have led there.
void Stale::note(CachedPage& page, const Access& access, bool walked) {
    WalkResult fresh;
    look(cpu_, access.a, nullptr, fresh);
    // The topmost entry that was changed since; those below it may belong to another table. What has just been put together from what
    // is kept of the way is older than its page: there it is the entry that was changed last.
    const WalkStep* step = nullptr;
    const TableWriter* writer = nullptr;
    for (unsigned n = 0; n < fresh.steps_count; ++n) {
        const TableWriter* last = watch_.last_change(fresh.steps[n].at);
        if (!last || (walked ? writer && last->time <= writer->time : writer || last->time < page.filled))
            continue;
        writer = last;
        step = &fresh.steps[n];
    }
    const bool other_root = !writer && page.root != root(access.a);
    if (!step && !other_root && fresh.steps_count)
        step = &fresh.steps[fresh.steps_count - 1];

    StaleUse use{.kind = walked ? (step && step->second ? guest_physical_kind : table_kind) : cpu_.second_level ? combined_kind : linear_kind,
                 .rip = present_rip(), .linear = access.a.value, .use = access.use, .space = cpu_.tlb().key(), .non_root = cpu_.intercepts != 0};
    if (writer)
        use.writer = *writer;
    use.cached = text_of(page.page_of(access.a.value), allowed(cpu_, page.mapped, access.privilege));
    use.memory = fresh.present ? text_of(fresh.mapped.page, allowed(cpu_, fresh.mapped, access.privilege)) : "not-present";
    use.entry = other_root ? fmt::format("CR3={:x},was={:x}", cpu_.cr3, page.root) : step ? text_of(*step) : "none";

    // Another processor's change, or a device's, is followed by an interrupt that may be on its way. A system may also put off what
    // concerns user programs alone, and let another thread of the program run meanwhile. What the system itself uses it must drop first.
    const bool own = writer && writer->by == cpu_.requester();
    const bool may_come = writer && in_time(*writer) && (!own || (!step->second && access.privilege != Privilege::supervisor));
    if (!may_come) {
        if (page.pending)
            settle(page);
        count(use);
    } else if (page.pending) {
        ++page.pending->count;
    } else {
        page.pending = std::make_shared<StaleUse>(std::move(use));
    }
}

/// Its invalidation has come, or will not.
void Stale::settle(CachedPage& page) {
    const std::shared_ptr<StaleUse> use = std::move(page.pending);
    page.pending.reset();
    if (in_time(*use->writer))
        cpu_.glass().counter(under_way) += use->count;
    else
        count(*use);
}

void Stale::settle() {
    cache_.each_pending([this](CachedPage& page) { settle(page); });
}

void Stale::count(const StaleUse& use) {
    cpu_.glass().counter(use.kind) += use.count;
    if (watch_.told.size() < most_told &&
        watch_.told.emplace(use.rip, use.writer ? use.writer->rip : 0, use.space.root, use.space.vpid, use.kind).second)
        tell(use);
}

void Stale::tell(const StaleUse& use) {
    std::string changed = "nobody-seen";
    if (const auto& w = use.writer; w && w->by.is_processor())
        changed = fmt::format("CPU{},{},rip={:x},at={}", w->by.cpu, w->non_root ? "L2" : "L1", w->rip, w->instructions);
    else if (w)
        changed = fmt::format("device-{:02x}:{:02x}.{}", w->by.id >> 8, w->by.id >> 3 & 31, w->by.id & 7);
    cpu_.glass().report(Topic::cpu, use.kind,
                        {{"cpu", cpu_.index()}, {"level", use.non_root ? "L2" : "L1"}, {"vpid", use.space.vpid}, {"pcid", use.space.pcid},
                         {"eptp", use.space.root}, {"rip", use.rip}, {"access", name_of(use.use)}, {"linear", use.linear}, {"cached", use.cached},
                         {"memory", use.memory}, {"entry", use.entry}, {"changed-by", changed}});
}

} // namespace vitrine
