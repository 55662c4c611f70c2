// SPDX-License-Identifier: Apache-2.0
// The watch over the remapping unit's tables.
#include "machine/entry_watch.h"

#include <fmt/format.h>

namespace vitrine::machine {

namespace {

class TableEntryWatch final : public vtd::EntryWatch {
public:
    explicit TableEntryWatch(TableWatch& tables) : tables_(tables) {}

    void watch(Physical quadword) override { tables_.watch(quadword, true); }

    u64 generation() const override { return tables_.generation(); }

    std::optional<vtd::EntryChange> last_change(Physical quadword) const override {
        const TableWriter* w = tables_.last_change(quadword);
        if (!w)
            return std::nullopt;
        vtd::EntryChange change{.rip = w->rip, .time = w->time};
        if (w->by.is_processor())
            change.by = fmt::format("CPU{},{},rip={:x},at={}", w->by.cpu, w->non_root ? "L2" : "L1", w->rip, w->instructions);
        else
            change.by = fmt::format("device-{:02x}:{:02x}.{}", w->by.id >> 8, w->by.id >> 3 & 31, w->by.id & 7);
        return change;
    }

private:
    TableWatch& tables_;
};

} // namespace

std::unique_ptr<vtd::EntryWatch> make_entry_watch(TableWatch* tables) {
    return tables ? std::make_unique<TableEntryWatch>(*tables) : nullptr;
}

} // namespace vitrine::machine
