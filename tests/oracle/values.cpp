// SPDX-License-Identifier: Apache-2.0
// How operands are chosen: by chance among the values where instructions change their behaviour.
#include "values.h"

#include "x86/state.h"

#include <asmjit/x86.h>

#include <algorithm>
#include <cstring>

namespace vitrine::oracle {

namespace {

u64 edge_integer(Random& r) {
    static constexpr u64 edges[] = {0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000,
                                    0xffff, 0x10000, 0x7fff'ffff, 0x8000'0000, 0x8000'0001, 0xffff'ffff, 0x1'0000'0000,
                                    0x7fff'ffff'ffff'ffff, 0x8000'0000'0000'0000, ~0ull, ~1ull, 0xaaaa'aaaa'aaaa'aaaa};
    return r.pick(edges);
}

u64 integer(Random& r) {
    switch (r.below(6)) {
    case 0:
    case 1: return edge_integer(r);
    case 2: return r.next() >> r.below(64);
    case 3: return ~(r.next() >> r.below(64));
    default: return r.next();
    }
}

u32 edge_single(Random& r) {
    static constexpr u32 edges[] = {0x0000'0000, 0x8000'0000, 0x3f80'0000, 0xbf80'0000, 0x7f80'0000, 0xff80'0000, 0x7fc0'0000,
                                    0xffc0'0000, 0x7f80'0001, 0xffbf'ffff, 0x0000'0001, 0x807f'ffff, 0x0080'0000, 0x7f7f'ffff,
                                    0x4f00'0000, 0xcf00'0000, 0x4eff'ffff, 0x5f00'0000, 0x3f00'0000, 0x3fc0'0000, 0x4b80'0000,
                                    0x3400'0000, 0x3380'0000, 0x0040'0000, 0x477f'f000, 0x3880'0000, 0x3300'0000};
    return r.pick(edges);
}

u64 edge_double(Random& r) {
    static constexpr u64 edges[] = {0, 1ull << 63, 0x3ff0'0000'0000'0000, 0xbff0'0000'0000'0000, 0x7ff0'0000'0000'0000,
                                    0xfff0'0000'0000'0000, 0x7ff8'0000'0000'0000, 0x7ff0'0000'0000'0001, 0xfff7'ffff'ffff'ffff, 1,
                                    0x800f'ffff'ffff'ffff, 0x0010'0000'0000'0000, 0x7fef'ffff'ffff'ffff, 0x41e0'0000'0000'0000,
                                    0xc1e0'0000'0020'0000, 0x43e0'0000'0000'0000, 0xc3e0'0000'0000'0000, 0x3fe0'0000'0000'0000,
                                    0x3ff8'0000'0000'0000, 0x47ef'ffff'e000'0000, 0x3810'0000'0000'0000, 0x36a0'0000'0000'0000,
                                    0x3ca0'0000'0000'0000, 0x41df'ffff'ffc0'0000};
    return r.pick(edges);
}

u32 single(Random& r) {
    switch (r.below(4)) {
    case 0: return edge_single(r);
    case 1: return static_cast<u32>(r.next());
    // Near one another, so that sums cancel and products stay in range.
    case 2: return static_cast<u32>((r.next() & 0x8000'0000) | (0x3f80'0000 + (r.below(16) << 23) - (8 << 23)) | (r.next() & 0x7f'ffff));
    default: return static_cast<u32>((r.next() & 0x8000'0000) | (0x4b00'0000 + (r.below(6) << 23)) | (r.next() & 0x7f'ffff));
    }
}

u64 double_(Random& r) {
    switch (r.below(4)) {
    case 0: return edge_double(r);
    case 1: return r.next();
    case 2: return (r.next() & 1ull << 63) | (0x3ff0'0000'0000'0000 + (r.below(16) << 52) - (8ull << 52)) | (r.next() & low_mask(52));
    default: return (r.next() & 1ull << 63) | (0x41d0'0000'0000'0000 + (r.below(40) << 52)) | (r.next() & low_mask(52));
    }
}

enum class Flavour { integers, singles, doubles, bits, bytes, halves, count };

/// Sixty-four bits of the flavour.
u64 word(Random& r, Flavour f) {
    switch (f) {
    case Flavour::integers: return integer(r);
    case Flavour::singles: return single(r) | u64{single(r)} << 32;
    case Flavour::doubles: return double_(r);
    case Flavour::bytes: {
        u64 v = 0;
        for (unsigned n = 0; n < 8; ++n)
            v |= (r.chance(50) ? edge_integer(r) & 0xff : r.below(256)) << 8 * n;
        return v;
    }
    case Flavour::halves: {
        static constexpr u16 edges[] = {0, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 1, 0x83ff, 0x0400, 0x7bff};
        u64 v = 0;
        for (unsigned n = 0; n < 4; ++n)
            v |= (r.chance(60) ? u64{r.pick(edges)} : r.below(65536)) << 16 * n;
        return v;
    }
    default: return r.next();
    }
}

Flavour flavour(Random& r) { return static_cast<Flavour>(r.below(static_cast<u64>(Flavour::count))); }

void fill(Random& r, u8* at, unsigned size) {
    const Flavour f = flavour(r);
    for (unsigned n = 0; n < size; n += 8) {
        const u64 v = word(r, f);
        std::memcpy(at + n, &v, std::min(8u, size - n));
    }
}

/// An 80-bit value: ordinary, edge, or of the kinds that no longer exist (unnormals, pseudo-denormals).
void fill_extended(Random& r, u8* at) {
    static constexpr u16 exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x400e, 0x401e, 0x7ffe, 0x7fff, 0x43fe, 0x407e, 0x3f81, 0x3c01};
    static constexpr u64 mantissas[] = {0, 1, 1ull << 63, 3ull << 62, ~0ull, (1ull << 63) + 1, 1ull << 62, low_mask(63), 0x8000'0100'0000'0000,
                                        0xc90f'daa2'2168'c235};
    u16 exponent = r.chance(60) ? static_cast<u16>(0x3fff + r.below(64) - 32) : r.pick(exponents);
    u64 mantissa = r.chance(70) ? r.next() | 1ull << 63 : r.pick(mantissas);
    exponent |= static_cast<u16>(r.next() & 0x8000);
    std::memcpy(at, &mantissa, 8);
    std::memcpy(at + 8, &exponent, 2);
}

u32 random_mxcsr(Random& r) {
    u32 v = 0x1f80;
    if (r.chance(50))
        v = static_cast<u32>((v & ~0x6000u) | r.below(4) << 13);
    if (r.chance(20))
        v |= 0x8000;
    if (r.chance(20))
        v |= 0x0040;
    if (r.chance(15))
        v &= ~static_cast<u32>(r.below(64) << 7);
    if (r.chance(20))
        v |= static_cast<u32>(r.below(64));
    return v;
}

/// With a reserved bit now and then; AMD has a use for the second one.
u32 mostly_valid_mxcsr(Random& r) { return random_mxcsr(r) | (r.chance(8) ? 0x10000u << r.below(2) : 0); }

void random_x87(Random& r, Registers& g) {
    u16 fcw = 0x037f;
    if (r.chance(40))
        fcw = static_cast<u16>((fcw & ~0xf00) | r.below(16) << 8);
    if (r.chance(15))
        fcw &= static_cast<u16>(~r.below(64));
    u16 fsw = static_cast<u16>(r.below(8) << 11);
    if (r.chance(50))
        fsw |= static_cast<u16>(r.next() & 0x4700);
    if (r.chance(20))
        fsw |= static_cast<u16>(r.below(128));
    if (fsw & ~fcw & 0x3f)
        fsw |= 0x8080;
    u8 tags = static_cast<u8>(r.next());
    if (r.chance(60))
        tags = 0xff;
    else if (r.chance(30))
        tags = 0;
    std::memcpy(g.x87.data(), &fcw, 2);
    std::memcpy(g.x87.data() + 2, &fsw, 2);
    g.x87[4] = tags;
    for (unsigned n = 0; n < 8; ++n) {
        if (r.chance(80)) {
            fill_extended(r, g.x87.data() + 32 + 16 * n);
        } else {
            fill(r, g.x87.data() + 32 + 16 * n, 8);
            g.x87[32 + 16 * n + 8] = g.x87[32 + 16 * n + 9] = 0xff;
        }
    }
}

/// Where a memory operand of `size` bytes shall lie.
u64 target(Random& r, unsigned size) {
    const u64 room = data_size - std::min(size, data_size - 1u);
    switch (r.below(20)) {
    case 0: return data_page + 4096 - r.below(size + 1);                  // across the two data pages
    case 1: return data_page + data_size - r.below(size + 1);             // over the end
    case 2: return data_page - r.below(size + 1);                         // before the beginning
    case 3: return read_only_page + r.below(4096 - std::min(size, 64u));
    case 4:
        if (r.chance(30))
            return r.chance(50) ? 0x8000'0000'0000'0000 | r.next() >> 1 : 0x0000'8000'0000'0000 - r.below(size + 1);
        if (r.chance(10))
            return 0xffff'8000'0000'0000 + r.below(0x1000'0000); // with FS or GS the offset is below
        [[fallthrough]];
    case 5:
    case 6: return data_page + r.below(room);
    default: return align_down(data_page + r.below(room), size > 8 ? 64 : 8);
    }
}

unsigned operand_bytes(const ZydisDecodedOperand& o) { return std::max(1u, o.size / 8u); }

bool is_gpr(ZydisRegister r) {
    return r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15;
}

/// Rewrites the displacement of an operand without registers, or relative to RIP, so that it reaches `to`.
void aim_displacement(Case& c, const ZydisDecodedOperandMem& m, u64 to) {
    const unsigned size = c.info.raw.disp.size;
    if (size != 32 && size != 16)
        return;
    const u64 from = m.base == ZYDIS_REGISTER_NONE ? 0 : c.address + c.length;
    const u32 value = static_cast<u32>(to - from);
    std::memcpy(c.bytes.data() + c.info.raw.disp.offset, &value, size / 8);
}

/// Makes the memory operand point to `to` through its registers, or its displacement.
void aim(Random& r, Case& c, const ZydisDecodedOperand& o, u64 to) {
    const ZydisDecodedOperandMem& m = o.mem;
    Registers& g = c.registers;
    to -= segment_base(c, m.segment);
    const u64 displacement = static_cast<u64>(m.disp.value);
    const unsigned width = c.info.address_width;
    const auto set = [&](ZydisRegister reg, u64 value) {
        if (width < 64)
            value = (value & low_mask(width)) | (r.next() << width & low_mask(c.bits == 64 ? 64 : 32));
        g.gpr[register_number(reg)] = value;
    };
    if (m.type == ZYDIS_MEMOP_TYPE_VSIB) {
        if (has_base(m))
            set(m.base, to - displacement);
        const bool wide = r.chance(50);
        auto& index = g.zmm[register_number(m.index)];
        for (unsigned n = 0; n < 16; ++n) {
            const u32 value = r.chance(8) ? static_cast<u32>(r.next()) : static_cast<u32>(r.below(512)) - 64;
            std::memcpy(index.data() + 4 * n, &value, 4);
            if (wide && (n & 1)) {
                const u32 high = index[4 * n - 1] & 0x80 ? ~0u : 0;
                std::memcpy(index.data() + 4 * n, &high, 4);
            }
        }
        return;
    }
    const bool index = m.index != ZYDIS_REGISTER_NONE;
    if (!has_base(m) && !index) {
        if (c.info.raw.disp.size == 64) { // MOV with a full address
            std::memcpy(c.bytes.data() + c.info.raw.disp.offset, &to, 8);
            return;
        }
        aim_displacement(c, m, to);
        return;
    }
    if (has_base(m) && index && m.base == m.index) {
        set(m.base, (to - displacement) / (m.scale + 1u));
        return;
    }
    if (index) {
        set(m.index, has_base(m) ? r.chance(80) ? r.below(64) - 16 : integer(r) : (to - displacement) / m.scale);
        to -= g.gpr[register_number(m.index)] * m.scale;
    }
    if (has_base(m))
        set(m.base, to - displacement);
}

/// Flags, vectors, masks, MXCSR and x87.
void fill_rest(Random& r, Registers& g) {
    static constexpr u64 status = 0x8d5;
    g.rflags = 2 | (r.next() & status) | (r.chance(20) ? 0x400 : 0) | (r.chance(10) ? r.next() & 0x20'0000 : 0) | 0x200;
    static const bool wide = asmjit::CpuInfo::host().features().x86().hasAVX512_F();
    for (auto& z : g.zmm) {
        fill(r, z.data(), 64);
        if (!wide) // bits that the host does not have are never anything else
            std::fill(z.begin() + 32, z.end(), u8{0});
    }
    for (u64& k : g.k)
        k = r.chance(30) ? ~0ull : r.chance(20) ? 0 : r.chance(50) ? r.next() & r.next() : r.next();
    g.mxcsr = random_mxcsr(r);
    random_x87(r, g);
}

/// A valid XSAVE or FXSAVE image at the operand, most of the time.
void put_save_area(Random& r, Case& c, u64 at) {
    if (at < data_page || at + 576 > data_page + data_size)
        return;
    u8* const to = c.memory.data() + (at - data_page);
    Registers image;
    random_x87(r, image);
    std::memcpy(to, image.x87.data(), 5);
    std::memcpy(to + 32, image.x87.data() + 32, 128);
    const u32 mxcsr = mostly_valid_mxcsr(r);
    std::memcpy(to + 24, &mxcsr, 4);
    std::memset(to + 512, 0, 64);
    if (!r.chance(10))
        to[512] = static_cast<u8>(r.next() & 7);
    if (r.chance(5))
        to[512 + r.below(64)] = static_cast<u8>(r.next());
}

/// Legacy environment and save images: reserved exponents and such come from random bytes; the control word needs sense sometimes.
void put_environment(Random& r, Case& c, u64 at) {
    if (at < data_page || at + 108 > data_page + data_size)
        return;
    u8* const to = c.memory.data() + (at - data_page);
    const u16 fcw = static_cast<u16>(r.chance(70) ? 0x037f : r.next()), fsw = static_cast<u16>(r.chance(70) ? r.next() & 0x7f00 : r.next());
    const bool wide = c.info.operand_width != 16;
    std::memcpy(to, &fcw, 2);
    std::memcpy(to + (wide ? 4 : 2), &fsw, 2);
}

/// Segments of 32- and 16-bit code: those that 16-bit addresses use reach the data, others often are flat.
void choose_segments(Random& r, Case& c) {
    bool flat = false; // what the text does not show, or a vector of indices: the host's side needs plain addresses
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        flat |= o.type == ZYDIS_OPERAND_TYPE_MEMORY && (n >= c.info.operand_count_visible || o.mem.type == ZYDIS_MEMOP_TYPE_VSIB);
    }
    const bool reach = c.info.address_width == 16;
    for (const SegmentName s : {es, ss, ds, fs, gs}) {
        const bool moved = reach || (!flat && r.chance(30));
        c.bases[s] = moved ? static_cast<u32>(data_page - 16 * r.below(64)) : 0;
        c.limits[s] = reach || (moved && r.chance(50)) ? (r.chance(90) ? 0xffff : 0x1fff) : 0xffff'ffff;
    }
    c.bases[cs] = c.bits == 16 ? static_cast<u32>(code_page) : 0;
    c.limits[cs] = c.bits == 16 ? 0xffff : 0xffff'ffff;
    c.registers.fs_base = c.bases[fs];
    c.registers.gs_base = c.bases[gs];
    c.registers.rip = c.address - c.bases[cs];
}

} // namespace

void fill_unaddressed(Random& r, Registers& g) {
    g = Registers{.rip = g.rip, .fs_base = g.fs_base, .gs_base = g.gs_base};
    for (u64& value : g.gpr)
        value = integer(r);
    fill_rest(r, g);
}

void fill_values(Random& r, Case& c, const ZydisDecoder& decoder) {
    Registers& g = c.registers;
    g = Registers{};
    c.address = code_page + r.below(16);
    g.rip = c.address;
    {
        const unsigned style = static_cast<unsigned>(r.below(3));
        for (unsigned at = 0; at < memory_size; at += 8) {
            u64 v = r.next();
            if (style == 1)
                v &= 0xffff;
            std::memcpy(c.memory.data() + at, &v, 8);
        }
    }
    for (u64& value : g.gpr)
        value = integer(r);
    g.fs_base = data_page + r.below(256) * 8;
    g.gs_base = data_page + 4096 - r.below(256) * 8;
    if (r.chance(10))
        g.fs_base = std::min<u64>(integer(r) & low_mask(47), 0x7fff'ffff'0000ull); // what the host's system takes
    if (c.bits != 64)
        choose_segments(r, c);
    fill_rest(r, g);
    // The stack and string pointers reach memory; counts stay small.
    g.gpr[rsp] = data_page + 2048 + r.below(256) * 8 + (r.chance(10) ? r.below(8) : 0);
    if (r.chance(4))
        g.gpr[rsp] = target(r, 8);
    if (c.info.mnemonic == ZYDIS_MNEMONIC_LEAVE || c.info.mnemonic == ZYDIS_MNEMONIC_ENTER)
        g.gpr[rbp] = data_page + 4096 + r.below(256) * 8;
    const bool repeats = c.info.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    if (repeats)
        g.gpr[rcx] = r.below(r.chance(70) ? 6 : 300) | (c.info.address_width == 32 ? r.next() << 32 : 0);
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        const unsigned size = operand_bytes(o);
        if (o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
            if ((is_gpr(o.mem.base) || c.info.address_width == 32) && has_base(o.mem) && register_number(o.mem.base) != rsp)
                aim(r, c, o, target(r, size));
            continue;
        }
        u64 to = target(r, size);
        const bool area = c.info.meta.category == ZYDIS_CATEGORY_XSAVE || c.info.meta.category == ZYDIS_CATEGORY_XSAVEOPT || size >= 512;
        if (area)
            to = data_page + 64 * r.below(r.chance(90) ? 64 : 128) + (r.chance(5) ? r.below(64) : 0);
        aim(r, c, o, to);
        const u64 at = operand_address(c, o);
        if (at >= data_page && at + size <= data_page + data_size) {
            u8* const operand = c.memory.data() + (at - data_page);
            if (c.info.meta.isa_ext == ZYDIS_ISA_EXT_X87 && size == 10)
                fill_extended(r, operand);
            else if (size <= 64)
                fill(r, operand, size);
            if (c.info.mnemonic == ZYDIS_MNEMONIC_FBLD && r.chance(70))
                for (unsigned b = 0; b < 9; ++b)
                    operand[b] = static_cast<u8>(r.below(10) | r.below(10) << 4);
            if ((c.info.mnemonic == ZYDIS_MNEMONIC_LDMXCSR || c.info.mnemonic == ZYDIS_MNEMONIC_VLDMXCSR) && r.chance(80)) {
                const u32 mxcsr = mostly_valid_mxcsr(r);
                std::memcpy(operand, &mxcsr, sizeof mxcsr);
            }
            if (area)
                put_save_area(r, c, at);
            if (size >= 14 && size <= 108 && c.info.meta.isa_ext == ZYDIS_ISA_EXT_X87)
                put_environment(r, c, at);
        }
        // Bit strings reach beyond their operand: usually not far.
        if ((c.info.mnemonic == ZYDIS_MNEMONIC_BT || c.info.mnemonic == ZYDIS_MNEMONIC_BTS || c.info.mnemonic == ZYDIS_MNEMONIC_BTR ||
             c.info.mnemonic == ZYDIS_MNEMONIC_BTC) &&
            c.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && r.chance(70)) {
            const unsigned reg = register_number(c.operands[1].reg.value) & 15;
            if (o.mem.base == ZYDIS_REGISTER_NONE || register_number(o.mem.base) != reg)
                if (o.mem.index == ZYDIS_REGISTER_NONE || register_number(o.mem.index) != reg)
                    g.gpr[reg] = r.below(4096) - 1024;
        }
    }
    if (c.info.meta.category == ZYDIS_CATEGORY_XSAVE || c.info.meta.category == ZYDIS_CATEGORY_XSAVEOPT) {
        g.gpr[rax] &= 7 | ~0xffff'ffffull; // components that lie in the same place everywhere
        g.gpr[rdx] &= ~0xffff'ffffull;
    }
    if (c.bits != 64)
        for (unsigned n = 0; n < 16; ++n)
            g.gpr[n] = n < 8 ? g.gpr[n] & 0xffff'ffff : 0;
    if (c.info.raw.disp.size || c.info.raw.imm[0].size)
        (void)decode_instruction(decoder, c.bytes.data(), c.length, c.info, c.operands);
}

} // namespace vitrine::oracle
