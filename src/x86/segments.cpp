// SPDX-License-Identifier: Apache-2.0
// Descriptor loads and their checks (SDM volume 3, Protection; volume 2, MOV, LLDT, LTR).
#include "x86/segments.h"

#include "x86/model.h"

namespace vitrine {

bool canonical_address(const Cpu& cpu, u64 a) { return sign_extend(a, cpu.cr4 & cr4::la57 ? 57 : 48) == a; }

bool canonical_base(const Cpu& cpu, u64 a) { return sign_extend(a, cpu.model().has(Feature::la57) ? 57 : 48) == a; }

namespace {

/// Base and limit of the table that a selector names.
struct Table {
    u64 base;
    u64 limit;
    bool usable;
};

Table table_of(const Cpu& cpu, u16 selector) {
    if (selector & 4)
        return {cpu.segments[ldtr].base, cpu.segments[ldtr].limit, cpu.segments[ldtr].usable()};
    return {cpu.gdtr.base, cpu.gdtr.limit, true};
}

} // namespace

bool in_table(const Cpu& cpu, u16 selector) {
    const Table t = table_of(cpu, selector);
    return t.usable && (selector & 0xfff8u) + 7u <= t.limit;
}

Faultable<Descriptor> read_descriptor(Cpu& cpu, u16 selector, Vector v, u32 ext) {
    const Table t = table_of(cpu, selector);
    const u64 offset = selector & 0xfff8u;
    if (!in_table(cpu, selector))
        return cpu.raise(v, selector_error(selector, ext));
    Descriptor d;
    d.address = Linear{t.base + offset};
    d.low = TRY(cpu.load_system<u64>(d.address));
    return d;
}

Faultable<> read_upper_half(Cpu& cpu, u16 selector, Descriptor& d, Vector v, u32 ext) {
    const Table t = table_of(cpu, selector);
    if ((selector & 0xfff8u) + 15u > t.limit)
        return cpu.raise(v, selector_error(selector, ext));
    d.high = TRY(cpu.load_system<u64>(d.address + 8));
    if (bits(d.high, 44, 40) != 0)
        return cpu.raise(v, selector_error(selector, ext));
    return {};
}

Faultable<> mark_accessed(Cpu& cpu, Descriptor& d) {
    constexpr u64 accessed = bit(40);
    if (d.low & accessed)
        return {};
    d.low |= accessed;
    return cpu.store_system<u8>(d.address + 5, static_cast<u8>(d.low >> 40));
}

Faultable<> mark_busy(Cpu& cpu, u16 tss_selector, bool busy) {
    const Linear at{cpu.gdtr.base + (tss_selector & 0xfff8u) + 5};
    const u8 byte = TRY(cpu.load_system<u8>(at));
    return cpu.store_system<u8>(at, static_cast<u8>(busy ? byte | 2 : byte & ~2));
}

Segment real_segment(const Cpu& cpu, SegmentName name, u16 selector) {
    // Real mode keeps limit and rights, whatever they are ("big real mode"); virtual-8086 mode always has the 8086's.
    Segment s = cpu.segments[name];
    s.selector = selector;
    s.base = u64{selector} << 4;
    if (cpu.v86()) {
        s.limit = 0xffff;
        s.rights = 0xf3;
    } else if (!s.usable()) {
        s.rights = 0x93;
    }
    return s;
}

Segment null_segment(u16 selector, u8 cpl) {
    return {.base = 0, .limit = 0, .rights = static_cast<u32>(rights::unusable.mask() | u64{cpl} << 5), .selector = selector};
}

Faultable<Segment> stack_segment(Cpu& cpu, u16 selector, u8 cpl, Vector v, u32 ext) {
    if (null_selector(selector))
        return cpu.raise(v, v == Vector::ts ? selector_error(selector, ext) : ext);
    Descriptor d = TRY(read_descriptor(cpu, selector, v, ext));
    if ((selector & 3) != cpl || !d.writable() || d.dpl() != cpl)
        return cpu.raise(v, selector_error(selector, ext));
    if (!d.present())
        return cpu.raise(Vector::ss, selector_error(selector, ext));
    TRY(mark_accessed(cpu, d));
    return d.cache(selector);
}

Faultable<> load_segment(Cpu& cpu, SegmentName name, u16 selector) {
    if (!cpu.protected_mode() || cpu.v86()) {
        cpu.segments[name] = real_segment(cpu, name, selector);
    } else if (name == ss) {
        if (null_selector(selector)) {
            if (!cpu.mode64() || cpu.cpl == 3 || (selector & 3) != cpu.cpl)
                return cpu.gp();
            cpu.segments[ss] = null_segment(selector, cpu.cpl);
        } else {
            cpu.segments[ss] = TRY(stack_segment(cpu, selector, cpu.cpl, Vector::gp));
        }
    } else if (null_selector(selector)) {
        cpu.segments[name] = null_segment(selector);
    } else {
        Descriptor d = TRY(read_descriptor(cpu, selector));
        const u8 rpl = selector & 3;
        const bool outer = d.dpl() < rpl || d.dpl() < cpu.cpl;
        if (!d.segment() || !d.readable() || (!d.conforming() && outer))
            return cpu.gp(selector_error(selector));
        if (!d.present())
            return cpu.raise(Vector::np, selector_error(selector));
        TRY(mark_accessed(cpu, d));
        cpu.segments[name] = d.cache(selector);
    }
    if (name == ss)
        cpu.mode_changed();
    else
        cpu.segment_changed(name);
    return {};
}

void set_code_segment(Cpu& cpu, const Segment& code, u8 cpl) {
    const bool stays_64 = cpu.mode64() && rights::l(code.rights);
    cpu.segments[cs] = code;
    cpu.segments[cs].selector = static_cast<u16>((code.selector & 0xfffc) | cpl);
    cpu.cpl = cpl;
    if (stays_64) {
        // The usual case, system calls and interrupts: nothing that decoding depends on has changed.
        cpu.privilege_changed();
        cpu.events_changed();
    } else {
        cpu.mode_changed();
    }
}

Faultable<> load_ldtr(Cpu& cpu, u16 selector, Vector v) {
    if (null_selector(selector)) {
        cpu.segments[ldtr] = null_segment(selector);
        return {};
    }
    if (selector & 4)
        return cpu.raise(v, selector_error(selector));
    Descriptor d = TRY(read_descriptor(cpu, selector, v));
    if (d.segment() || d.system_type() != SystemType::ldt)
        return cpu.raise(v, selector_error(selector));
    if (!d.present())
        return cpu.raise(v == Vector::ts ? Vector::ts : Vector::np, selector_error(selector));
    if (cpu.long_mode()) {
        TRY(read_upper_half(cpu, selector, d, v));
        if (!canonical_base(cpu, d.base64()))
            return cpu.raise(v, selector_error(selector));
    }
    cpu.segments[ldtr] = d.cache(selector);
    if (cpu.long_mode())
        cpu.segments[ldtr].base = d.base64();
    return {};
}

Faultable<> load_tr(Cpu& cpu, u16 selector) {
    if (null_selector(selector))
        return cpu.gp();
    if (selector & 4)
        return cpu.gp(selector_error(selector));
    Descriptor d = TRY(read_descriptor(cpu, selector));
    const SystemType type = d.system_type();
    if (d.segment() || (type != SystemType::tss && (type != SystemType::tss16 || cpu.long_mode())))
        return cpu.gp(selector_error(selector));
    if (!d.present())
        return cpu.raise(Vector::np, selector_error(selector));
    if (cpu.long_mode()) {
        TRY(read_upper_half(cpu, selector, d));
        if (!canonical_base(cpu, d.base64()))
            return cpu.gp(selector_error(selector));
    }
    TRY(mark_busy(cpu, selector, true));
    cpu.segments[tr] = d.cache(selector);
    cpu.segments[tr].rights |= 2;
    if (cpu.long_mode())
        cpu.segments[tr].base = d.base64();
    return {};
}

void drop_inner_segments(Cpu& cpu) {
    for (const SegmentName name : {es, ds, fs, gs}) {
        const Segment& s = cpu.segments[name];
        const bool conforming = (s.type() & 12) == 12;
        if (s.usable() && !conforming && s.dpl() < cpu.cpl) {
            // The base stays, and 64-bit code can use it (FS and GS).
            cpu.segments[name].selector = 0;
            cpu.segments[name].rights |= static_cast<u32>(rights::unusable.mask());
            cpu.segment_changed(name);
        }
    }
}

} // namespace vitrine
