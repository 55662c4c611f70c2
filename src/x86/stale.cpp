// SPDX-License-Identifier: Apache-2.0
// Translating through what is kept: the front, the cache, a walk with the help of cached tables, the walk of paging.cpp.
#include "x86/stale.h"

#include "x86/control.h"

#include <algorithm>

namespace vitrine {

namespace {

/// The bits of TlbKey::mode that say how a walk goes; the others only say what is allowed in the end.
constexpr u64 walk_bits = 1 | 4 | 8 | cr4::pse | cr4::pae | cr4::la57;

} // namespace

Stale::Stale(Cpu& cpu, TableWatch& watch) : cpu_(cpu), watch_(watch) {
    watch_.attach(*this);
    cpu_.tlb().set_keeper(&cache_);
    cache_.dropped = [this](CachedPage& page) { settle(page); };
    cache_.shrunk = [this] { forget(); };
    for (const std::string_view kind : stale_kinds())
        (void)cpu_.glass().counter(kind);
}

Stale::~Stale() {
    cpu_.tlb().set_keeper(nullptr);
    watch_.detach(*this);
}

void Stale::context_changed() {
    const TlbKey& key = cpu_.tlb().key();
    if (key == key_ && cpu_.cr3 == cr3_ && cpu_.pdpte == pdpte_)
        return;
    epoch_ += ((key.mode ^ key_.mode) & walk_bits) != 0;
    key_ = key;
    cr3_ = cpu_.cr3;
    pdpte_ = cpu_.pdpte;
    forget();
    cache_.select(key);
}

void Stale::mark_entry(Physical p, u64 value, unsigned size) {
    watch_.marking = true;
    cpu_.write_physical(p, &value, size);
    watch_.marking = false;
}

void Stale::sign(TableWriter& writer) const {
    writer.rip = present_rip();
    writer.non_root = cpu_.intercepts != 0;
    writer.time = cpu_.now();
    writer.instructions = cpu_.glass().place().instructions;
}

u64 Stale::present_rip() const { return cpu_.current_ ? cpu_.rip_of(*cpu_.current_) : cpu_.rip; }

/// The top table of the walk for `a`, without what lies in the low bits of CR3.
u64 Stale::root(Linear a) const {
    if (!(cpu_.cr0 & cr0::pg))
        return 0;
    const u64 root = pae_paging(cpu_) ? cpu_.pdpte[(a.value >> 30) & 3] : cpu_.cr3;
    return root & low_mask(52) & ~0xfffull;
}

Faultable<Physical> Stale::translate(Linear a, Use use, Privilege p) {
    const Access access{a, use, p, *cpu_.tlb_.table(p)};
    if (Translation* t = access.table.find(a.value)) {
        const u64 needed = use == Use::write  ? Translation::writable | Translation::dirty
                           : use == Use::read ? Translation::readable
                                              : Translation::executable;
        if ((t->page & needed) == needed) {
            cpu_.set_tags(*t, access.table);
            return t->physical() + a.page_offset();
        }
    }
    if (cpu_.cr0 & cr0::pg)
        if (CachedPage* page = cache_.find(a.value)) {
            if (!allowed(cpu_, page->mapped, p)(use))
                drop_met(a); // no fault is raised from the cache: it may have gained rights
            else if (use != Use::write || page->dirty)
                return use_page(*page, access, false);
            // A write to a page that is not dirty looks at the tables, to make it dirty.
        }
    return walk(access);
}

void Stale::invalidate(Linear a, u16 pcid) {
    cache_.invalidate(a.value, key_.vpid, pcid);
    forget();
}

/// What faults drop of the cache must not stay in the front: whether it was emptied meanwhile leaves no trace.
void Stale::drop_met(Linear a) {
    cache_.page_fault(a.value);
    forget();
}

/// Nothing is kept for the page: the tables on the way may be, and so may guest-physical translations.
Faultable<Physical> Stale::walk(const Access& access) {
    const Linear a = access.a;
    WalkResult fresh, kept;
    look(cpu_, a, nullptr, fresh);
    look(cpu_, a, &cache_, kept);
    const auto allows = [&](const WalkResult& r) { return r.present && allowed(cpu_, r.mapped, access.privilege)(access.use); };
    if (kept.cached && allows(kept) && !(allows(fresh) && fresh.mapped.page == kept.mapped.page)) {
        watch_way(fresh);
        mark_way(kept, access.use == Use::write);
        const WalkStep* leaf = nullptr;
        for (unsigned n = 0; n < kept.steps_count; ++n)
            if (!kept.steps[n].second)
                leaf = &kept.steps[n];
        CachedPage page = page_of(kept, a, access.use == Use::write || (leaf && (leaf->value & bit(6))));
        return use_page(cpu_.cr0 & cr0::pg ? cache_.keep(page) : page, access, true);
    }
    const Faultable<Translation> walked = cpu_.walk_tables(a, access.use, access.privilege);
    if (!walked.ok()) {
        drop_met(a);
        cache_.ept_violation(fresh.guest_physical);
        return Fault{};
    }
    const Translation& t = walked.value();
    const bool dirty = t.page & Translation::dirty;
    if (!allows(fresh) || fresh.mapped.page != t.physical().value) {
        // The walk changed the tables that it walked, or they lie in no RAM: used once, and not remembered.
        if (!cpu_.sub_pages) // where a write to a part of a page is asked for each time
            cpu_.glass().odd(Topic::cpu, "stale.not-kept", {{"linear", a.value}, {"page", t.physical().value}, {"looked", fresh.mapped.page}});
        return t.physical() + a.page_offset();
    }
    watch_way(fresh);
    keep_way(fresh, a);
    if (cpu_.cr0 & cr0::pg) {
        CachedPage& page = cache_.keep(page_of(fresh, a, dirty));
        page.compared = watch_.generation();
        page.compared_root = compared_root(a);
        page.fresh_present = true;
        page.fresh = page.mapped;
    }
    return use_front(access, fresh.mapped.page, allowed(cpu_, fresh.mapped, access.privilege), dirty, fresh.size_log2);
}

/// The page allows the access. Memory is asked whether it still would.
Physical Stale::use_page(CachedPage& page, const Access& access, bool walked) {
    const Linear a = access.a;
    const u64 at = page.page_of(a.value);
    compare(page, a);
    const u64 offset = a.value & low_mask(page.size_log2) & ~0xfffull;
    if (page.fresh_present && (page.fresh.page | offset) == at)
        if (const Allowed fresh = allowed(cpu_, page.fresh, access.privilege); fresh(access.use)) {
            // Rights that only the cache gives stay out of the front, so that their use is seen.
            Allowed may = allowed(cpu_, page.mapped, access.privilege);
            may.readable &= fresh.readable;
            may.writable &= fresh.writable;
            may.executable &= fresh.executable;
            return use_front(access, at, may, page.dirty, page.size_log2);
        }
    note(page, access, walked);
    return Physical{at} + a.page_offset();
}

Physical Stale::use_front(const Access& access, u64 page, const Allowed& may, bool dirty, u8 size_log2) {
    Translation t;
    t.linear = access.a.value & ~0xfffull;
    t.page = page | (may.readable ? Translation::readable : 0) | (may.writable ? Translation::writable : 0) |
             (may.executable ? Translation::executable : 0) | (dirty ? Translation::dirty : 0) |
             u64{size_log2 == 30 ? 2u : size_log2 > 12 ? 1u : 0u} << Translation::size_shift;
    cpu_.set_tags(access.table.fill(t), access.table);
    return Physical{page} + access.a.page_offset();
}

/// Walks by memory alone, unless no entry that is watched was written since this was done last.
void Stale::compare(CachedPage& page, Linear a) {
    const u64 from = compared_root(a);
    if (page.compared == watch_.generation() && page.compared_root == from)
        return;
    WalkResult fresh;
    look(cpu_, a, nullptr, fresh);
    watch_way(fresh);
    // What holds for a part of the page need not hold for the rest.
    const bool whole = fresh.present && fresh.size_log2 >= page.size_log2;
    page.compared = whole ? watch_.generation() : 0;
    page.compared_root = from;
    page.fresh_present = fresh.present;
    page.fresh = fresh.mapped;
    // What does not lie at the same place in its page cannot be what is cached.
    const u64 within = low_mask(page.size_log2) & ~0xfffull;
    page.fresh.page = (fresh.mapped.page & within) == (a.value & within) ? fresh.mapped.page & ~within : ~0ull;
}

CachedPage Stale::page_of(const WalkResult& found, Linear a, bool dirty) const {
    CachedPage page;
    page.size_log2 = found.size_log2;
    page.base = a.value & ~low_mask(page.size_log2);
    page.mapped = found.mapped;
    page.mapped.page = found.mapped.page & ~low_mask(page.size_log2);
    page.dirty = dirty;
    page.global = found.global;
    page.filled = cpu_.now();
    page.root = root(a);
    return page;
}

void Stale::keep_way(const WalkResult& found, Linear a) {
    const bool legacy = !(cpu_.cr4 & cr4::pae);
    const auto below = [](u64 address, unsigned size) { return address & ~low_mask(size); };
    for (unsigned n = 0; n < found.tables_count; ++n) {
        const WalkTable& t = found.tables[n];
        const u8 size = static_cast<u8>(legacy ? 22 : 12 + 9 * t.level);
        cache_.keep_table({.base = below(a.value, size), .size_log2 = size, .level = t.level, .address = t.address, .rights = t.rights});
    }
    for (unsigned n = 0; n < found.seconds_count; ++n) {
        const SecondLevelLook& l = found.seconds[n].look;
        const u64 at = found.seconds[n].guest_physical;
        CachedPage page;
        page.size_log2 = l.size_log2;
        page.base = below(at, l.size_log2);
        page.mapped = {.page = below(l.page, l.size_log2), .readable = l.readable, .writable = l.writable, .executable = l.executable};
        page.user_executable = l.user_executable;
        page.filled = cpu_.now();
        cache_.keep_guest_physical(page);
        for (unsigned k = 0; k + 1 < l.count; ++k) {
            const u8 level = static_cast<u8>(l.entries[k].level - 1), size = static_cast<u8>(12 + 9 * level);
            cache_.keep_second_table({.base = below(at, size), .size_log2 = size, .level = level,
                                      .address = l.entries[k].value & low_mask(52) & ~0xfffull, .second_rights = l.rights_below[k]});
        }
    }
}

/// Accessed and dirty flags of the guest's entries, for a walk that only this processor's caches can make.
void Stale::mark_way(const WalkResult& found, bool write) {
    constexpr u64 accessed = bit(5), dirty = bit(6);
    const unsigned width = cpu_.long_mode() || (cpu_.cr4 & cr4::pae) ? 8 : 4;
    unsigned last = 0;
    for (unsigned n = 0; n < found.steps_count; ++n)
        if (!found.steps[n].second)
            last = n;
    for (unsigned n = 0; n < found.steps_count; ++n) {
        const WalkStep& s = found.steps[n];
        const u64 wanted = s.value | accessed | (n == last && write ? dirty : 0);
        if (!s.second && wanted != s.value)
            mark_entry(s.at, wanted, width);
    }
}

void Stale::watch_way(const WalkResult& found) {
    for (unsigned n = 0; n < found.steps_count; ++n)
        watch_.watch(found.steps[n].at);
}

void Stale::state(Visitor& v) {
    cache_.state(v);
    if (!v.loading())
        return;
    forget();
    key_ = cpu_.tlb().key();
    cache_.select(key_);
}

} // namespace vitrine
