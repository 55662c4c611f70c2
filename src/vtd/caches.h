// SPDX-License-Identifier: Apache-2.0
// The unit's caches: context cache, IOTLB, paging-structure cache, interrupt entry cache. What they hold is machine state: it decides whether a
// driver that forgot an invalidation is seen to have done so.
#pragma once

#include "base/visitor.h"
#include "vtd/walk.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace vitrine::vtd {

struct StaleUse;

/// What every entry has.
struct Cached {
    u64 key = 0;
    bool valid = false;
    FaultReason fault = FaultReason::none; ///< caching mode: what memory said then was a fault
    u64 filled = 0;                        ///< virtual time; kept with --stale max only

    // Derived: the comparison with memory that was made last, and uses that wait for their invalidation.
    u64 compared = 0;
    std::shared_ptr<StaleUse> pending{};

    void state(Visitor& v);
};

struct CachedContext : Cached {
    u64 low = 0, high = 0;
    bool silenced = false;

    u16 domain() const { return static_cast<u16>(context_high.domain(high)); }
    void state(Visitor& v);
};

/// A page of any size in a domain.
struct CachedPage : Cached {
    u64 page = 0;
    u8 size_log2 = 12;
    bool readable = false, writable = false;

    void state(Visitor& v);
};

/// A second-stage table on the way to pages; only --stale max remembers these.
struct CachedTable : Cached {
    u64 table = 0;
    u8 level = 1; ///< of its entries
    bool readable = true, writable = true;

    void state(Visitor& v);
};

struct CachedInterrupt : Cached {
    u64 low = 0, high = 0;
    bool silenced = false;

    void state(Visitor& v);
};

/// Domain, page number and size in one word.
struct PageKey {
    static constexpr u64 make(u16 domain, u64 address, unsigned size_log2) {
        return u64{domain} << 44 | (address >> size_log2 << (size_log2 - 12) & low_mask(36)) << 8 | size_log2;
    }
    static constexpr u16 domain(u64 key) { return static_cast<u16>(key >> 44); }
    static constexpr u64 address(u64 key) { return bits(key, 43, 8) << 12; }
    static constexpr unsigned size_log2(u64 key) { return static_cast<unsigned>(key & 0xff); }
};

/// Sets of ways, replaced in turn; or, unbounded, everything that was ever filled and not invalidated.
template <class Entry> class Cache {
public:
    /// More than any unit has; beyond it all goes.
    static constexpr std::size_t most = 1 << 18;

    Cache(unsigned sets, unsigned ways, bool unbounded)
        : sets_(sets), ways_(ways), unbounded_(unbounded), entries_(unbounded ? 0 : sets * ways), keys_(entries_.size(), no_key),
          next_(unbounded ? 0 : sets) {}

    /// Told of an entry with pending uses before it goes.
    std::function<void(Entry&)> dropped;

    Entry* find(u64 key) {
        if (unbounded_) {
            const auto it = all_.find(key);
            return it == all_.end() ? nullptr : &it->second;
        }
        const u64 first = set_of(key) * ways_;
        for (u64 n = first; n < first + ways_; ++n)
            if (keys_[n] == key)
                return &entries_[n];
        return nullptr;
    }

    Entry& fill(const Entry& entry) {
        if (unbounded_) {
            if (all_.size() >= most)
                clear();
            const auto [it, added] = all_.try_emplace(entry.key, entry);
            if (!added)
                replace(it->second, entry);
            return it->second;
        }
        if (Entry* known = find(entry.key))
            return replace(*known, entry);
        const u64 set = set_of(entry.key);
        Entry& place = entries_[set * ways_ + next_[set]];
        next_[set] = static_cast<u8>((next_[set] + 1) % ways_);
        return replace(place, entry);
    }

    /// Drops what `which` says.
    template <class Which> void drop(Which which) {
        if (unbounded_) {
            for (auto at = all_.begin(); at != all_.end();) {
                if (!which(std::as_const(at->second))) {
                    ++at;
                    continue;
                }
                leave(at->second);
                at = all_.erase(at);
            }
            return;
        }
        for (Entry& e : entries_)
            if (e.valid && which(std::as_const(e))) {
                leave(e);
                e = {};
                note_key(e);
            }
    }

    void clear() {
        drop([](const Entry&) { return true; });
    }

    template <class Visit> void for_each(Visit visit) {
        for (auto& [key, e] : all_)
            visit(e);
        for (Entry& e : entries_)
            if (e.valid)
                visit(e);
    }

    std::size_t count() const {
        std::size_t n = all_.size();
        for (const Entry& e : entries_)
            n += e.valid;
        return n;
    }

    bool unbounded() const { return unbounded_; }

    void state(Visitor& v) {
        if (!unbounded_) {
            v.begin("entries");
            for (Entry& e : entries_)
                v.field("", e);
            v.end();
            v.bytes("next", next_);
            if (!v.loading())
                return;
            for (u8& n : next_)
                n = static_cast<u8>(n % ways_);
            for (const Entry& e : entries_)
                note_key(e);
            return;
        }
        const u64 n = v.count("entries", all_.size(), most);
        std::map<u64, Entry> loaded;
        auto at = all_.begin();
        for (u64 i = 0; i < n; ++i) {
            Entry fresh;
            Entry& e = v.loading() ? fresh : at++->second;
            v.field("entry", e);
            if (v.loading() && fresh.valid)
                loaded.insert_or_assign(fresh.key, fresh);
        }
        if (v.loading())
            all_ = std::move(loaded);
    }

private:
    u64 set_of(u64 key) const { return (key ^ key >> 8 ^ key >> 17 ^ key >> 44) & (sets_ - 1); }

    void note_key(const Entry& e) { keys_[static_cast<std::size_t>(&e - entries_.data())] = e.valid ? e.key : no_key; }

    void leave(Entry& e) {
        if (e.pending && dropped)
            dropped(e);
    }

    Entry& replace(Entry& place, const Entry& entry) {
        leave(place);
        place = entry;
        place.valid = true;
        if (!unbounded_)
            note_key(place);
        return place;
    }

    static constexpr u64 no_key = ~0ull; ///< nobody looks for it

    unsigned sets_, ways_;
    bool unbounded_;
    std::vector<Entry> entries_; ///< ways of a set side by side
    std::vector<u64> keys_;      ///< derived: of the valid ones, close together for the look-up
    std::vector<u8> next_;       ///< the way of each set that gives way next
    std::map<u64, Entry> all_;
};

} // namespace vitrine::vtd
