// SPDX-License-Identifier: Apache-2.0
// The lists of what is not compared.
#include "skips.h"

#include <algorithm>

namespace vitrine::oracle {

namespace {

constexpr const char* kernel = "enters the host's kernel";
constexpr const char* emulated = "the host's kernel emulates it for programs (UMIP)";
constexpr const char* answer = "answers differ by moment or machine";
constexpr const char* descriptors = "reads descriptor tables, which the two sides do not share";
constexpr const char* ports = "the host's kernel decides about I/O ports";
constexpr const char* in_use = "which components are in use the implementation decides (XINUSE)";
constexpr const char* waits = "waits, or needs a monitored address";

// clang-format off
constexpr Skip list[] = {
    {ZYDIS_MNEMONIC_SYSCALL,  kernel},   {ZYDIS_MNEMONIC_SYSENTER, kernel},   {ZYDIS_MNEMONIC_INT,      kernel},
    {ZYDIS_MNEMONIC_SGDT,     emulated}, {ZYDIS_MNEMONIC_SIDT,     emulated}, {ZYDIS_MNEMONIC_SLDT,     emulated},
    {ZYDIS_MNEMONIC_STR,      emulated}, {ZYDIS_MNEMONIC_SMSW,     emulated},
    {ZYDIS_MNEMONIC_RDTSC,    answer},   {ZYDIS_MNEMONIC_RDTSCP,   answer},   {ZYDIS_MNEMONIC_RDPID,    answer},
    {ZYDIS_MNEMONIC_RDPMC,    answer},   {ZYDIS_MNEMONIC_CPUID,    answer},   {ZYDIS_MNEMONIC_XGETBV,   answer},
    {ZYDIS_MNEMONIC_RDRAND,   answer},   {ZYDIS_MNEMONIC_RDSEED,   answer},
    {ZYDIS_MNEMONIC_LAR,      descriptors}, {ZYDIS_MNEMONIC_LSL,   descriptors}, {ZYDIS_MNEMONIC_VERR,  descriptors},
    {ZYDIS_MNEMONIC_VERW,     descriptors}, {ZYDIS_MNEMONIC_LSS,   descriptors}, {ZYDIS_MNEMONIC_LFS,   descriptors},
    {ZYDIS_MNEMONIC_LGS,      descriptors}, {ZYDIS_MNEMONIC_IRET,  descriptors}, {ZYDIS_MNEMONIC_IRETD, descriptors},
    {ZYDIS_MNEMONIC_IRETQ,    descriptors},
    {ZYDIS_MNEMONIC_IN,       ports},    {ZYDIS_MNEMONIC_OUT,      ports},    {ZYDIS_MNEMONIC_INSB,     ports},
    {ZYDIS_MNEMONIC_INSW,     ports},    {ZYDIS_MNEMONIC_INSD,     ports},    {ZYDIS_MNEMONIC_OUTSB,    ports},
    {ZYDIS_MNEMONIC_OUTSW,    ports},    {ZYDIS_MNEMONIC_OUTSD,    ports},
    {ZYDIS_MNEMONIC_XSAVEOPT, in_use},   {ZYDIS_MNEMONIC_XSAVEOPT64, in_use}, {ZYDIS_MNEMONIC_XSAVEC,   in_use},
    {ZYDIS_MNEMONIC_XSAVEC64, in_use},
    {ZYDIS_MNEMONIC_MONITOR,  waits},    {ZYDIS_MNEMONIC_MWAIT,    waits},    {ZYDIS_MNEMONIC_UMONITOR, waits},
    {ZYDIS_MNEMONIC_UMWAIT,   waits},    {ZYDIS_MNEMONIC_TPAUSE,   waits},
};

constexpr MakerDifference differences[] = {
    {"undefined flags and results",  "the manual leaves them open; the interpreter follows Intel's silicon"},
    {"x87 FOP, FIP, FDP",            "AMD stores them under other rules (pending exceptions only, or always)"},
    {"RCPPS, RSQRTPS and kin",       "computed in software as Intel's processors do; other makers' tables differ"},
    {"FXSAVE and XSAVE areas",       "pointers, reserved bytes and component offsets are the maker's"},
    {"66-prefixed near branches",    "Intel ignores the prefix in 64-bit mode, AMD truncates RIP"},
    {"SYSCALL, SYSENTER, LZCNT in real modes", "availability by mode; not generated here"},
};
// clang-format on

} // namespace

std::span<const Skip> skips() { return list; }

std::span<const MakerDifference> maker_differences() { return differences; }

std::string_view skip_reason(const Case& c) {
    const auto found = std::find_if(std::begin(list), std::end(list), [&](const Skip& s) { return s.mnemonic == c.info.mnemonic; });
    if (found != std::end(list))
        return found->reason;
    if (c.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return "far transfer: reads descriptor tables, which the two sides do not share";
    for (unsigned n = 0; n < c.info.operand_count_visible; ++n)
        if (c.operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c.operands[n].reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return "segment register: selectors and descriptor tables differ";
    if (c.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE && c.info.raw.imm[0].is_relative) {
        const i64 to = c.info.raw.imm[0].value.s + c.info.length;
        if (to >= 0 && to < c.info.length)
            return "branch into itself";
    }
    return {};
}

std::string_view maker_skip_reason(const Case& c) {
    switch (c.info.mnemonic) {
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_VRCPPS:
    case ZYDIS_MNEMONIC_VRCPSS:
    case ZYDIS_MNEMONIC_VRSQRTPS:
    case ZYDIS_MNEMONIC_VRSQRTSS: return differences[2].reason;
    default: break;
    }
    if (c.info.meta.category == ZYDIS_CATEGORY_XSAVE || c.info.mnemonic == ZYDIS_MNEMONIC_FXSAVE || c.info.mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ||
        c.info.mnemonic == ZYDIS_MNEMONIC_FNSAVE || c.info.mnemonic == ZYDIS_MNEMONIC_FNSTENV)
        return differences[3].reason;
    if (c.info.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR && (c.info.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE))
        return differences[4].reason;
    return {};
}

} // namespace vitrine::oracle
