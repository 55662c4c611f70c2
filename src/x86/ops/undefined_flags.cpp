// SPDX-License-Identifier: Apache-2.0
// The table of undefined flags, by the manual's instruction pages, with the rule that the arithmetic functions follow.
#include "x86/ops/undefined_flags.h"

namespace vitrine {

namespace {

constexpr u16 cf = rflags::cf, pf = rflags::pf, af = rflags::af, zf = rflags::zf, sf = rflags::sf, of = rflags::of;

using enum UndefinedWhen;

constexpr const char* first_step_left = "OF: the operand's two top bits differ (what the first step would leave)";
constexpr const char* first_step_right = "OF: as the first step would leave it";
constexpr const char* cleared = "clear";

// clang-format off
constexpr UndefinedFlags rows[] = {
    {ZYDIS_MNEMONIC_AND,    always,        af,                     cleared},
    {ZYDIS_MNEMONIC_OR,     always,        af,                     cleared},
    {ZYDIS_MNEMONIC_XOR,    always,        af,                     cleared},
    {ZYDIS_MNEMONIC_TEST,   always,        af,                     cleared},
    {ZYDIS_MNEMONIC_MUL,    always,        sf | zf | af | pf,      "SF, PF: of the lower half; ZF, AF: clear"},
    {ZYDIS_MNEMONIC_IMUL,   always,        sf | zf | af | pf,      "SF, PF: of the lower half; ZF, AF: clear"},
    {ZYDIS_MNEMONIC_DIV,    always,        cf | of | sf | zf | af | pf, "unchanged"},
    {ZYDIS_MNEMONIC_IDIV,   always,        cf | of | sf | zf | af | pf, "unchanged"},
    {ZYDIS_MNEMONIC_SHL,    counted,       af,                     cleared},
    {ZYDIS_MNEMONIC_SHL,    above_one,     of,                     first_step_left},
    {ZYDIS_MNEMONIC_SHL,    width_or_more, cf,                     "the last bit shifted out; clear beyond the width"},
    {ZYDIS_MNEMONIC_SHR,    counted,       af,                     cleared},
    {ZYDIS_MNEMONIC_SHR,    above_one,     of,                     "OF: the operand's top bit"},
    {ZYDIS_MNEMONIC_SHR,    width_or_more, cf,                     "the last bit shifted out; clear beyond the width"},
    {ZYDIS_MNEMONIC_SAR,    counted,       af,                     cleared},
    {ZYDIS_MNEMONIC_SAR,    above_one,     of,                     cleared},
    {ZYDIS_MNEMONIC_ROL,    above_one,     of,                     "by CL: as the first step would leave it; by an immediate: unchanged"},
    {ZYDIS_MNEMONIC_ROR,    above_one,     of,                     "by CL: as the first step would leave it; by an immediate: unchanged"},
    {ZYDIS_MNEMONIC_RCL,    above_one,     of,                     "as the first step would leave it; unchanged when the count is a multiple of width + 1"},
    {ZYDIS_MNEMONIC_RCR,    above_one,     of,                     "as the first step would leave it; unchanged when the count is a multiple of width + 1"},
    {ZYDIS_MNEMONIC_SHLD,   counted,       af,                     cleared},
    {ZYDIS_MNEMONIC_SHLD,   above_one,     of,                     first_step_left},
    {ZYDIS_MNEMONIC_SHLD,   above_width,   cf | sf | zf | pf,      "of destination:source:destination shifted as one"},
    {ZYDIS_MNEMONIC_SHRD,   counted,       af,                     cleared},
    {ZYDIS_MNEMONIC_SHRD,   above_one,     of,                     first_step_right},
    {ZYDIS_MNEMONIC_SHRD,   above_width,   cf | sf | zf | pf,      "of destination:source:destination shifted as one"},
    {ZYDIS_MNEMONIC_BSF,    always,        cf | of | sf | af | pf, "PF: of the index; others clear. Source zero: ZF and PF set, others clear, destination unchanged"},
    {ZYDIS_MNEMONIC_BSR,    always,        cf | of | sf | af | pf, "PF: of the index; others clear. Source zero: ZF and PF set, others clear, destination unchanged"},
    {ZYDIS_MNEMONIC_BT,     always,        of | sf | af | pf,      "unchanged"},
    {ZYDIS_MNEMONIC_BTS,    always,        of | sf | af | pf,      "unchanged"},
    {ZYDIS_MNEMONIC_BTR,    always,        of | sf | af | pf,      "unchanged"},
    {ZYDIS_MNEMONIC_BTC,    always,        of | sf | af | pf,      "unchanged"},
    {ZYDIS_MNEMONIC_LZCNT,  always,        of | sf | af | pf,      cleared},
    {ZYDIS_MNEMONIC_TZCNT,  always,        of | sf | af | pf,      cleared},
    {ZYDIS_MNEMONIC_ANDN,   always,        af | pf,                cleared},
    {ZYDIS_MNEMONIC_BEXTR,  always,        af | sf | pf,           cleared},
    {ZYDIS_MNEMONIC_BLSI,   always,        af | pf,                cleared},
    {ZYDIS_MNEMONIC_BLSMSK, always,        af | pf,                cleared},
    {ZYDIS_MNEMONIC_BLSR,   always,        af | pf,                cleared},
    {ZYDIS_MNEMONIC_BZHI,   always,        af | pf,                cleared},
    {ZYDIS_MNEMONIC_DAA,    always,        of,                     cleared},
    {ZYDIS_MNEMONIC_DAS,    always,        of,                     cleared},
    {ZYDIS_MNEMONIC_AAA,    always,        of | sf | zf | pf,      "ZF, PF: of AL; OF, SF: clear"},
    {ZYDIS_MNEMONIC_AAS,    always,        of | sf | zf | pf,      "ZF, PF: of AL; OF, SF: clear"},
    {ZYDIS_MNEMONIC_AAM,    always,        of | af | cf,           cleared},
    {ZYDIS_MNEMONIC_AAD,    always,        of | af | cf,           "those of the byte addition AL + AH * base"},
};
// clang-format on

bool applies(UndefinedWhen when, unsigned bits, unsigned count) {
    switch (when) {
    case always: return true;
    case counted: return count != 0;
    case above_one: return count > 1;
    case width_or_more: return count >= bits;
    case above_width: return count > bits;
    }
    return true;
}

} // namespace

std::span<const UndefinedFlags> undefined_flag_rows() { return rows; }

u16 undefined_flags(ZydisMnemonic mnemonic, unsigned bits, unsigned count) {
    u16 flags = 0;
    for (const UndefinedFlags& row : rows)
        if (row.mnemonic == mnemonic && applies(row.when, bits, count))
            flags |= row.flags;
    return flags;
}

bool undefined_result(ZydisMnemonic mnemonic, unsigned bits, unsigned count, u64 source) {
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR: return (source & low_mask(bits)) == 0;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: return count > bits;
    case ZYDIS_MNEMONIC_BSWAP: return bits == 16;
    default: return false;
    }
}

} // namespace vitrine
