// SPDX-License-Identifier: Apache-2.0
// Some registers of a block are pointers into its memory and some are small: addresses are made of these, and instructions that would write
// them are mostly not taken.
#include "block_maker.h"

#include "jit/forms.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace vitrine::oracle {

namespace {

constexpr unsigned most_instructions = 12, most_bytes = 160;

bool has(std::span<const ZydisMnemonic> ascending, ZydisMnemonic m) { return std::binary_search(ascending.begin(), ascending.end(), m); }

/// What only the host's side of the oracle cannot have.
bool for_engines(ZydisMnemonic m) {
    // clang-format off
    static constexpr ZydisMnemonic rows[] = {
        ZYDIS_MNEMONIC_AAA, ZYDIS_MNEMONIC_AAD, ZYDIS_MNEMONIC_AAM, ZYDIS_MNEMONIC_AAS, ZYDIS_MNEMONIC_DAA, ZYDIS_MNEMONIC_DAS,
        ZYDIS_MNEMONIC_ARPL, ZYDIS_MNEMONIC_BOUND, ZYDIS_MNEMONIC_INTO, ZYDIS_MNEMONIC_JCXZ, ZYDIS_MNEMONIC_POPA, ZYDIS_MNEMONIC_POPAD,
        ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_PUSHFD, ZYDIS_MNEMONIC_SALC, ZYDIS_MNEMONIC_RDTSC,
        ZYDIS_MNEMONIC_RDTSCP, ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_RDPID, ZYDIS_MNEMONIC_SMSW,
    };
    // clang-format on
    return std::ranges::find(rows, m) != std::end(rows);
}

/// Nothing but registers, flags and memory: what code may do where it could do all.
bool harmless(const Case& c) {
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER)
            continue;
        const ZydisRegisterClass k = ZydisRegisterGetClass(o.reg.value);
        if ((k == ZYDIS_REGCLASS_SEGMENT && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) || k == ZYDIS_REGCLASS_CONTROL || k == ZYDIS_REGCLASS_DEBUG ||
            k == ZYDIS_REGCLASS_TABLE || k == ZYDIS_REGCLASS_TEST)
            return false;
    }
    return true;
}

bool is_pointer_base(ZydisRegister r) {
    const ZydisRegisterClass k = ZydisRegisterGetClass(r);
    return k == ZYDIS_REGCLASS_GPR64 || k == ZYDIS_REGCLASS_GPR32 || k == ZYDIS_REGCLASS_GPR16;
}

u32 bit_of(ZydisRegister r) { return is_pointer_base(r) ? 1u << (register_number(r) & 15) : 0; }

/// General registers that the instruction writes.
u32 written(const Case& c) {
    u32 set = 0;
    for (unsigned n = 0; n < c.info.operand_count; ++n)
        if (const ZydisDecodedOperand& o = c.operands[n]; o.type == ZYDIS_OPERAND_TYPE_REGISTER && (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            const ZydisRegisterClass k = ZydisRegisterGetClass(o.reg.value);
            if (k == ZYDIS_REGCLASS_GPR8 || is_pointer_base(o.reg.value))
                set |= 1u << (register_number(o.reg.value) & 15);
        }
    return set;
}

/// An offset that reaches the data from the segments of such code.
u64 offset_in_data(Random& r, const MadeBlock& b) {
    const u64 at = r.chance(85) ? r.below(data_size - 64) & ~(r.chance(50) ? 63ull : 0ull) : r.below(memory_size);
    return b.setting->bits == 16 ? at + 1024 : data_page + at;
}

} // namespace

std::string MadeBlock::text() const {
    std::string text;
    std::size_t at = 0;
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    const ZydisDecoder decoder = decoder_for({.bits = setting->bits, .long_mode = setting->bits == 64});
    for (const u8 length : lengths) {
        ZydisDecodedInstruction info;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        char line[200] = "?";
        if (ZYAN_SUCCESS(decode_instruction(decoder, bytes.data() + at, length, info, operands)))
            ZydisFormatterFormatInstruction(&formatter, &info, operands, info.operand_count_visible, line, sizeof line, begin.registers.rip + at, nullptr);
        std::string hex;
        for (unsigned n = 0; n < length; ++n)
            hex += fmt::format("{:02x}", bytes[at + n]);
        text += fmt::format("    {:x} {:30} {}\n", begin.registers.rip + at, hex, line);
        at += length;
    }
    return text;
}

BlockMaker::BlockMaker(const Repertoire& repertoire, const CpuModel& model) : repertoire_(repertoire), model_(model) {
    for (unsigned mode = 0; mode < modes; ++mode) {
        const auto known = repertoire.forms(mode).mnemonics();
        Lists& l = lists_[mode];
        for (const auto rows : jit::all_operations())
            for (const jit::Operation& o : rows)
                if (has(known, o.mnemonic))
                    (rows.data() == jit::vector_operations().data() ? l.vectors : rows.data() == jit::x87_operations().data() ? l.x87 : l.natives)
                        .push_back(o.mnemonic);
        for (const ZydisMnemonic m : known)
            if (!skip_reason(m) || for_engines(m))
                l.others.push_back(m);
    }
}

void BlockMaker::put_segments(MadeBlock& b, Random& r) const {
    Case& c = b.begin;
    const bool wide = b.setting->bits != 16;
    const u64 data = b.setting->paged ? data_page : data_at;
    for (const SegmentName s : {es, ss, ds, fs, gs}) {
        // FS and GS may lie anywhere; what is not paged must not reach beyond what is compared.
        c.bases[s] = static_cast<u32>(wide ? 0 : data - 1024);
        c.limits[s] = wide ? 0xffff'ffff : static_cast<u32>(b.setting->paged && r.chance(50) ? 0xffff : 1024 + memory_size - 1);
        if (wide && (s == fs || s == gs) && r.chance(70)) {
            c.bases[s] = static_cast<u32>(r.below(4096));
            c.limits[s] = r.chance(50) ? 0xffff'ffff : static_cast<u32>(data_page + data_size - 1 - c.bases[s]);
        } else if (wide && r.chance(2)) { // not flat, which is not translated
            c.limits[s] = static_cast<u32>(data_page + r.below(memory_size));
        }
    }
    c.bases[cs] = wide ? 0 : static_cast<u32>(b.setting->paged ? code_page : code_at);
    c.limits[cs] = wide ? 0xffff'ffff : 0xffff;
    c.registers.fs_base = b.setting->bits == 64 ? r.below(4096) : c.bases[fs];
    c.registers.gs_base = b.setting->bits == 64 ? (r.chance(5) ? r.next() & low_mask(47) : r.below(4096)) : c.bases[gs];
    c.registers.rip = c.address - (wide ? 0 : code_page);
}

void BlockMaker::put_registers(MadeBlock& b, Random& r, const Roles& roles) const {
    Registers& g = b.begin.registers;
    fill_unaddressed(r, g);
    for (unsigned n = 0; n < 16; ++n)
        if (roles.pointers >> n & 1)
            g.gpr[n] = offset_in_data(r, b);
        else if (roles.counts >> n & 1)
            g.gpr[n] = r.below(r.chance(80) ? 24 : 200);
    g.gpr[rsp] = (b.setting->bits == 16 ? 1024 : data_page) + 2048 + r.below(512) * 8 + (r.chance(10) ? r.below(8) : 0);
    if (r.chance(4)) // near the end of what may be written
        g.gpr[rsp] = (b.setting->bits == 16 ? 1024 : data_page) + data_size + r.below(48) - 24;
    if (b.setting->bits == 64 && r.chance(5)) // its own code
        for (unsigned n = 0; n < 16; ++n)
            if ((roles.pointers >> n & 1) && n != rsp && r.chance(50))
                g.gpr[n] = b.begin.address + r.below(96);
    if (b.setting->bits != 64)
        for (unsigned n = 0; n < 16; ++n)
            g.gpr[n] = n >= 8 ? 0 : r.chance(90) || b.setting->bits == 16 ? g.gpr[n] & 0xffff'ffff : g.gpr[n] | r.next() << 32;
    if (b.setting->bits == 16 && r.chance(50)) // what 16-bit addresses do not see
        for (unsigned n = 0; n < 8; ++n)
            g.gpr[n] |= (r.next() & 0xffff) << 16;
    g.rflags &= ~(rflags::tf | rflags::ac);
    if (r.chance(2))
        g.rflags |= rflags::ac;
    if (std::string_view(b.setting->name).starts_with("virtual"))
        g.rflags |= rflags::vm | rflags::iopl;
}

/// Whether the instruction may be in the block, by what it would do to registers that addresses are made of.
bool BlockMaker::fits(const MadeBlock& b, Random& r, const Roles& roles, const Case& c) const {
    if (!model_.allows(c.info) || c.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || (!b.setting->program && !harmless(c)))
        return false;
    const bool wild = r.chance(4);
    if (wild)
        return true;
    if (written(c) & (roles.pointers | roles.counts))
        return false;
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || c.info.mnemonic == ZYDIS_MNEMONIC_LEA || c.info.mnemonic == ZYDIS_MNEMONIC_NOP)
            continue;
        if (o.mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            return r.chance(10);
        const u32 base = bit_of(o.mem.base), index = bit_of(o.mem.index);
        if (base && !(base & roles.pointers))
            return false;
        if (index && !(index & (base ? roles.counts : roles.pointers)))
            return false;
        if (!base && index && o.mem.scale > 1)
            return false;
    }
    return true;
}

/// Displacements and branches that lead somewhere.
void BlockMaker::aim(const MadeBlock& b, Random& r, Case& c) const {
    if (c.info.raw.disp.size >= 16 && !r.chance(5))
        for (unsigned n = 0; n < c.info.operand_count; ++n) {
            const ZydisDecodedOperand& o = c.operands[n];
            if (o.type != ZYDIS_OPERAND_TYPE_MEMORY)
                continue;
            const bool relative = o.mem.base == ZYDIS_REGISTER_RIP || o.mem.base == ZYDIS_REGISTER_EIP;
            u64 to = has_base(o.mem) || o.mem.index != ZYDIS_REGISTER_NONE ? r.below(256) - 64 : offset_in_data(r, b);
            if (relative)
                to -= b.begin.address + b.bytes.size() + c.length;
            std::memcpy(c.bytes.data() + c.info.raw.disp.offset, &to, c.info.raw.disp.size / 8);
            break;
        }
    if (const auto& i = c.info.raw.imm[0]; i.is_relative && !r.chance(5)) {
        const i64 to = r.chance(40) ? 0 : r.chance(75) ? static_cast<i64>(r.below(24)) : -static_cast<i64>(r.below(48));
        std::memcpy(c.bytes.data() + i.offset, &to, i.size / 8);
    }
}

bool BlockMaker::instruction(MadeBlock& b, Random& r, const Roles& roles, Case& c) const {
    const unsigned mode = b.setting->bits == 64 ? 0 : b.setting->bits == 32 ? 1 : 2;
    const Lists& l = lists_[mode];
    const u64 dice = r.below(100);
    const auto& among = dice < 60 ? l.natives : dice < 78 ? l.vectors : dice < 90 || !b.setting->program ? l.x87 : l.others;
    if (!repertoire_.forms(mode).generate(r, among[r.below(among.size())], c) || !fits(b, r, roles, c))
        return false;
    aim(b, r, c);
    b.branches |= c.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;
    return true;
}

void BlockMaker::make(MadeBlock& b, u64 seed, u64 index) const {
    Random r(seed, index);
    u64 dice = r.below(100);
    b.setting = settings().data();
    while (dice >= b.setting->percent)
        dice -= b.setting++->percent;
    b.begin.seed = seed;
    b.begin.index = index;
    b.begin.bits = b.setting->bits;
    // Some blocks lie across the end of their page.
    b.begin.address = code_page + 64 + r.below(64) + (r.chance(8) ? 4096 - 96 : 0);
    b.branches = false;
    b.bytes.clear();
    b.lengths.clear();
    const Roles roles{(static_cast<u32>(r.next()) & static_cast<u32>(r.next())) | 1u << rsp | 1u << (r.chance(50) ? rbx : rsi),
                      (r.chance(50) ? 1u << rcx : 0) | 1u << r.below(16)};
    const Roles apart{roles.pointers, roles.counts & ~roles.pointers};
    for (unsigned at = 0; at < memory_size; at += 8) {
        const u64 v = r.next();
        std::memcpy(b.begin.memory.data() + at, &v, 8);
    }
    put_segments(b, r);
    put_registers(b, r, apart);
    Case c;
    const unsigned wanted = 2 + static_cast<unsigned>(r.below(most_instructions - 1));
    for (unsigned n = 0; n < 20 * wanted && b.lengths.size() < wanted && b.bytes.size() < most_bytes; ++n)
        if (instruction(b, r, apart, c)) {
            b.bytes.insert(b.bytes.end(), c.bytes.begin(), c.bytes.begin() + c.length);
            b.lengths.push_back(c.length);
        }
}

} // namespace vitrine::oracle
