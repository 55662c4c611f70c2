// SPDX-License-Identifier: Apache-2.0
// Keeping translations, and dropping exactly those that an invalidation names.
#include "x86/stale_cache.h"

#include "x86/stale.h"

#include <algorithm>

namespace vitrine {

namespace {

u64 slot(u64 address, unsigned size_log2) { return (address & ~low_mask(size_log2)) | size_log2; }

/// Pages and tables of the least size first.
template <class Found> auto smallest_first(u64 sizes, Found found) -> decltype(found(0u)) {
    for (; sizes; sizes &= sizes - 1)
        if (auto* it = found(static_cast<unsigned>(std::countr_zero(sizes))))
            return it;
    return nullptr;
}

TlbKey key_of(const StaleCache::Tag& tag) {
    TlbKey key;
    key.root = tag.root;
    key.vpid = tag.vpid;
    key.pcid = tag.pcid;
    return key;
}

void visit(Visitor& v, PageRights& r) {
    v.field("user", r.user);
    v.field("writable", r.writable);
    v.field("no execute", r.no_execute);
    v.field("key", r.key);
}

} // namespace

// ---- looking --------------------------------------------------------------------------------------------------------

CachedPage* StaleCache::find_page(Context& c, u64 address) {
    return smallest_first(c.page_sizes, [&](unsigned size) -> CachedPage* {
        const auto it = c.pages.find(slot(address, size));
        return it == c.pages.end() ? nullptr : &it->second;
    });
}

const CachedTable* StaleCache::find_lowest(const Context* c, u64 address) {
    if (!c)
        return nullptr;
    return smallest_first(c->table_sizes, [&](unsigned size) -> const CachedTable* {
        const auto it = c->tables.find(slot(address, size));
        return it == c->tables.end() ? nullptr : &it->second;
    });
}

CachedPage* StaleCache::find(u64 linear) {
    if (linear_)
        if (CachedPage* p = find_page(*linear_, linear))
            return p;
    return global_ ? find_page(*global_, linear) : nullptr;
}

bool StaleCache::find_table(u64 linear, WalkTable& found) const {
    const CachedTable* t = find_lowest(linear_, linear);
    if (t)
        found = {t->address, t->level, t->rights};
    return t;
}

bool StaleCache::find_second_table(u64 guest_physical, SecondLevelStart& found) const {
    const CachedTable* t = find_lowest(second_, guest_physical);
    if (t)
        found = {t->level, t->address, t->second_rights};
    return t;
}

void StaleCache::select(const TlbKey& key) {
    key_ = key;
    const auto known = [&](Kind kind, u16 vpid, u16 pcid) -> Context* {
        const auto it = contexts_.find({kind, key.root, vpid, pcid});
        return it == contexts_.end() ? nullptr : &it->second;
    };
    linear_ = known(Kind::linear, key.vpid, key.pcid);
    global_ = known(Kind::global, key.vpid, 0);
    second_ = key.root ? known(Kind::guest_physical, 0, 0) : nullptr;
}

// ---- keeping --------------------------------------------------------------------------------------------------------

StaleCache::Context& StaleCache::context(const Tag& tag, Context*& present) {
    if (!present)
        present = &contexts_[tag];
    return *present;
}

CachedPage& StaleCache::keep_in(Context& c, const CachedPage& page) {
    c.page_sizes |= bit(page.size_log2);
    const auto [it, added] = c.pages.try_emplace(slot(page.base, page.size_log2));
    if (!added && it->second.pending && dropped)
        dropped(it->second);
    it->second = page;
    count_ += added;
    CachedPage& kept = it->second;
    if (count_ > most)
        shrink();
    return kept;
}

void StaleCache::keep_in(Context& c, const CachedTable& table) {
    c.table_sizes |= bit(table.size_log2);
    c.tables.try_emplace(slot(table.base, table.size_log2), table);
}

CachedPage& StaleCache::keep(const CachedPage& page) {
    if (page.global)
        return keep_in(context({Kind::global, key_.root, key_.vpid, 0}, global_), page);
    return keep_in(context({Kind::linear, key_.root, key_.vpid, key_.pcid}, linear_), page);
}

void StaleCache::keep_guest_physical(const CachedPage& page) {
    Context& c = context({Kind::guest_physical, key_.root, 0, 0}, second_);
    const auto known = c.pages.find(slot(page.base, page.size_log2));
    if (known != c.pages.end()) {
        const auto rights = [](const CachedPage& p) {
            return p.mapped.readable | p.mapped.writable << 1 | p.mapped.executable << 2 | p.user_executable << 3;
        };
        if (known->second.mapped.page != page.mapped.page || (rights(page) | rights(known->second)) != rights(page))
            return;
    }
    keep_in(c, page);
}

void StaleCache::keep_table(const CachedTable& table) {
    keep_in(context({Kind::linear, key_.root, key_.vpid, key_.pcid}, linear_), table);
}

void StaleCache::keep_second_table(const CachedTable& table) { keep_in(context({Kind::guest_physical, key_.root, 0, 0}, second_), table); }

/// By age alone, so that the order of the containers does not matter.
void StaleCache::shrink() {
    std::vector<u64> ages;
    for (auto& [tag, c] : contexts_)
        for (auto& [at, page] : c.pages)
            ages.push_back(page.filled);
    std::nth_element(ages.begin(), ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 2), ages.end());
    const u64 median = ages[ages.size() / 2];
    for (auto& [tag, c] : contexts_)
        for (auto it = c.pages.begin(); it != c.pages.end();) {
            if (it->second.filled >= median) {
                ++it;
                continue;
            }
            if (it->second.pending && dropped)
                dropped(it->second);
            it = c.pages.erase(it);
            --count_;
        }
    if (shrunk)
        shrunk();
}

// ---- invalidation ---------------------------------------------------------------------------------------------------

void StaleCache::clear(Context& c) {
    if (dropped)
        for (auto& [at, page] : c.pages)
            if (page.pending)
                dropped(page);
    count_ -= c.pages.size();
    c = {};
}

void StaleCache::drop_page(Context& c, u64 address) {
    for (u64 sizes = c.page_sizes; sizes; sizes &= sizes - 1) {
        const auto it = c.pages.find(slot(address, static_cast<unsigned>(std::countr_zero(sizes))));
        if (it == c.pages.end())
            continue;
        if (it->second.pending && dropped)
            dropped(it->second);
        c.pages.erase(it);
        --count_;
    }
}

void StaleCache::drop_tables(Context& c, u64 address) {
    for (u64 sizes = c.table_sizes; sizes; sizes &= sizes - 1)
        c.tables.erase(slot(address, static_cast<unsigned>(std::countr_zero(sizes))));
}

void StaleCache::flush_all() {
    for (auto& [tag, c] : contexts_)
        clear(c);
}

void StaleCache::flush(const std::function<bool(const TlbKey&)>& which, bool keep_global) {
    for (auto& [tag, c] : contexts_)
        if (tag.kind == Kind::linear || (tag.kind == Kind::global && !keep_global))
            if (which(key_of(tag)))
                clear(c);
}

void StaleCache::flush_guest_physical(const std::function<bool(u64 root)>& which) {
    for (auto& [tag, c] : contexts_)
        if (tag.kind == Kind::guest_physical && which(tag.root))
            clear(c);
}

void StaleCache::invalidate(u64 linear, const TlbKey& present) {
    for (auto& [tag, c] : contexts_) {
        if (tag.kind == Kind::guest_physical || tag.vpid != present.vpid)
            continue;
        if (tag.kind == Kind::global || tag.pcid == present.pcid)
            drop_page(c, linear);
        if (tag.kind == Kind::linear && tag.pcid == present.pcid)
            c.tables.clear();
    }
}

void StaleCache::invalidate(u64 linear, u16 vpid) {
    for (auto& [tag, c] : contexts_)
        if (tag.kind != Kind::guest_physical && tag.vpid == vpid) {
            drop_page(c, linear);
            drop_tables(c, linear);
        }
}

void StaleCache::invalidate(u64 linear, u16 vpid, u16 pcid) {
    for (auto& [tag, c] : contexts_)
        if (tag.kind == Kind::linear && tag.vpid == vpid && tag.pcid == pcid) {
            drop_page(c, linear);
            drop_tables(c, linear);
        }
}

void StaleCache::page_fault(u64 linear) {
    for (Context* c : {linear_, global_})
        if (c) {
            drop_page(*c, linear);
            drop_tables(*c, linear);
        }
}

void StaleCache::ept_violation(u64 guest_physical) {
    if (second_) {
        drop_page(*second_, guest_physical);
        drop_tables(*second_, guest_physical);
    }
}

void StaleCache::each_pending(const std::function<void(CachedPage&)>& tell) {
    for (auto& [tag, c] : contexts_)
        for (auto& [at, page] : c.pages)
            if (page.pending)
                tell(page);
}

// ---- state ----------------------------------------------------------------------------------------------------------

void CachedPage::state(Visitor& v) {
    v.field("base", base);
    v.field("size", size_log2);
    v.field("page", mapped.page);
    visit(v, mapped.rights);
    v.field("readable", mapped.readable);
    v.field("writable", mapped.writable);
    v.field("executable", mapped.executable);
    v.field("user executable", user_executable);
    v.field("dirty", dirty);
    v.field("global", global);
    v.field("filled", filled);
    v.field("root", root);
    if (v.loading() && (size_log2 < 12 || size_log2 > 30 || base & low_mask(size_log2))) {
        size_log2 = 12;
        base &= ~0xfffull;
        v.refuse("a cached translation has an impossible size");
    }
}

void CachedTable::state(Visitor& v) {
    v.field("base", base);
    v.field("size", size_log2);
    v.field("level", level);
    v.field("address", address);
    visit(v, rights);
    v.field("second rights", second_rights);
    if (v.loading() && (size_log2 < 21 || size_log2 > 48 || base & low_mask(size_log2) || level < 1 || level > 4 || address & 0xfff)) {
        *this = {};
        v.refuse("a cached table makes no sense");
    }
}

namespace {

/// In the order of addresses, so that the container's own does not matter.
template <class Map> void visit_sorted(Visitor& v, std::string_view name, Map& map, u64& sizes, u64 limit) {
    std::vector<typename Map::mapped_type*> sorted;
    for (auto& [at, element] : map)
        sorted.push_back(&element);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return std::pair(a->base, a->size_log2) < std::pair(b->base, b->size_log2); });
    const u64 n = v.count(name, sorted.size(), limit);
    if (!v.loading()) {
        for (auto* element : sorted)
            element->state(v);
        return;
    }
    map.clear();
    sizes = 0;
    for (u64 i = 0; i < n; ++i) {
        typename Map::mapped_type element;
        element.state(v);
        sizes |= bit(element.size_log2);
        map.insert_or_assign(slot(element.base, element.size_log2), element);
    }
}

} // namespace

void StaleCache::state(Visitor& v) {
    u64 used = 0;
    for (const auto& [tag, c] : contexts_)
        used += !c.pages.empty() || !c.tables.empty();
    const u64 n = v.count("contexts", used, most);
    std::map<Tag, Context> loaded;
    auto at = contexts_.begin();
    for (u64 i = 0; i < n; ++i) {
        Tag tag;
        Context empty;
        if (!v.loading()) {
            while (at->second.pages.empty() && at->second.tables.empty())
                ++at;
            tag = at->first;
        }
        Context& c = v.loading() ? empty : at++->second;
        v.begin("context");
        v.field("kind", tag.kind);
        v.field("root", tag.root);
        v.field("vpid", tag.vpid);
        v.field("pcid", tag.pcid);
        visit_sorted(v, "pages", c.pages, c.page_sizes, most);
        visit_sorted(v, "tables", c.tables, c.table_sizes, most);
        v.end();
        if (v.loading())
            loaded.insert_or_assign(tag, std::move(c));
    }
    if (!v.loading())
        return;
    contexts_ = std::move(loaded);
    linear_ = global_ = second_ = nullptr;
    count_ = 0;
    for (const auto& [tag, c] : contexts_)
        count_ += c.pages.size();
}

} // namespace vitrine
