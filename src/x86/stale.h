// SPDX-License-Identifier: Apache-2.0
// --stale max: one processor that keeps translations as long as the architecture permits, and tells of each use of one that memory
// would now translate elsewhere or forbid. The TLB's tables are then a front that holds only what has just been compared with memory.
#pragma once

#include "x86/stale_cache.h"
#include "x86/table_watch.h"

#include <span>
#include <string>

namespace vitrine {

/// One stale use, or several of the same entry.
struct StaleUse {
    std::string_view kind;
    u64 rip = 0, linear = 0;
    Use use = Use::read;
    TlbKey space{};
    bool non_root = false;
    std::string cached{}, memory{}, entry{}; ///< what the cache says, what memory says, and the entry that makes the difference
    std::optional<TableWriter> writer{}; ///< nothing: nobody was seen to change it
    u64 count = 1;
};

/// The kinds of stale uses, as they are counted and told.
std::span<const std::string_view> stale_kinds();

class Stale {
public:
    Stale(Cpu& cpu, TableWatch& watch);
    ~Stale();
    Stale(const Stale&) = delete;
    Stale& operator=(const Stale&) = delete;

    /// So long an invalidation may be under way: uses meanwhile are no finding yet. Virtual nanoseconds.
    static constexpr u64 grace = 100'000'000;

    /// As Cpu::translate.
    Faultable<Physical> translate(Linear a, Use use, Privilege p);
    void mark_entry(Physical p, u64 value, unsigned size);
    /// After Cpu::paging_changed selected an address space.
    void context_changed();
    /// What was compared with memory must be compared again.
    void forget() { cpu_.tlb().empty_tables(); }
    /// INVPCID of one address: no more than it must drop.
    void invalidate(Linear a, u16 pcid);
    /// The end of a run: uses whose invalidation has not come in time are told.
    void settle();

    unsigned index() const { return cpu_.index(); }
    /// The store under way is this processor's.
    void sign(TableWriter& writer) const;

    void state(Visitor& v);

private:
    struct Access {
        Linear a;
        Use use;
        Privilege privilege;
        TlbTable& table;
    };

    Faultable<Physical> walk(const Access& access);
    void drop_met(Linear a);
    Physical use_page(CachedPage& page, const Access& access, bool walked);
    Physical use_front(const Access& access, u64 page, const Allowed& may, bool dirty, u8 size_log2);
    void compare(CachedPage& page, Linear a);
    CachedPage page_of(const WalkResult& found, Linear a, bool dirty) const;
    void keep_way(const WalkResult& found, Linear a);
    void mark_way(const WalkResult& found, bool write);
    void watch_way(const WalkResult& found);
    void note(CachedPage& page, const Access& access, bool walked);
    void count(const StaleUse& use);
    void tell(const StaleUse& use);
    void settle(CachedPage& page);
    bool in_time(const TableWriter& writer) const { return cpu_.now() - writer.time <= grace; }
    u64 present_rip() const;
    u64 root(Linear a) const;
    u64 compared_root(Linear a) const { return root(a) | (epoch_ & 0xfff); }

    Cpu& cpu_;
    TableWatch& watch_;
    StaleCache cache_;
    TlbKey key_; ///< of the present space, and what else decides where a walk begins
    u64 cr3_ = 0;
    std::array<u64, 4> pdpte_{};
    u64 epoch_ = 0; ///< of the paging mode
};

} // namespace vitrine
