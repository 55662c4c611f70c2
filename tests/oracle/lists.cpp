// SPDX-License-Identifier: Apache-2.0
// The lists of what is not compared.
#include "lists.h"

#include "legacy.h"

#include "x86/bits.h"
#include "x86/ops/undefined_flags.h"
#include "x86/state.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vitrine::oracle {

namespace {

constexpr const char* kernel = "enters the host's kernel";
constexpr const char* emulated = "the host's kernel may emulate it for programs (UMIP)";
constexpr const char* answer = "answers differ by moment or machine";
constexpr const char* descriptors = "reads descriptor tables, which the two sides do not share";
constexpr const char* ports = "the host's kernel decides about I/O ports";
constexpr const char* not_64 = "64-bit mode, which the host's programs run in, does not have it: unit tests beside the code";
constexpr const char* rights = "would take the host program's memory away from it, where the host's system has protection keys";
constexpr const char* waits = "waits, or needs a monitored address";

// clang-format off
constexpr Skip skip_rows[] = {
    {ZYDIS_MNEMONIC_SYSCALL,  kernel},      {ZYDIS_MNEMONIC_SYSENTER, kernel},      {ZYDIS_MNEMONIC_INT,      kernel},
    {ZYDIS_MNEMONIC_SGDT,     emulated},    {ZYDIS_MNEMONIC_SIDT,     emulated},    {ZYDIS_MNEMONIC_SLDT,     emulated},
    {ZYDIS_MNEMONIC_STR,      emulated},    {ZYDIS_MNEMONIC_SMSW,     emulated},
    {ZYDIS_MNEMONIC_RDTSC,    answer},      {ZYDIS_MNEMONIC_RDTSCP,   answer},      {ZYDIS_MNEMONIC_RDPID,    answer},
    {ZYDIS_MNEMONIC_RDPMC,    answer},      {ZYDIS_MNEMONIC_CPUID,    answer},      {ZYDIS_MNEMONIC_XGETBV,   answer},
    {ZYDIS_MNEMONIC_RDPKRU,   answer},      {ZYDIS_MNEMONIC_WRPKRU,   rights},
    {ZYDIS_MNEMONIC_RDRAND,   answer},      {ZYDIS_MNEMONIC_RDSEED,   answer},
    {ZYDIS_MNEMONIC_LAR,      descriptors}, {ZYDIS_MNEMONIC_LSL,      descriptors}, {ZYDIS_MNEMONIC_VERR,     descriptors},
    {ZYDIS_MNEMONIC_VERW,     descriptors}, {ZYDIS_MNEMONIC_LSS,      descriptors}, {ZYDIS_MNEMONIC_LFS,      descriptors},
    {ZYDIS_MNEMONIC_LGS,      descriptors}, {ZYDIS_MNEMONIC_IRET,     descriptors}, {ZYDIS_MNEMONIC_IRETD,    descriptors},
    {ZYDIS_MNEMONIC_IRETQ,    descriptors},
    {ZYDIS_MNEMONIC_IN,       ports},       {ZYDIS_MNEMONIC_OUT,      ports},       {ZYDIS_MNEMONIC_INSB,     ports},
    {ZYDIS_MNEMONIC_INSW,     ports},       {ZYDIS_MNEMONIC_INSD,     ports},       {ZYDIS_MNEMONIC_OUTSB,    ports},
    {ZYDIS_MNEMONIC_OUTSW,    ports},       {ZYDIS_MNEMONIC_OUTSD,    ports},
    {ZYDIS_MNEMONIC_MONITOR,  waits},       {ZYDIS_MNEMONIC_MWAIT,    waits},
    {ZYDIS_MNEMONIC_AAA,      not_64},      {ZYDIS_MNEMONIC_AAD,      not_64},      {ZYDIS_MNEMONIC_AAM,      not_64},
    {ZYDIS_MNEMONIC_AAS,      not_64},      {ZYDIS_MNEMONIC_DAA,      not_64},      {ZYDIS_MNEMONIC_DAS,      not_64},
    {ZYDIS_MNEMONIC_ARPL,     not_64},      {ZYDIS_MNEMONIC_BOUND,    not_64},      {ZYDIS_MNEMONIC_INTO,     not_64},
    {ZYDIS_MNEMONIC_JCXZ,     not_64},      {ZYDIS_MNEMONIC_LDS,      not_64},      {ZYDIS_MNEMONIC_LES,      not_64},
    {ZYDIS_MNEMONIC_POPA,     not_64},      {ZYDIS_MNEMONIC_POPAD,    not_64},      {ZYDIS_MNEMONIC_POPFD,    not_64},
    {ZYDIS_MNEMONIC_PUSHA,    not_64},      {ZYDIS_MNEMONIC_PUSHAD,   not_64},      {ZYDIS_MNEMONIC_PUSHFD,   not_64},
    {ZYDIS_MNEMONIC_SALC,     not_64},
};
// clang-format on

template <class... M> bool is_one_of(const Case& c, M... mnemonics) { return ((c.info.mnemonic == mnemonics) || ...); }

bool has_prefix(const Case& c, u8 value) {
    for (unsigned n = 0; n < c.info.raw.prefix_count; ++n)
        if (c.info.raw.prefixes[n].value == value)
            return true;
    return false;
}

const ZydisDecodedOperand* memory_operand(const Case& c) {
    for (unsigned n = 0; n < c.info.operand_count; ++n)
        if (c.operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return &c.operands[n];
    return nullptr;
}

unsigned memory_operands(const Case& c) {
    return static_cast<unsigned>(std::count_if(c.operands, c.operands + c.info.operand_count,
                                               [](const ZydisDecodedOperand& o) { return o.type == ZYDIS_OPERAND_TYPE_MEMORY; }));
}

bool names_segment(const Case& c) {
    for (unsigned n = 0; n < c.info.operand_count_visible; ++n)
        if (c.operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c.operands[n].reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return true;
    return false;
}

/// The host's side has a jump of 14 bytes behind the instruction.
bool branches_into_itself(const Case& c) {
    if (c.info.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE || !c.info.raw.imm[0].is_relative)
        return false;
    const i64 to = c.info.raw.imm[0].value.s + c.info.length;
    return to >= 0 && to < c.info.length + 14;
}

/// Where the canonical half of the address space ends.
constexpr u64 hole = 0x8000'0000'0000;

bool straddles_canonical(const Case& c) {
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            continue;
        const u64 a = operand_address(c, o), last = a + std::max<u64>(o.size / 8u, 1) - 1;
        if ((a < hole) != (last < hole) || (a < -hole) != (last < -hole))
            return true;
    }
    return false;
}

/// The address is canonical, and what is added to the segment's base alone is not.
bool offset_in_the_hole(const Case& c) {
    const auto canonical = [](u64 a) { return a < hole || a >= -hole; };
    for (unsigned n = 0; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || o.mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            continue;
        const u64 a = operand_address(c, o);
        if (canonical(a) && !canonical(a - segment_base(c, o.mem.segment)))
            return true;
    }
    return false;
}

bool near_branch_with_66(const Case& c) {
    const ZydisBranchType t = c.info.meta.branch_type;
    return (t == ZYDIS_BRANCH_TYPE_SHORT || t == ZYDIS_BRANCH_TYPE_NEAR || is_one_of(c, ZYDIS_MNEMONIC_RET)) && has_prefix(c, 0x66);
}

bool no_counterpart(const Case& c) {
    static Case unused;
    return c.bits != 64 && !translate(c, unused);
}

/// Where a segment's limit is reached, other reasons to fault come first or between: pending x87 exceptions, masked elements, another operand.
bool limit_among_others(const Case& c) {
    if (c.bits == 64 || !segment_fault(c))
        return false;
    const ZydisISAExt e = c.info.meta.isa_ext;
    return e == ZYDIS_ISA_EXT_X87 || e == ZYDIS_ISA_EXT_MMX || e == ZYDIS_ISA_EXT_SSE || e == ZYDIS_ISA_EXT_SSE2 || e == ZYDIS_ISA_EXT_SSE3 ||
           e == ZYDIS_ISA_EXT_SSSE3 ||
           is_one_of(c, ZYDIS_MNEMONIC_VMASKMOVPS, ZYDIS_MNEMONIC_VMASKMOVPD, ZYDIS_MNEMONIC_VPMASKMOVD, ZYDIS_MNEMONIC_VPMASKMOVQ) ||
           c.info.avx.mask.reg != ZYDIS_REGISTER_NONE || memory_operands(c) > 1;
}

/// The bit offset in a register moves the operand by up to a quarter of the address space.
bool long_bit_string(const Case& c) {
    return c.bits != 64 && is_one_of(c, ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR, ZYDIS_MNEMONIC_BTC) && memory_operand(c) &&
           c.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

// clang-format off
constexpr CaseSkip case_skip_rows[] = {
    {"bit strings in 32- and 16-bit code", "they wrap around at the segment's end, which the host does not see", false, long_bit_string},
    {"32- and 16-bit code without a counterpart in 64-bit mode",
     "stack, branches, BCD and what the mode lacks: the host runs 64-bit programs only; unit tests beside the code have these", false, no_counterpart},
    {"segment limits among other reasons to fault", "the host does not see the limit, so it cannot say which comes first", false, limit_among_others},
    {"far transfers", "they read descriptor tables, which the two sides do not share", false,
     [](const Case& c) { return c.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }},
    {"segment registers", "selectors and descriptor tables differ", false, names_segment},
    {"branches into or right behind themselves", "the bytes reached would run on", false, branches_into_itself},
    {"operands across the canonical border", "whether the lower half's page fault or the upper half's #GP comes first, implementations decide", false,
     straddles_canonical},
    {"FS and GS with an offset that is not canonical", "Intel looks at the sum with the base, AMD raises #GP for the offset alone", true, offset_in_the_hole},
    {"66-prefixed near branches", "Intel ignores the prefix in 64-bit mode; AMD reads a 16-bit displacement and truncates RIP: anything may run then", true,
     near_branch_with_66},
};
// clang-format on

// ---- accepted differences -------------------------------------------------------------------------------------------

/// Masked count of a shift or rotate; 1 for others.
unsigned shift_count(const Case& c) {
    const unsigned mask = c.info.operand_width == 64 ? 63 : 31;
    for (unsigned n = 1; n < c.info.operand_count; ++n) {
        const ZydisDecodedOperand& o = c.operands[n];
        if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            return static_cast<unsigned>(o.imm.value.u) & mask;
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && o.reg.value == ZYDIS_REGISTER_CL)
            return static_cast<unsigned>(c.registers.gpr[rcx]) & mask;
    }
    return 1;
}

u16 open_flags(const Case& c) { return undefined_flags(c.info.mnemonic, c.operands[0].size, shift_count(c)); }

void accept_flags(const Case& c, Side& host, Side& guest) {
    if (host.ending.fault)
        return;
    const u64 open = open_flags(c);
    guest.registers.rflags = (guest.registers.rflags & ~open) | (host.registers.rflags & open);
}

bool double_shift_beyond(const Case& c) {
    return is_one_of(c, ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD) && shift_count(c) > c.info.operand_width;
}

bool reciprocal(const Case& c) {
    return is_one_of(c, ZYDIS_MNEMONIC_RCPPS, ZYDIS_MNEMONIC_RCPSS, ZYDIS_MNEMONIC_RSQRTPS, ZYDIS_MNEMONIC_RSQRTSS, ZYDIS_MNEMONIC_VRCPPS,
                     ZYDIS_MNEMONIC_VRCPSS, ZYDIS_MNEMONIC_VRSQRTPS, ZYDIS_MNEMONIC_VRSQRTSS);
}

/// Lanes of the destination that are both within the architected bound of one another; everything else must agree.
void accept_reciprocal(const Case& c, Side& host, Side& guest) {
    constexpr double bound = 2 * 1.5 / 4096;
    const unsigned to = register_number(c.operands[0].reg.value);
    for (unsigned at = 0; at < 32; at += 4) {
        float a, b;
        std::memcpy(&a, host.registers.zmm[to].data() + at, 4);
        std::memcpy(&b, guest.registers.zmm[to].data() + at, 4);
        if (std::isfinite(a) && std::isfinite(b) && std::abs(double{a} - double{b}) <= bound * std::abs(double{a}))
            std::memcpy(guest.registers.zmm[to].data() + at, &a, 4);
    }
}

bool is_sha(const Case& c) { return c.info.meta.isa_set == ZYDIS_ISA_SET_SHA; }

bool unaligned_operand(const Case& c) {
    const ZydisDecodedOperand* m = memory_operand(c);
    return m && (operand_address(c, *m) & (m->size / 8 - 1));
}

bool saves_components(const Case& c) {
    return c.info.meta.category == ZYDIS_CATEGORY_XSAVE || c.info.meta.category == ZYDIS_CATEGORY_XSAVEOPT;
}

/// Bit 17, of all reserved bits alone, in the MXCSR that is loaded.
bool loads_mxcsr_bit_17(const Case& c) {
    unsigned at = 24; // in FXSAVE's image
    switch (c.info.mnemonic) {
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR: at = 0; break;
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64: break;
    default: return false;
    }
    u32 value = 0;
    for (unsigned n = 0; n < 4; ++n)
        if (const int index = memory_index(operand_address(c, *memory_operand(c)) + at + n); index >= 0)
            value |= u32{c.memory[static_cast<unsigned>(index)]} << 8 * n;
    return (value & ~0xffffu) == bit(17);
}

/// An XSAVE area of which one end lies where there is memory that may be used so, and the other does not.
bool area_over_the_end(const Case& c) {
    if (!saves_components(c) || !memory_operand(c))
        return false;
    const u64 at = operand_address(c, *memory_operand(c));
    return (memory_index(at) >= 0) != (memory_index(at + 1023) >= 0);
}

bool saves_pointers(const Case& c) {
    return is_one_of(c, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXSAVE64, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_XSAVE,
                     ZYDIS_MNEMONIC_XSAVE64, ZYDIS_MNEMONIC_XSAVEC, ZYDIS_MNEMONIC_XSAVEC64, ZYDIS_MNEMONIC_XSAVEOPT,
                     ZYDIS_MNEMONIC_XSAVEOPT64);
}

/// The same bytes of both memories, from the operand's start.
void copy_operand(const Case& c, const Side& host, Side& guest, u64 from, u64 to) {
    const u64 at = operand_address(c, *memory_operand(c));
    for (u64 a = at + from; a < at + to; ++a)
        if (const int n = memory_index(a); n >= 0)
            guest.memory[static_cast<unsigned>(n)] = host.memory[static_cast<unsigned>(n)];
}

void accept_pointers(const Case& c, Side& host, Side& guest) {
    switch (memory_operand(c)->size / 8) {
    case 14:
    case 94: return copy_operand(c, host, guest, 6, 14);
    case 28:
    case 108:
        copy_operand(c, host, guest, 2, 4); // upper halves of the words
        copy_operand(c, host, guest, 6, 8);
        copy_operand(c, host, guest, 10, 28);
        return;
    default:
        copy_operand(c, host, guest, 5, 24);  // with the reserved byte
        copy_operand(c, host, guest, 28, 32); // MXCSR_MASK: AMD has bit 17
        for (u64 n = 0; n < 8; ++n)
            copy_operand(c, host, guest, 32 + 16 * n + 10, 32 + 16 * n + 16);
        copy_operand(c, host, guest, 416, 512);
    }
}

bool vex_gather(const Case& c) {
    return c.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && c.info.meta.isa_set == ZYDIS_ISA_SET_AVX2GATHER;
}

void accept_gather_mask(const Case& c, Side& host, Side& guest) {
    if (!host.ending.fault || !guest.ending.fault)
        return;
    const unsigned mask = static_cast<u8>(ZydisRegisterGetId(c.operands[2].reg.value));
    const unsigned element = c.operands[0].element_size / 8, length = c.info.avx.vector_length / 8;
    auto &h = host.registers.zmm[mask], &g = guest.registers.zmm[mask];
    for (unsigned at = 0; at < 64; ++at)
        if (at >= length || at % element != element - 1u)
            g[at] = h[at];
        else
            g[at] = static_cast<u8>((g[at] & 0x80) | (h[at] & 0x7f));
}

bool gathers_or_scatters(const Case& c) {
    const ZydisDecodedOperand* m = memory_operand(c);
    return m && m->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
}

/// Both fault, the one with #GP and the other with #PF.
void accept_other_fault(const Case&, Side& host, Side& guest) {
    const u8 h = host.ending.vector, g = guest.ending.vector;
    if (host.ending.fault && guest.ending.fault && ((h == 13 && g == 14) || (h == 14 && g == 13)))
        guest = host;
}

void accept_either_operand(const Case&, Side& host, Side& guest) {
    const auto of_memory = [](const Side& s) { return s.ending.fault && s.ending.vector >= 12 && s.ending.vector <= 14; };
    if (of_memory(host) && of_memory(guest))
        guest = host;
}

bool many_parts(const Case& c) {
    return saves_pointers(c) || is_one_of(c, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR, ZYDIS_MNEMONIC_FXRSTOR, ZYDIS_MNEMONIC_FXRSTOR64,
                                          ZYDIS_MNEMONIC_XRSTOR, ZYDIS_MNEMONIC_XRSTOR64);
}

void accept_address_in_operand(const Case& c, Side& host, Side& guest) {
    if (host.ending.vector != 14 || guest.ending.vector != 14)
        return;
    constexpr u64 xsave_area = 1024;
    const u64 at = operand_address(c, *memory_operand(c)), size = saves_components(c) ? xsave_area : memory_operand(c)->size / 8;
    if (host.ending.cr2 - at < size && guest.ending.cr2 - at < size)
        guest.ending.cr2 = host.ending.cr2;
}

bool rep_with_ecx_zero(const Case& c) {
    return (c.info.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) && c.info.address_width == 32 &&
           (c.registers.gpr[rcx] & 0xffff'ffff) == 0;
}

void accept_string_registers(const Case&, Side& host, Side& guest) {
    for (const Gpr r : {rcx, rsi, rdi})
        if (static_cast<u32>(host.registers.gpr[r]) == static_cast<u32>(guest.registers.gpr[r]))
            guest.registers.gpr[r] = host.registers.gpr[r];
}

bool repeated_comparison(const Case& c) {
    return (c.info.attributes & (ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
}

void accept_flags_of_fault(const Case&, Side& host, Side& guest) {
    if (host.ending.fault && guest.ending.fault)
        guest.registers.rflags = (guest.registers.rflags & ~rflags::status) | (host.registers.rflags & rflags::status);
}

/// The mask, the second visible operand, leaves all bytes out.
bool mask_is_empty(const Case& c) {
    const bool mmx = c.info.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;
    const unsigned n = register_number(c.operands[1].reg.value);
    const u8* mask = c.registers.zmm[n].data();
    if (mmx) { // the image holds registers by their place in the stack
        const unsigned top = c.registers.x87[3] >> 3 & 7;
        mask = c.registers.x87.data() + 32 + 16 * ((n - top) & 7);
    }
    return std::none_of(mask, mask + (mmx ? 8 : 16), [](u8 byte) { return byte & 0x80; });
}

bool maskmov_is_open(const Case& c) {
    if (!is_one_of(c, ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVDQU))
        return false;
    const u64 at = operand_address(c, *memory_operand(c));
    return at < data_page || at + 16 > data_page + data_size || at % 4096 > 4096 - 16 || mask_is_empty(c);
}

// clang-format off
constexpr Difference difference_rows[] = {
    {"undefined flags", "the manual leaves them open; the interpreter has one rule for each (x86/ops/undefined_flags.cpp)", false,
     [](const Case& c) { return open_flags(c) != 0; }, accept_flags},
    {"double shifts of words beyond their width", "the manual leaves result and flags open", false, double_shift_beyond, nullptr},
    {"MASKMOVQ and MASKMOVDQU over a page border, where nothing may be written, or with an empty mask",
     "the manual leaves it to implementations whether bytes that the mask leaves out may fault", false, maskmov_is_open, nullptr},
    {"CR2 of operands that are read or written in parts", "which part comes first is the microcode's", false, many_parts, accept_address_in_operand},
    {"x87 pointers, reserved bytes and MXCSR_MASK in saved images",
     "FOP, FIP, FDP: processors store them always, on exceptions only, or when one is pending", false, saves_pointers, accept_pointers},
    {"XSAVE areas that lie partly where there is no memory",
     "whether header or components come first, and whether components in their initial state are touched, implementations decide", false,
     area_over_the_end, nullptr},
    {"MXCSR bit 17", "AMD's misaligned-exception mask; reserved on Intel: #GP", true, loads_mxcsr_bit_17, nullptr},
    {"MOVSXD with a 16-bit destination", "Intel reads 16 bits, AMD 32", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_MOVSXD) && c.operands[0].size == 16; }, nullptr},
    {"SYSENTER and SYSEXIT in long mode", "AMD has neither: #UD; Intel: #GP for a program's SYSEXIT", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_SYSEXIT); }, nullptr},
    {"LOOPE and LOOPNE with a REP prefix", "on AMD the prefix decides which of the two it is", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE) && (has_prefix(c, 0xf2) || has_prefix(c, 0xf3)); }, nullptr},
    {"0F 0D with a register", "a NOP on Intel, #UD on AMD (PREFETCHW)", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_NOP) && c.info.opcode == 0x0d; }, nullptr},
    {"RCPPS, RSQRTPS and kin", "computed by Intel's table here; other makers' last bits differ", true, reciprocal, accept_reciprocal},
    {"unaligned operands of SHA instructions", "AMD reads them, Intel raises #GP", true,
     [](const Case& c) { return is_sha(c) && unaligned_operand(c); }, nullptr},
    {"mask of an AVX2 gather that faults", "Intel spreads each sign bit over its element and clears the upper part first, AMD does not", true,
     vex_gather, accept_gather_mask},
    {"gathers and scatters of which several elements fault", "Intel takes the lowest first, AMD an address that is not canonical", true,
     gathers_or_scatters, accept_other_fault},
    {"CALL to an address that is not canonical, and nowhere to push", "Intel looks at the target first (SDM, CALL), AMD at the stack", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_CALL); }, accept_either_operand},
    {"CMPS both of whose operands fault", "most take the one at [RSI] first, AMD's Zen 3 the one at [RDI]", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ) && c.info.meta.isa_ext != ZYDIS_ISA_EXT_SSE2; },
     accept_either_operand},
    {"flags of a CMPS or SCAS that faults after some repetitions", "Intel shows those before the instruction (SDM, REP), AMD those of the last comparison",
     true, repeated_comparison, accept_flags_of_fault},
    {"CVTPI2PS from memory", "Intel switches the x87 registers to MMX and so looks for #MF, AMD does not", true,
     [](const Case& c) { return is_one_of(c, ZYDIS_MNEMONIC_CVTPI2PS) && memory_operand(c); }, nullptr},
    {"string instructions with ECX = 0 and 32-bit addresses", "Intel clears the upper halves, AMD changes nothing", true, rep_with_ecx_zero,
     accept_string_registers},
};
// clang-format on

} // namespace

std::span<const Skip> skips() { return skip_rows; }

const char* skip_reason(ZydisMnemonic mnemonic) {
    for (const Skip& s : skip_rows)
        if (s.mnemonic == mnemonic)
            return s.reason;
    return nullptr;
}

std::span<const CaseSkip> case_skips() { return case_skip_rows; }

std::span<const Difference> differences() { return difference_rows; }

} // namespace vitrine::oracle
