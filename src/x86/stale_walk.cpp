// SPDX-License-Identifier: Apache-2.0
// The walk that changes nothing. That it finds what the walk of paging.cpp finds is checked at each use.
#include "x86/stale_walk.h"

#include "x86/control.h"
#include "x86/model.h"
#include "x86/stale_cache.h"

#include <algorithm>

namespace vitrine {

namespace {

constexpr u64 present = bit(0), page_size_bit = bit(7), global_bit = bit(8), no_execute = bit(63);

class Look {
public:
    Look(Cpu& cpu, Linear a, StaleCache* cache, WalkResult& r) : cpu_(cpu), a_(a), cache_(cache), r_(r) {
        nxe_ = cpu.efer & efer::nxe;
        beyond_ = ~low_mask(cpu.model().physical_bits) & low_mask(52);
    }

    void run() {
        if (!(cpu_.cr0 & cr0::pg))
            finish(a_.value & low_mask(32) & ~0xfffull, 30, {});
        else if (cpu_.long_mode())
            tables(cpu_.cr4 & cr4::la57 ? 5 : 4, cpu_.cr3);
        else if (!(cpu_.cr4 & cr4::pae))
            legacy();
        else if (const u64 pdpte = cpu_.pdpte[(a_.value >> 30) & 3]; pdpte & present)
            tables(2, pdpte);
    }

private:
    /// Guest-physical to physical. False: nowhere, or not readable where a table is wanted.
    bool second(u64 guest_physical, u64& page, Mapped& m, u8& size) {
        page = guest_physical & ~0xfffull;
        size = 30;
        if (!cpu_.second_level)
            return true;
        r_.guest_physical = guest_physical;
        if (cache_)
            if (const CachedPage* c = cache_->find_guest_physical(guest_physical)) {
                r_.cached = r_.cached_second = true;
                page = c->page_of(guest_physical);
                m.readable = c->mapped.readable;
                m.writable = c->mapped.writable;
                m.executable = m.rights.user ? c->user_executable : c->mapped.executable;
                size = c->size_log2;
                return true;
            }
        SecondLevelStart start;
        if (cache_ && cache_->find_second_table(guest_physical, start))
            r_.cached = r_.cached_second = true;
        WalkResult::Second& s = r_.seconds[r_.seconds_count++];
        s.guest_physical = guest_physical;
        cpu_.second_level->look(cpu_, GuestPhysical{guest_physical}, start, s.look);
        for (unsigned n = 0; n < s.look.count; ++n)
            r_.steps[r_.steps_count++] = {s.look.entries[n].at, s.look.entries[n].value, s.look.entries[n].level, true};
        if (!s.look.present)
            return false;
        page = s.look.page;
        m.readable = s.look.readable;
        m.writable = s.look.writable;
        m.executable = m.rights.user ? s.look.user_executable : s.look.executable;
        size = s.look.size_log2;
        return true;
    }

    bool table_at(u64 guest_physical, u64& physical) {
        Mapped m;
        u8 size = 0;
        return second(guest_physical, physical, m, size) && m.readable;
    }

    u64 entry(u64 physical, unsigned level, unsigned width) {
        u64 value = 0;
        if (const u8* host = cpu_.space().host(Physical{physical})) // a device would see that somebody looks
            std::memcpy(&value, host, width);
        r_.steps[r_.steps_count++] = {Physical{physical}, value, static_cast<u8>(level), false};
        return value;
    }

    void tables(unsigned level, u64 root) {
        PageRights rights;
        u64 table = 0;
        WalkTable known;
        if (cache_ && cache_->find_table(a_.value, known)) {
            r_.cached = true;
            table = known.address;
            level = known.level;
            rights = known.rights;
        } else if (!table_at(root & low_mask(52) & ~0xfffull, table)) {
            return;
        }
        for (;; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            const u64 e = entry(table + ((a_.value >> shift) & 0x1ff) * 8, level, 8);
            const bool large = (e & page_size_bit) && level > 1;
            u64 reserved = beyond_ | (nxe_ ? 0 : no_execute);
            if (large)
                reserved |= level > 3 || (level == 3 && !cpu_.model().has_1g_pages) ? page_size_bit : low_mask(shift) & ~0x1fffull;
            if (!(e & present) || (e & reserved))
                return;
            rights.add(e, nxe_);
            if (level == 1 || large) {
                rights.key = static_cast<u8>(bits(e, 62, 59));
                r_.global = (e & global_bit) && (cpu_.cr4 & cr4::pge);
                return finish((e & low_mask(52) & ~low_mask(shift) & ~0xfffull) | (a_.value & low_mask(shift) & ~0xfffull), shift, rights);
            }
            if (!descend(e & low_mask(52) & ~0xfffull, level - 1, rights, table))
                return;
        }
    }

    bool descend(u64 guest_physical, unsigned level, const PageRights& rights, u64& table) {
        if (!table_at(guest_physical, table))
            return false;
        r_.tables[r_.tables_count++] = {table, static_cast<u8>(level), rights};
        return true;
    }

    void legacy() {
        PageRights rights;
        u64 table = 0;
        WalkTable known;
        if (cache_ && cache_->find_table(a_.value, known)) {
            r_.cached = true;
            table = known.address;
            rights = known.rights;
        } else {
            if (!table_at(cpu_.cr3 & 0xffff'f000, table))
                return;
            const u64 pde = entry(table + (a_.value >> 22 & 0x3ff) * 4, 2, 4);
            if (!(pde & present))
                return;
            rights.add(pde, false);
            if ((pde & page_size_bit) && (cpu_.cr4 & cr4::pse)) {
                const u64 page = (pde & 0xffc0'0000) | bits(pde, 20, 13) << 32;
                if ((pde & bit(21)) || (page & beyond_))
                    return;
                r_.global = (pde & global_bit) && (cpu_.cr4 & cr4::pge);
                return finish(page | (a_.value & low_mask(22) & ~0xfffull), 22, rights);
            }
            if (!descend(pde & 0xffff'f000, 1, rights, table))
                return;
        }
        const u64 e = entry(table + (a_.value >> 12 & 0x3ff) * 4, 1, 4);
        if (!(e & present))
            return;
        rights.add(e, false);
        r_.global = (e & global_bit) && (cpu_.cr4 & cr4::pge);
        finish(e & 0xffff'f000, 12, rights);
    }

    void finish(u64 guest_physical, unsigned shift, const PageRights& rights) {
        r_.mapped.rights = rights;
        u8 size = 0;
        if (!second(guest_physical | a_.page_offset(), r_.mapped.page, r_.mapped, size))
            return;
        r_.size_log2 = std::min(size, static_cast<u8>(shift));
        r_.present = true;
    }

    Cpu& cpu_;
    Linear a_;
    StaleCache* cache_;
    WalkResult& r_;
    bool nxe_;
    u64 beyond_;
};

} // namespace

Allowed allowed(const Cpu& cpu, const Mapped& mapped, Privilege privilege) {
    Allowed a = allowed(cpu, mapped.rights, privilege);
    a.readable &= mapped.readable;
    a.writable &= mapped.writable;
    a.executable &= mapped.executable;
    return a;
}

void look(Cpu& cpu, Linear a, StaleCache* cache, WalkResult& result) { Look(cpu, a, cache, result).run(); }

} // namespace vitrine
