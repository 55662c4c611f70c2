// SPDX-License-Identifier: Apache-2.0
// Finding and telling stale uses.
#include "vtd/stale.h"

namespace vitrine::vtd {

namespace {

constexpr std::string_view kinds[] = {"stale.context", "stale.iotlb", "stale.second-stage", "stale.interrupt-entry", "stale.dma-under-way"};
constexpr std::string_view under_way = kinds[4];
constexpr std::size_t most_told = 100;

} // namespace

std::span<const std::string_view> stale_kinds() {
    return kinds;
}

StaleFinder::StaleFinder(EntryWatch& watch, Clock& clock, Glass& glass) : watch_(watch), clock_(clock), glass_(glass) {
    for (const std::string_view kind : kinds)
        (void)glass_.counter(kind);
}

void StaleFinder::watch(const Steps& steps) {
    for (const Step& s : steps) {
        if (!s.readable)
            continue;
        watch_.watch(s.at);
        if (s.kind != Step::Kind::second_stage)
            watch_.watch(s.at + 8);
    }
}

void StaleFinder::note(Cached& entry, StaleKind kind, StaleUse use, const Steps& steps) {
    use.kind = kinds[static_cast<unsigned>(kind)];
    use.entry = "none";
    // The topmost entry that was changed since; those below it may belong to another table.
    for (const Step& s : steps) {
        use.entry = text_of(s);
        if (!s.readable)
            break;
        auto change = watch_.last_change(s.at);
        if (s.kind != Step::Kind::second_stage)
            if (auto upper = watch_.last_change(s.at + 8); upper && (!change || upper->time > change->time))
                change = upper;
        if (change && change->time >= entry.filled) {
            use.change = change;
            break;
        }
    }
    // The invalidation follows the change, and the device does not wait for it.
    const bool may_come = use.change && clock_.now() - use.change->time <= grace;
    if (!may_come) {
        if (entry.pending)
            settle(entry);
        count(use);
    } else if (entry.pending) {
        ++entry.pending->count;
    } else {
        entry.pending = std::make_shared<StaleUse>(std::move(use));
    }
}

void StaleFinder::settle(Cached& entry) {
    const std::shared_ptr<StaleUse> use = std::move(entry.pending);
    entry.pending.reset();
    if (clock_.now() - use->change->time <= grace)
        glass_.counter(under_way) += use->count;
    else
        count(*use);
}

void StaleFinder::count(const StaleUse& use) {
    glass_.counter(use.kind) += use.count;
    if (told_.size() >= most_told || !told_.emplace(use.kind, use.source, use.domain, use.change ? use.change->rip : 0).second)
        return;
    glass_.report(Topic::vtd, use.kind,
                  {{"device", use.device}, {"requester", use.source}, {"domain", use.domain}, {"address", use.address}, {"cached", use.cached},
                   {"memory", use.memory}, {"entry", use.entry}, {"changed-by", use.change ? std::string_view(use.change->by) : "nobody-seen"}});
}

std::string StaleFinder::changed_by(const Steps& steps) const {
    const Step* last = nullptr;
    for (const Step& s : steps)
        if (s.readable)
            last = &s;
    if (!last)
        return {};
    const auto change = watch_.last_change(last->at);
    return change ? change->by : std::string();
}

} // namespace vitrine::vtd
