// SPDX-License-Identifier: Apache-2.0
// What one processor may remember of the paging structures: linear, guest-physical and combined translations and the tables on the
// way to them (SDM volume 3, Caching Translation Information, of Paging and of VMX). Nothing gives way before it must: machine state.
#pragma once

#include "x86/stale_walk.h"

#include <compare>
#include <functional>
#include <map>
#include <unordered_map>

namespace vitrine {

/// A use of a stale translation that may have come while its invalidation was under way: told if that does not come in time.
struct StaleUse;

/// A translation of one page of any size.
struct CachedPage {
    u64 base = 0; ///< linear or guest-physical address of the page
    u8 size_log2 = 12;
    Mapped mapped; ///< its page is that of the whole
    bool user_executable = false; ///< guest-physical ones: for user-mode linear addresses
    bool dirty = false, global = false;
    u64 filled = 0; ///< virtual time
    u64 root = 0;   ///< address of the top table then

    // Derived: the comparison with memory that was made last.
    u64 compared = 0; ///< TableWatch::generation(), or 0
    u64 compared_root = 0;
    bool fresh_present = false;
    Mapped fresh;
    std::shared_ptr<StaleUse> pending;

    u64 page_of(u64 address) const { return mapped.page | (address & low_mask(size_log2) & ~0xfffull); }

    void state(Visitor& v);
};

/// A table on the way, and the rights of the entries above it.
struct CachedTable {
    u64 base = 0;
    u8 size_log2 = 21; ///< how much it translates
    u8 level = 1;
    u64 address = 0; ///< physical
    PageRights rights{};
    u64 second_rights = 0; ///< of a table of the second level, as they are in an entry

    void state(Visitor& v);
};

class StaleCache {
public:
    /// What tags translations besides their address.
    enum class Kind : u8 { linear, global, guest_physical };
    struct Tag {
        Kind kind = Kind::linear;
        u64 root = 0; ///< EPTP when there is one
        u16 vpid = 0, pcid = 0;

        auto operator<=>(const Tag&) const = default;
    };

    /// More than any processor has; beyond it the older half goes.
    static constexpr std::size_t most = 1 << 18;

    /// Told of each page with a pending use before it goes.
    std::function<void(CachedPage&)> dropped;
    /// Told when pages give way for lack of room.
    std::function<void()> shrunk;

    /// Makes `key` the present address space.
    void select(const TlbKey& key);

    CachedPage* find(u64 linear);
    CachedPage* find_guest_physical(u64 address) { return second_ ? find_page(*second_, address) : nullptr; }
    /// The lowest table on the way.
    bool find_table(u64 linear, WalkTable& found) const;
    bool find_second_table(u64 guest_physical, SecondLevelStart& found) const;

    /// Replaces a translation of the same page.
    CachedPage& keep(const CachedPage& page);
    /// What is there stays, unless the new one is the same page with more rights.
    void keep_guest_physical(const CachedPage& page);
    /// What is there stays.
    void keep_table(const CachedTable& table);
    void keep_second_table(const CachedTable& table);

    // ---- invalidation -------------------------------------------------------------------------------------------------
    void flush_all();
    /// Linear and combined translations, and tables.
    void flush(const std::function<bool(const TlbKey&)>& which, bool keep_global);
    void flush_guest_physical(const std::function<bool(u64 root)>& which);
    /// INVLPG: the address in the present PCID and of global translations, and all tables of the PCID, with any EPTP.
    void invalidate(u64 linear, const TlbKey& present);
    /// INVVPID: the address, whatever the PCID.
    void invalidate(u64 linear, u16 vpid);
    /// INVPCID: the address in one PCID, but for global translations.
    void invalidate(u64 linear, u16 vpid, u16 pcid);
    /// A page fault: what would be used for the address in the present space.
    void page_fault(u64 linear);
    /// An EPT violation: what would be used for the guest-physical address.
    void ept_violation(u64 guest_physical);

    /// Every page with a pending use.
    void each_pending(const std::function<void(CachedPage&)>& tell);

    void state(Visitor& v);

private:
    struct Context {
        std::unordered_map<u64, CachedPage> pages;   ///< by base and size
        std::unordered_map<u64, CachedTable> tables;
        u64 page_sizes = 0, table_sizes = 0; ///< a bit for each size that was ever kept
    };

    static CachedPage* find_page(Context& c, u64 address);
    static const CachedTable* find_lowest(const Context* c, u64 address);
    static void keep_in(Context& c, const CachedTable& table);
    CachedPage& keep_in(Context& c, const CachedPage& page);
    Context& context(const Tag& tag, Context*& present);
    void clear(Context& c);
    void drop_page(Context& c, u64 address);
    static void drop_tables(Context& c, u64 address);
    void shrink();

    std::map<Tag, Context> contexts_;
    TlbKey key_;
    Context *linear_ = nullptr, *global_ = nullptr, *second_ = nullptr; ///< of the present space; null: empty
    std::size_t count_ = 0;
};

} // namespace vitrine
