// SPDX-License-Identifier: Apache-2.0
// From linear to physical addresses: the walk of the paging structures (SDM volume 3, Paging), and the TLB in front of it.
#include "x86/cpu.h"
#include "x86/model.h"
#include "x86/page_rights.h"
#include "x86/stale.h"

namespace vitrine {

namespace {

namespace pte {
constexpr u64 p = bit(0), w = bit(1), u = bit(2), a = bit(5), d = bit(6), ps = bit(7), g = bit(8), nx = bit(63);
}

constexpr u64 page_offset_mask(unsigned shift) { return low_mask(shift); }

bool is_canonical(u64 a, bool la57) { return sign_extend(a, la57 ? 57 : 48) == a; }

} // namespace

/// One walk: how the paging mode looks, and the entries that were used, for their accessed and dirty bits.
class Walker {
public:
    Walker(Cpu& cpu, Linear a, Use use, Privilege privilege) : cpu_(cpu), a_(a), use_(use), privilege_(privilege) {
        nxe_ = (cpu.efer & efer::nxe) != 0;
        beyond_ = ~low_mask(cpu.model().physical_bits) & low_mask(52);
    }

    Faultable<Translation> run() {
        if (!(cpu_.cr0 & cr0::pg))
            return plain();
        if (cpu_.long_mode())
            return tables(cpu_.cr4 & cr4::la57 ? 5 : 4, cpu_.cr3 & ~0xfffull & low_mask(52));
        if (cpu_.cr4 & cr4::pae)
            return pae();
        return legacy();
    }

    /// For debuggers: records instead of faulting, changes nothing.
    Cpu::Mapping* record = nullptr;

private:
    Fault fault(u32 code) {
        if (record)
            return {};
        return cpu_.page_fault(a_, use_, privilege_, code);
    }

    /// Paging is off: the linear address is the guest-physical one.
    Faultable<Translation> plain() {
        Translation t;
        t.linear = a_.value & ~0xfffull;
        t.page = (t.linear & low_mask(32)) | Translation::readable | Translation::writable | Translation::executable |
                 Translation::dirty;
        return finish(t, 12);
    }

    /// Reads an entry through the second level, if there is one; remembers its physical address.
    Faultable<u64> entry(u64 guest_physical, unsigned width) {
        Physical p{guest_physical};
        if (cpu_.second_level && record) {
            if (!cpu_.second_level->examine(cpu_, GuestPhysical{guest_physical}, p))
                return Fault{};
        } else if (cpu_.second_level) {
            const SecondLevelPage page = TRY(cpu_.second_level->translate(
                cpu_, GuestPhysical{guest_physical},
                {.read = true, .write = false, .page_walk = true, .linear = a_.value}));
            p = Physical{page.page | (guest_physical & 0xfff)};
        }
        u64 value = 0;
        cpu_.read_physical(p, &value, width);
        if (record && record->levels < 5) {
            record->entry_addresses[record->levels] = p.value;
            record->entries[record->levels++] = value;
        }
        used_[used_count_] = p;
        guest_[used_count_] = guest_physical;
        values_[used_count_++] = value;
        width_ = width;
        return value;
    }

    Faultable<Translation> tables(unsigned levels, u64 table) {
        PageRights rights;
        for (unsigned level = levels;; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            const u64 e = TRY(entry(table + ((a_.value >> shift) & 0x1ff) * 8, 8));
            if (!(e & pte::p))
                return fault(0);
            const bool large = (e & pte::ps) && level > 1;
            u64 reserved = beyond_ | (nxe_ ? 0 : pte::nx);
            if (large)
                reserved |= level > 3 || (level == 3 && !cpu_.model().has_1g_pages) ? pte::ps : page_offset_mask(shift) & ~0x1fffull;
            if (e & reserved)
                return fault(pfec::p | pfec::rsvd);
            rights.add(e, nxe_);
            if (level == 1 || large)
                return leaf(e, e & low_mask(52) & ~page_offset_mask(shift) & ~0xfffull, shift, rights);
            table = e & low_mask(52) & ~0xfffull;
        }
    }

    Faultable<Translation> pae() {
        const u64 pdpte = cpu_.pdpte[(a_.value >> 30) & 3];
        if (record) {
            record->entries[record->levels] = pdpte;
            record->entry_addresses[record->levels++] = ~0ull;
        }
        if (!(pdpte & pte::p))
            return fault(0);
        return tables(2, pdpte & low_mask(52) & ~0xfffull);
    }

    Faultable<Translation> legacy() {
        PageRights rights;
        const u64 pde = TRY(entry((cpu_.cr3 & 0xffff'f000) + (a_.value >> 22 & 0x3ff) * 4, 4));
        if (!(pde & pte::p))
            return fault(0);
        rights.add(pde, false);
        if ((pde & pte::ps) && (cpu_.cr4 & cr4::pse)) {
            // PSE-36: bits 20:13 are address bits 39:32; bit 21 is reserved, and so is what lies beyond MAXPHYADDR.
            const u64 page = (pde & 0xffc0'0000) | bits(pde, 20, 13) << 32;
            if ((pde & bit(21)) || (page & beyond_))
                return fault(pfec::p | pfec::rsvd);
            return leaf(pde, page, 22, rights);
        }
        const u64 e = TRY(entry((pde & 0xffff'f000) + (a_.value >> 12 & 0x3ff) * 4, 4));
        if (!(e & pte::p))
            return fault(0);
        rights.add(e, false);
        return leaf(e, e & 0xffff'f000, 12, rights);
    }

    Faultable<Translation> leaf(u64 e, u64 page, unsigned shift, PageRights rights) {
        user_page_ = rights.user;
        rights.key = static_cast<u8>(bits(e, 62, 59));
        const Allowed may = allowed(cpu_, rights, privilege_);
        if (!may(use_) && !record) {
            const bool key = use_ == Use::write ? may.key_denies_write : use_ == Use::read && may.key_denies_read;
            return fault(pfec::p | (key ? pfec::pk : 0));
        }
        const bool write = use_ == Use::write;
        const u64 offset_mask = page_offset_mask(shift);
        Translation t;
        t.linear = a_.value & ~0xfffull;
        const u64 physical = page | (a_.value & offset_mask & ~0xfffull);
        if (!record)
            TRY(mark(write));
        const bool dirty = (e & pte::d) || write;
        t.page = physical | (may.readable ? Translation::readable : 0) | (may.writable ? Translation::writable : 0) |
                 (may.executable ? Translation::executable : 0) | (dirty ? Translation::dirty : 0) |
                 ((e & pte::g) && (cpu_.cr4 & cr4::pge) ? Translation::global : 0) |
                 u64{shift == 30 ? 2u : shift > 12 ? 1u : 0u} << Translation::size_shift;
        return finish(t, shift);
    }

    /// Accessed bits everywhere, the dirty bit in the leaf: only entries that change are written.
    Faultable<> mark(bool write) {
        for (unsigned i = 0; i < used_count_; ++i) {
            const bool last = i + 1 == used_count_;
            const u64 wanted = pte::a | (last && write ? pte::d : 0);
            if ((values_[i] & wanted) == wanted)
                continue;
            if (cpu_.second_level)
                (void)TRY(cpu_.second_level->translate(cpu_, GuestPhysical{guest_[i]},
                                                       {.read = true, .write = true, .page_walk = true, .linear = a_.value}));
            cpu_.mark_entry(used_[i], values_[i] | wanted, width_);
        }
        return {};
    }

    /// The final address goes through the second level too.
    Faultable<Translation> finish(Translation t, unsigned shift) {
        if (record) {
            record->present = true;
            record->size_log2 = static_cast<u8>(shift);
        }
        if (cpu_.second_level && !record) {
            const SecondLevelPage page = TRY(cpu_.second_level->translate(
                cpu_, GuestPhysical{(t.page & ~0xfffull) | a_.page_offset()},
                {.read = use_ == Use::read, .write = use_ == Use::write, .fetch = use_ == Use::fetch,
                 .user = user_page_, .linear = a_.value}));
            u64 flags = t.page & 0xfff;
            if (!page.readable)
                flags &= ~Translation::readable;
            if (!page.writable)
                flags &= ~(Translation::writable);
            if (!page.executable)
                flags &= ~Translation::executable;
            if (!page.dirty)
                flags &= ~Translation::dirty;
            t.page = page.page | flags;
        }
        if (record) {
            record->page = Physical{t.page & ~0xfffull};
            if (cpu_.second_level)
                record->present = cpu_.second_level->examine(cpu_, GuestPhysical{t.page & ~0xfffull}, record->page);
        }
        return t;
    }

    Cpu& cpu_;
    Linear a_;
    Use use_;
    Privilege privilege_;
    bool nxe_;
    u64 beyond_;
    Physical used_[5];
    u64 guest_[5]{}, values_[5]{};
    unsigned used_count_ = 0, width_ = 8;
    bool user_page_ = true; ///< without paging every address is a user-mode one
};

Faultable<Translation> Cpu::walk_tables(Linear a, Use use, Privilege p) { return Walker(*this, a, use, p).run(); }

Fault Cpu::page_fault(Linear a, Use use, Privilege p, u32 code) {
    if (use == Use::write)
        code |= pfec::w;
    if (p == Privilege::user)
        code |= pfec::u;
    if (use == Use::fetch && (((efer & efer::nxe) && (cr4 & cr4::pae)) || (cr4 & cr4::smep)))
        code |= pfec::i;
    return raise_event({.vector = Vector::pf, .has_error = true, .error = code, .cr2 = a.value});
}

Cpu::Mapping Cpu::examine(Linear a) {
    Mapping m;
    if ((cr0 & cr0::pg) && long_mode() && !is_canonical(a.value, cr4 & cr4::la57))
        return m;
    Walker w(*this, a, Use::read, Privilege::supervisor_ac);
    w.record = &m;
    (void)w.run();
    m.page = Physical{m.page.value | a.page_offset()};
    return m;
}

/// Looks in the TLB, else walks and fills. The entry allows `use`.
Faultable<Translation*> Cpu::walk(Linear a, Use use, Privilege p, TlbTable& table) {
    if (Translation* t = table.find(a.value)) {
        const u64 needed = use == Use::write  ? Translation::writable | Translation::dirty
                           : use == Use::read ? Translation::readable
                                              : Translation::executable;
        if ((t->page & needed) == needed)
            return t;
        // A translation that forbids is walked again: it may have gained rights, and faults are never raised from the TLB.
    }
    const Translation fresh = TRY(walk_tables(a, use, p));
    return &table.fill(fresh);
}

void Cpu::set_tags(Translation& t, TlbTable& table) {
    TlbTags& tags = table.tags(t.linear);
    const Physical page = t.physical();
    u8* const host = space_.host(page);
    const bool was_executable = tags.exec != TlbTable::no_tag;
    tags.read = tags.write = tags.exec = TlbTable::no_tag;
    const bool direct = host && !(apic_ && apic_->covers(page)) && !apic_page(page) && !watched(t.linear);
    if (was_executable && !(direct && (t.page & Translation::executable)))
        table.forget_targets();
    if (!direct)
        return;
    tags.addend = reinterpret_cast<u64>(host) - t.linear;
    if (t.page & Translation::readable)
        tags.read = t.linear;
    if (t.page & Translation::executable)
        tags.exec = t.linear;
    constexpr u64 writable = Translation::writable | Translation::dirty;
    if ((t.page & writable) == writable && space_.direct_write(page)) {
        tags.write = t.linear;
        space_.flags(space_.ram_offset(page) / page_size) |= page_writer;
    }
}

Faultable<Physical> Cpu::translate(Linear a, Use use, Privilege p) {
    if (stale_) [[unlikely]]
        return stale_->translate(a, use, p);
    TlbTable& table = *tlb_.table(p);
    Translation* const t = TRY(walk(a, use, p, table));
    set_tags(*t, table);
    return t->physical() + a.page_offset();
}

void Cpu::flush_tlb(bool keep_global) {
    const TlbKey present = tlb_.key();
    tlb_.flush_if(
        [&](const TlbKey& k) {
            return k.vpid == present.vpid && (!keep_global || k.pcid == present.pcid);
        },
        keep_global);
}

void Cpu::invalidate_page(Linear a) { tlb_.invalidate(a.value); }

bool Cpu::watched(u64 linear_page) const {
    if (hooks_ && hooks_->watches(Linear{linear_page})) [[unlikely]]
        return true;
    if (!(dr7 & dr7::enabled)) [[likely]]
        return false;
    for (unsigned i = 0; i < 4; ++i)
        if ((dr7 >> (2 * i) & 3) && (dr[i] & ~0xfffull) == linear_page)
            return true;
    return false;
}

} // namespace vitrine
