// SPDX-License-Identifier: Apache-2.0
// The TLBs: direct-mapped tables of translations, one for each address space and privilege. Their contents are machine state:
// geometry, fill and eviction depend on the instruction stream alone. The fast tags beside them are derived and are not state.
#pragma once

#include "base/visitor.h"
#include "words/addresses.h"
#include "words/integers.h"

#include <array>
#include <functional>
#include <memory>
#include <vector>

namespace vitrine {

/// What a look-up compares. A tag is the linear page when that access may go straight to host memory, else `no_tag`.
struct TlbTags {
    u64 read, write, exec;
    u64 addend; ///< host address minus linear address
};

/// Where translated code goes on at a linear address: derived too. Only believed while the page's exec tag stands, so
/// that whoever takes that away forgets all of the table's.
struct Target {
    u64 linear;
    const void* code;
};

class StaleCache;

/// One cached translation: machine state.
struct Translation {
    u64 linear = no_linear; ///< page address
    u64 page = 0;           ///< physical page address, with the bits below in the low 12

    static constexpr u64 no_linear = 1;
    static constexpr u64 readable = bit(0), writable = bit(1), executable = bit(2), dirty = bit(3), global = bit(4);
    static constexpr unsigned size_shift = 5; ///< 0: 4 KiB, 1: 2 or 4 MiB, 2: 1 GiB
    static constexpr u64 size_mask = 3 << size_shift;

    Physical physical() const { return Physical{page & ~0xfffull}; }

    bool valid() const { return linear != no_linear; }

    unsigned size_class() const { return static_cast<unsigned>((page & size_mask) >> size_shift); }
};

/// Which rights a table's entries were filled with.
enum class Privilege : u8 { supervisor, user, supervisor_ac, count }; ///< _ac: SMAP suspended by RFLAGS.AC

/// One direct-mapped table.
class TlbTable {
public:
    static constexpr unsigned entries = 8192; ///< few enough pages are in use at a time that two of them seldom meet at one index
    static constexpr u64 no_tag = 1;
    static constexpr unsigned target_count = 4096;

    /// What translated code looks at, in one piece: `tags` at its start.
    struct Fast {
        std::array<TlbTags, entries> tags;
        std::array<Target, target_count> targets;
        u8 any_targets = 0; ///< set by whoever fills in one
    };

    TlbTable();

    static unsigned index(u64 linear) { return (linear >> 12) & (entries - 1); }

    TlbTags& tags(u64 linear) { return tags_[index(linear)]; }

    /// All of them, the beginning of a Fast; the address lasts as long as the table.
    TlbTags* all_tags() { return tags_; }

    void forget_targets() {
        if (fast_->any_targets)
            clear_targets();
    }

    /// The targets are those of one mode's code.
    void use_targets(u32 mode) {
        if (mode == targets_mode_) [[likely]]
            return;
        forget_targets();
        targets_mode_ = mode;
    }

    Translation* find(u64 linear) {
        Translation& t = translations_[index(linear)];
        return t.linear == (linear & ~0xfffull) ? &t : nullptr;
    }

    /// Replaces whatever is at the translation's index. Returns the entry.
    Translation& fill(const Translation& t);

    void flush(bool keep_global);
    /// Drops what INVLPG of `linear` must drop.
    void invalidate(u64 linear, bool only_global);
    /// Forgets derived tags only.
    void drop_tags();
    /// Forgets derived tags of every entry that maps the page.
    void drop_tags(Physical page, bool write_only);

    bool empty() const { return filled_.empty(); }

    void state(Visitor& v);

private:
    void clear(unsigned i);
    void clear_tags(unsigned i);
    void clear_targets();

    std::unique_ptr<Fast> fast_;
    std::unique_ptr<std::array<Translation, entries>> translations_owner_;
    TlbTags* tags_;
    Translation* translations_;
    std::vector<u16> filled_; ///< indices that may hold something, so that a flush costs what was filled
    std::array<bool, entries> listed_{};
    u32 targets_mode_ = 0;
    u64 large_low_ = ~0ull, large_high_ = 0; ///< linear range covered by entries from large pages
};

/// Which address space: entries with different keys never mix.
struct TlbKey {
    u64 root = 0; ///< EPTP when there is one
    u16 vpid = 0, pcid = 0;
    u32 pkrs = 0; ///< protection-key rights for supervisor pages, when they count
    u64 mode = 0; ///< paging mode and permission bits of CR0, CR4, EFER; PKRU in the upper half when it counts

    bool operator==(const TlbKey&) const = default;
};

/// The tables of one address space, made when first used.
struct TlbSpace {
    TlbKey key;
    u64 last_used = 0;
    std::array<std::unique_ptr<TlbTable>, static_cast<unsigned>(Privilege::count)> tables;
};

/// All address spaces that one processor remembers; the least recently selected one gives way.
class Tlb {
public:
    static constexpr unsigned spaces = 16;

    Tlb();

    /// Makes `key` the present space.
    void select(const TlbKey& key);
    /// The present space's table for `p`.
    TlbTable* table(Privilege p);

    const TlbKey& key() const { return present_->key; }

    void flush_all(bool keep_global = false);
    /// Flushes the spaces whose key satisfies `which`.
    template <class Which> void flush_if(Which which, bool keep_global) {
        for (TlbSpace& s : spaces_)
            if (which(s.key))
                flush(s, keep_global);
        if (keeper_) [[unlikely]]
            flush_keeper(which, keep_global);
    }
    /// INVEPT: guest-physical mappings too. Without a keeper they are kept in combined ones alone.
    template <class Which> void flush_roots(Which which) {
        flush_if([&](const TlbKey& k) { return k.root != 0 && which(k.root); }, false);
        if (keeper_) [[unlikely]]
            flush_keeper_roots(which);
    }
    /// INVLPG: in spaces of the present PCID and VPID everything for the address, in those of other PCIDs global entries.
    void invalidate(u64 linear);
    /// INVVPID: everything for the address, whatever the PCID.
    void invalidate(u64 linear, u16 vpid);
    void drop_tags();
    void drop_tags(Physical page, bool write_only);
    /// Translated code has gone.
    void forget_targets();

    /// Whoever keeps translations beyond the tables, which are then no more than its front: every invalidation is told.
    void set_keeper(StaleCache* keeper) { keeper_ = keeper; }
    /// Empties the tables and leaves the keeper alone.
    void empty_tables();

    void state(Visitor& v);

private:
    static void flush(TlbSpace& space, bool keep_global);
    void flush_keeper(const std::function<bool(const TlbKey&)>& which, bool keep_global);
    void flush_keeper_roots(const std::function<bool(u64)>& which);

    std::array<TlbSpace, spaces> spaces_;
    TlbSpace* present_;
    u64 uses_ = 0;
    StaleCache* keeper_ = nullptr;
};

} // namespace vitrine
