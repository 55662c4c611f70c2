// SPDX-License-Identifier: Apache-2.0
// Loads and stores that miss the fast tags: page crossings, devices, code pages, watchpoints, alignment and segment checks.
#include "x86/cpu.h"
#include "x86/model.h"
#include "x86/stale.h"

#include <algorithm>

namespace vitrine {

namespace {

/// At most two pages are touched by one access; this is their split.
struct Pieces {
    Physical first{}, second{};
    unsigned first_size = 0, second_size = 0;
};

} // namespace

Privilege Cpu::privilege() const {
    if (cpl == 3)
        return Privilege::user;
    return (cr4 & cr4::smap) && (flags & rflags::ac) ? Privilege::supervisor_ac : Privilege::supervisor;
}

/// #GP(0), or #SS(0) for the stack segment, for an address that 64-bit mode cannot have.
Fault Cpu::not_canonical() {
    const bool stack = stack_access_ || (current_ && current_->segment == ss);
    return raise(stack ? Vector::ss : Vector::gp, 0);
}

Faultable<> Cpu::check(Linear a, unsigned size, Use use) {
    if (mode64() && (!canonical(a.value) || !canonical(a.value + size - 1)))
        return not_canonical();
    if (alignment_checked_ && use != Use::fetch && size > 1 && size <= 16 && std::has_single_bit(size) &&
        !is_aligned(a.value, size))
        return raise(Vector::ac, 0);
    return {};
}

void Cpu::note_watchpoints(Linear a, unsigned size, Use use) {
    if (hooks_ && use != Use::fetch && hooks_->access(*this, a, size, use == Use::write)) [[unlikely]] {
        watch_hit_ = true;
        leave_block();
    }
    if (!(dr7 & dr7::enabled)) [[likely]]
        return;
    for (unsigned i = 0; i < 4; ++i) {
        if (!(dr7 >> (2 * i) & 3))
            continue;
        const unsigned kind = static_cast<unsigned>(dr7 >> (16 + 4 * i) & 3);
        static constexpr unsigned lengths[4] = {1, 2, 8, 4};
        const u64 length = lengths[dr7 >> (18 + 4 * i) & 3];
        const u64 start = dr[i] & ~(length - 1);
        if ((kind == 1 && use == Use::write) || kind == 3)
            if (start < a.value + size && a.value < start + length) {
                pending_debug |= bit(i);
                attention_ = true;
                leave_block();
            }
    }
}

Faultable<Physical> Cpu::translate(Linear a, unsigned size, Use use, Privilege p) {
    const Physical at = TRY(translate(a, use, p));
    if (sub_pages && use == Use::write) [[unlikely]] {
        constexpr u64 part = 128;
        for (u64 next = (a.value / part + 1) * part; next < a.value + size; next += part)
            (void)TRY(translate(Linear{next}, use, p));
    }
    return at;
}

Faultable<> Cpu::load_slow(Linear a, void* to, unsigned size, Use use) {
    TRY(check(a, size, use));
    const Privilege p = privilege();
    const unsigned first = std::min<unsigned>(size, static_cast<unsigned>(page_size - a.page_offset()));
    const Physical one = TRY(translate(a, first, use, p));
    if (apic_page(one) && TRY(apic_access(a, one, to, size, use))) [[unlikely]]
        return {};
    if (first == size) {
        read_physical(one, to, size);
    } else {
        const Linear rest = wrapped(a + first);
        const Physical two = TRY(translate(rest, size - first, use, p));
        if (apic_page(two)) [[unlikely]]
            (void)TRY(apic_access(rest, two, nullptr, size - first, use));
        read_physical(one, to, first);
        read_physical(two, static_cast<u8*>(to) + first, size - first);
    }
    note_watchpoints(a, size, use == Use::write ? Use::read : use);
    return {};
}

Faultable<> Cpu::store_slow(Linear a, const void* from, unsigned size) {
    TRY(check(a, size, Use::write));
    const Privilege p = privilege();
    const unsigned first = std::min<unsigned>(size, static_cast<unsigned>(page_size - a.page_offset()));
    const Physical one = TRY(translate(a, first, Use::write, p));
    if (apic_page(one)) [[unlikely]] {
        u64 data = 0;
        std::memcpy(&data, from, std::min<unsigned>(size, sizeof data));
        if (TRY(apic_access(a, one, size <= sizeof data ? &data : nullptr, size, Use::write)))
            return {};
    }
    if (first == size) {
        write_physical(one, from, size);
        if (TlbTable& table = *tlb_.table(p); space_.direct_write(one))
            if (Translation* t = table.find(a.value))
                set_tags(*t, table);
    } else {
        const Physical two = TRY(translate(wrapped(a + first), size - first, Use::write, p));
        if (apic_page(two)) [[unlikely]]
            (void)TRY(apic_access(wrapped(a + first), two, nullptr, size - first, Use::write));
        write_physical(one, from, first);
        write_physical(two, static_cast<const u8*>(from) + first, size - first);
    }
    note_watchpoints(a, size, Use::write);
    return {};
}

Faultable<> Cpu::system_slow(Linear a, void* data, unsigned size, bool write) {
    if (long_mode() && sign_extend(a.value, cr4 & cr4::la57 ? 57 : 48) != a.value)
        return raise(Vector::gp, 0);
    if (!long_mode())
        a = Linear{a.value & 0xffff'ffff};
    const Use use = write ? Use::write : Use::read;
    u8* bytes = static_cast<u8*>(data);
    const unsigned first = std::min<unsigned>(size, static_cast<unsigned>(page_size - a.page_offset()));
    const Physical one = TRY(translate(a, first, use, Privilege::supervisor));
    Physical two{};
    if (first < size)
        two = TRY(translate(wrapped(a + first), size - first, use, Privilege::supervisor));
    if (apic_page(one) && TRY(apic_access(a, one, first == size ? data : nullptr, size, use))) [[unlikely]]
        return {};
    const auto move = [&](Physical p, u8* at, unsigned n) {
        if (n == 0)
            return;
        if (write)
            write_physical(p, at, n);
        else
            read_physical(p, at, n);
    };
    move(one, bytes, first);
    move(two, bytes + first, size - first);
    note_watchpoints(a, size, use);
    return {};
}

/// `data` is null where no virtualised access is possible: page-crossing and wide ones.
Faultable<bool> Cpu::apic_access(Linear a, Physical p, void* data, unsigned size, Use use) {
    const ApicUse kind = use == Use::write ? ApicUse::write : use == Use::fetch ? ApicUse::fetch : ApicUse::read;
    return interceptor->apic_access(*this, a, p, data, size, kind);
}

Linear Cpu::wrapped(Linear a) const { return mode64() ? a : Linear{a.value & 0xffff'ffff}; }

Faultable<> Cpu::probe(Linear a, unsigned size, Use use) {
    TRY(check(a, size, use));
    const Privilege p = privilege();
    const unsigned first = std::min<unsigned>(size, static_cast<unsigned>(page_size - a.page_offset()));
    (void)TRY(translate(a, first, use, p));
    if (first < size)
        (void)TRY(translate(wrapped(a + first), size - first, use, p));
    return {};
}

Faultable<Physical> Cpu::locate(Linear a, Use use) {
    TRY(check(a, 1, use));
    return translate(a, use, privilege());
}

Faultable<u8*> Cpu::direct(Linear a, unsigned size, Use use) {
    if (a.page_offset() + size > page_size)
        return nullptr;
    const auto tag = [&] { return use == Use::write ? table_->tags(a.value).write : table_->tags(a.value).read; };
    if (tag() != a.page().value) {
        if (table_ == no_table_.get())
            return nullptr;
        TRY(check(a, size, use));
        const Physical p = TRY(translate(a, use, privilege()));
        if (use == Use::write && space_.host(p) && tag() != a.page().value && !watched(a.page().value)) {
            // Not yet dirty: say so now, and try again. A code page stays on the slow way.
            const u64 page = space_.ram_offset(p) / page_size;
            if (!(space_.flags(page) & page_seen) && !(apic_ && apic_->covers(p))) {
                space_.note_write(p, 1, requester());
                (void)TRY(translate(a, use, privilege()));
            }
        }
        if (tag() != a.page().value)
            return nullptr;
    }
    return reinterpret_cast<u8*>(a.value + table_->tags(a.value).addend);
}

Faultable<Linear> Cpu::segmented(SegmentName segment, u64 offset, unsigned size, Use use) {
    const Segment& s = segments[segment];
    if (mode64()) {
        const Linear a{segment == fs || segment == gs ? s.base + offset : offset};
        if (!canonical(a.value))
            return raise(segment == ss ? Vector::ss : Vector::gp, 0);
        return a;
    }
    const Vector v = segment == ss ? Vector::ss : Vector::gp;
    if (!s.usable())
        return raise(v, 0);
    const u8 type = s.type();
    const bool code = type & 8;
    if (protected_mode() && !v86()) {
        if (use == Use::write && (code || !(type & 2)))
            return raise(v, 0);
        if (use == Use::read && code && !(type & 2))
            return raise(v, 0);
    }
    const u64 last = offset + size - 1;
    if (!code && (type & 4)) { // expand-down
        const u64 top = rights::db(s.rights) ? 0xffff'ffff : 0xffff;
        if (offset <= s.limit || last > top)
            return raise(v, 0);
    } else if (last > s.limit || last < offset) {
        return raise(v, 0);
    }
    return Linear{(s.base + offset) & 0xffff'ffff};
}

void Cpu::read_physical(Physical p, void* to, unsigned size) {
    if (const u8* from = space_.host(p)) [[likely]] {
        if (!(apic_ && apic_->covers(p))) {
            std::memcpy(to, from, size);
            return;
        }
    }
    if (apic_ && apic_->covers(p)) {
        Access a{.offset = p.page_offset(), .size = size, .write = false, .requester = requester()};
        apic_->access(a);
        std::memcpy(to, &a.value, std::min(size, 8u));
        return;
    }
    space_.read(p, {static_cast<u8*>(to), size}, requester());
}

void Cpu::write_physical(Physical p, const void* from, unsigned size) {
    if (apic_ && apic_->covers(p)) [[unlikely]] {
        Access a{.offset = p.page_offset(), .size = size, .write = true, .requester = requester()};
        std::memcpy(&a.value, from, std::min(size, 8u));
        apic_->access(a);
        return;
    }
    space_.write(p, {static_cast<const u8*>(from), size}, requester());
}

void Cpu::mark_entry(Physical p, u64 value, unsigned size) {
    if (stale_) [[unlikely]]
        return stale_->mark_entry(p, value, size);
    write_physical(p, &value, size);
}

// ---- stack ----------------------------------------------------------------------------------------------------------

Faultable<Linear> Cpu::stack_address(u64 offset, unsigned size, Use use) {
    if (mode64())
        return Linear{offset};
    return segmented(ss, offset, size, use);
}

Faultable<> Cpu::push(unsigned size, u64 value) {
    const u64 mask = low_mask(8 * stack_size());
    const u64 top = (gpr[rsp] - size) & mask;
    const Linear a = TRY(stack_address(top, size, Use::write));
    stack_access_ = true;
    const Faultable<> done = size == 8 ? store<u64>(a, value) : size == 4 ? store<u32>(a, static_cast<u32>(value)) : store<u16>(a, static_cast<u16>(value));
    stack_access_ = false;
    TRY(done);
    set_rsp(top);
    return {};
}

Faultable<u64> Cpu::peek(unsigned size, u64 skip) {
    const u64 mask = low_mask(8 * stack_size());
    const Linear a = TRY(stack_address((gpr[rsp] + skip) & mask, size, Use::read));
    u64 value = 0;
    stack_access_ = true;
    Faultable<> done;
    if (size == 8) {
        const auto r = load<u64>(a);
        value = r.value();
        done = r.ok() ? Faultable<>{} : Faultable<>{Fault{}};
    } else {
        done = load_bytes(a, &value, size);
    }
    stack_access_ = false;
    TRY(done);
    return value;
}

Faultable<u64> Cpu::pop(unsigned size) {
    const u64 value = TRY(peek(size));
    add_rsp(size);
    return value;
}

} // namespace vitrine
