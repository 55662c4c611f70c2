// SPDX-License-Identifier: Apache-2.0
// The TLBs: fill, flush and invalidation.
#include "x86/tlb.h"

#include "x86/stale_cache.h"

#include <algorithm>

namespace vitrine {

namespace {

constexpr TlbTags no_tags{TlbTable::no_tag, TlbTable::no_tag, TlbTable::no_tag, 0};

u64 bytes_of(const Translation& t) { return t.size_class() == 2 ? 1_GiB : t.size_class() == 1 ? 4_MiB : page_size; }

} // namespace

TlbTable::TlbTable()
    : fast_(std::make_unique<Fast>()), translations_owner_(std::make_unique<std::array<Translation, entries>>()),
      tags_(fast_->tags.data()), translations_(translations_owner_->data()) {
    fast_->tags.fill(no_tags);
    clear_targets();
}

/// No address is looked for where these lie: 0 belongs to the first of them, and 2 does not.
void TlbTable::clear_targets() {
    fast_->targets.fill({0, nullptr});
    fast_->targets[0].linear = 2;
    fast_->any_targets = 0;
}

void TlbTable::clear_tags(unsigned i) {
    if (tags_[i].exec != no_tag)
        forget_targets();
    tags_[i] = no_tags;
}

Translation& TlbTable::fill(const Translation& t) {
    const unsigned i = index(t.linear);
    if (!listed_[i]) {
        listed_[i] = true;
        filled_.push_back(static_cast<u16>(i));
    }
    if (t.size_class() != 0) {
        const u64 low = align_down(t.linear, bytes_of(t));
        large_low_ = std::min(large_low_, low);
        large_high_ = std::max(large_high_, low + bytes_of(t) - 1);
    }
    translations_[i] = t;
    clear_tags(i);
    return translations_[i];
}

void TlbTable::clear(unsigned i) {
    translations_[i] = Translation{};
    clear_tags(i);
}

void TlbTable::flush(bool keep_global) {
    std::size_t kept = 0;
    for (const u16 i : filled_) {
        if (keep_global && translations_[i].valid() && (translations_[i].page & Translation::global)) {
            filled_[kept++] = i;
            continue;
        }
        clear(i);
        listed_[i] = false;
    }
    filled_.resize(kept);
    if (kept == 0) {
        large_low_ = ~0ull;
        large_high_ = 0;
    }
}

void TlbTable::invalidate(u64 linear, bool only_global) {
    const auto matches = [&](const Translation& t) { return !only_global || (t.page & Translation::global); };
    if (Translation* t = find(linear); t && matches(*t))
        clear(index(linear));
    if (linear < large_low_ || linear > large_high_)
        return;
    for (const u16 i : filled_) {
        const Translation& t = translations_[i];
        if (t.valid() && t.size_class() != 0 && align_down(t.linear, bytes_of(t)) == align_down(linear, bytes_of(t)) && matches(t))
            clear(i);
    }
}

void TlbTable::drop_tags() {
    for (const u16 i : filled_)
        clear_tags(i);
}

void TlbTable::drop_tags(Physical page, bool write_only) {
    for (const u16 i : filled_)
        if (translations_[i].valid() && translations_[i].physical() == page) {
            if (write_only)
                tags_[i].write = no_tag;
            else
                clear_tags(i);
        }
}

void TlbTable::state(Visitor& v) {
    // Sorted by index, so that the order of fills, which nobody can see, does not matter.
    if (!v.loading())
        std::sort(filled_.begin(), filled_.end());
    const u64 n = v.count("entries", filled_.size(), entries);
    if (v.loading()) {
        flush(false);
        filled_.assign(n, 0);
    }
    for (u16& i : filled_) {
        v.field("index", i);
        if (i >= entries)
            return v.refuse("a TLB index is out of range");
        Translation& t = translations_[i];
        v.field("linear", t.linear);
        v.field("page", t.page);
        if (t.valid() && index(t.linear) != i)
            return v.refuse("a TLB entry is not where its address belongs");
        listed_[i] = true;
    }
    v.field("large low", large_low_);
    v.field("large high", large_high_);
}

Tlb::Tlb() : present_(&spaces_[0]) {}

void Tlb::select(const TlbKey& key) {
    if (present_->key == key) {
        present_->last_used = ++uses_;
        return;
    }
    TlbSpace* oldest = &spaces_[0];
    for (TlbSpace& s : spaces_) {
        if (s.last_used != 0 && s.key == key) {
            present_ = &s;
            s.last_used = ++uses_;
            return;
        }
        if (s.last_used < oldest->last_used)
            oldest = &s;
    }
    flush(*oldest, false);
    oldest->key = key;
    oldest->last_used = ++uses_;
    present_ = oldest;
}

TlbTable* Tlb::table(Privilege p) {
    auto& t = present_->tables[static_cast<unsigned>(p)];
    if (!t)
        t = std::make_unique<TlbTable>();
    return t.get();
}

void Tlb::flush(TlbSpace& space, bool keep_global) {
    for (auto& t : space.tables)
        if (t)
            t->flush(keep_global);
}

void Tlb::flush_all(bool keep_global) {
    for (TlbSpace& s : spaces_)
        flush(s, keep_global);
    if (keeper_) [[unlikely]]
        keeper_->flush_all();
}

void Tlb::empty_tables() {
    for (TlbSpace& s : spaces_)
        flush(s, false);
}

void Tlb::flush_keeper(const std::function<bool(const TlbKey&)>& which, bool keep_global) { keeper_->flush(which, keep_global); }

void Tlb::flush_keeper_roots(const std::function<bool(u64)>& which) { keeper_->flush_guest_physical(which); }

void Tlb::invalidate(u64 linear) {
    if (keeper_) [[unlikely]]
        keeper_->invalidate(linear, present_->key);
    for (TlbSpace& s : spaces_) {
        if (s.key.vpid != present_->key.vpid)
            continue;
        for (auto& t : s.tables)
            if (t)
                t->invalidate(linear, s.key.pcid != present_->key.pcid);
    }
}

void Tlb::invalidate(u64 linear, u16 vpid) {
    if (keeper_) [[unlikely]]
        keeper_->invalidate(linear, vpid);
    for (TlbSpace& s : spaces_)
        if (s.key.vpid == vpid)
            for (auto& t : s.tables)
                if (t)
                    t->invalidate(linear, false);
}

void Tlb::drop_tags() {
    for (TlbSpace& s : spaces_)
        for (auto& t : s.tables)
            if (t)
                t->drop_tags();
}

void Tlb::drop_tags(Physical page, bool write_only) {
    for (TlbSpace& s : spaces_)
        for (auto& t : s.tables)
            if (t)
                t->drop_tags(page, write_only);
}

void Tlb::forget_targets() {
    for (TlbSpace& s : spaces_)
        for (auto& t : s.tables)
            if (t)
                t->forget_targets();
}

void Tlb::state(Visitor& v) {
    u64 present = static_cast<u64>(present_ - spaces_.data());
    v.field("present", present);
    if (present >= spaces)
        return v.refuse("the present address space is out of range");
    present_ = &spaces_[present];
    v.field("uses", uses_);
    for (TlbSpace& s : spaces_) {
        v.begin("space");
        v.field("root", s.key.root);
        v.field("vpid", s.key.vpid);
        v.field("pcid", s.key.pcid);
        v.field("pkrs", s.key.pkrs);
        v.field("mode", s.key.mode);
        v.field("last used", s.last_used);
        for (auto& t : s.tables) {
            bool exists = t && !t->empty();
            v.field("exists", exists);
            if (v.loading() && exists && !t)
                t = std::make_unique<TlbTable>();
            if (v.loading() && !exists && t)
                t->flush(false);
            if (exists)
                t->state(v);
        }
        v.end();
    }
}

} // namespace vitrine
