// SPDX-License-Identifier: Apache-2.0
// Registers, walks and code as text.
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace vitrine {

namespace {

using enum FieldKind;

const std::initializer_list<Field> rflags_bits{
    {0, rw, "CF", ""},  {2, rw, "PF", ""},  {4, rw, "AF", ""},  {6, rw, "ZF", ""},   {7, rw, "SF", ""},
    {8, rw, "TF", ""},  {9, rw, "IF", ""},  {10, rw, "DF", ""}, {11, rw, "OF", ""},  {12, 13, rw, "IOPL", ""},
    {14, rw, "NT", ""}, {16, rw, "RF", ""}, {17, rw, "VM", ""}, {18, rw, "AC", ""},  {19, rw, "VIF", ""},
    {20, rw, "VIP", ""}, {21, rw, "ID", ""}};
const std::initializer_list<Field> cr0_bits{{0, rw, "PE", ""},  {1, rw, "MP", ""},  {2, rw, "EM", ""},  {3, rw, "TS", ""},
                                            {4, rw, "ET", ""},  {5, rw, "NE", ""},  {16, rw, "WP", ""}, {18, rw, "AM", ""},
                                            {29, rw, "NW", ""}, {30, rw, "CD", ""}, {31, rw, "PG", ""}};
const std::initializer_list<Field> cr4_bits{
    {0, rw, "VME", ""},     {1, rw, "PVI", ""},        {2, rw, "TSD", ""},   {3, rw, "DE", ""},        {4, rw, "PSE", ""},
    {5, rw, "PAE", ""},     {6, rw, "MCE", ""},        {7, rw, "PGE", ""},   {8, rw, "PCE", ""},       {9, rw, "OSFXSR", ""},
    {10, rw, "OSXMMEXCPT", ""}, {11, rw, "UMIP", ""},  {12, rw, "LA57", ""}, {13, rw, "VMXE", ""},     {14, rw, "SMXE", ""},
    {16, rw, "FSGSBASE", ""}, {17, rw, "PCIDE", ""},   {18, rw, "OSXSAVE", ""}, {20, rw, "SMEP", ""},  {21, rw, "SMAP", ""},
    {22, rw, "PKE", ""},    {23, rw, "CET", ""},       {24, rw, "PKS", ""}};
const std::initializer_list<Field> efer_bits{{0, rw, "SCE", ""}, {8, rw, "LME", ""}, {10, rw, "LMA", ""}, {11, rw, "NXE", ""}};
const std::initializer_list<Field> entry_bits{{0, rw, "P", ""},  {1, rw, "R/W", ""}, {2, rw, "U/S", ""}, {3, rw, "PWT", ""},
                                              {4, rw, "PCD", ""}, {5, rw, "A", ""},   {6, rw, "D", ""},   {7, rw, "PS/PAT", ""},
                                              {8, rw, "G", ""},  {63, rw, "XD", ""}};

/// Code and data types 8 to 15 and 0 to 7, then system types, as the manual's tables of segment types name them.
std::string type_of(const Segment& s, bool long_mode) {
    static constexpr const char* code_data[16] = {
        "read-only", "read-only, accessed", "read/write", "read/write, accessed", "read-only, expand-down",
        "read-only, expand-down, accessed", "read/write, expand-down", "read/write, expand-down, accessed", "execute-only",
        "execute-only, accessed", "execute/read", "execute/read, accessed", "execute-only, conforming",
        "execute-only, conforming, accessed", "execute/read, conforming", "execute/read, conforming, accessed"};
    static constexpr const char* system32[16] = {"reserved", "16-bit TSS (available)", "LDT", "16-bit TSS (busy)", "16-bit call gate",
                                                 "task gate", "16-bit interrupt gate", "16-bit trap gate", "reserved",
                                                 "32-bit TSS (available)", "reserved", "32-bit TSS (busy)", "32-bit call gate",
                                                 "reserved", "32-bit interrupt gate", "32-bit trap gate"};
    if (!s.usable())
        return "unusable";
    if (rights::s(s.rights))
        return code_data[s.type()];
    if (long_mode && (s.type() == 9 || s.type() == 11))
        return s.type() == 9 ? "64-bit TSS (available)" : "64-bit TSS (busy)";
    return system32[s.type()];
}

} // namespace

std::string explain_bits(u64 value, std::initializer_list<Field> fields) {
    std::string text;
    for (const Field& f : fields) {
        const u64 v = f(value);
        if (v == 0)
            continue;
        if (!text.empty())
            text += ' ';
        text += f.width() == 1 ? std::string(f.name()) : fmt::format("{}={}", f.name(), v);
    }
    return text;
}

std::string explain_registers(Cpu& cpu) {
    static constexpr const char* names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                              "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static constexpr const char* segment_names[segment_count] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"};
    static constexpr const char* activities[] = {"active", "HLT", "shutdown", "wait-for-SIPI", "MWAIT"};
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "CPU{} {}-bit CPL={} {}{}{}{}\n", cpu.index(), cpu.code_mode().bits, cpu.cpl,
                   activities[static_cast<unsigned>(cpu.activity)], cpu.sti_shadow ? ", blocking by STI" : "",
                   cpu.mov_ss_shadow ? ", blocking by MOV SS" : "", cpu.nmi_blocked ? ", blocking by NMI" : "");
    for (unsigned i = 0; i < 16; ++i)
        fmt::format_to(out, "{:<4}{:016x}{}", names[i], cpu.gpr[i], i % 4 == 3 ? "\n" : "  ");
    fmt::format_to(out, "RIP {:016x}  RFLAGS {:08x} [{}]\n", cpu.rip, cpu.rflags(), explain_bits(cpu.rflags(), rflags_bits));
    for (unsigned i = 0; i < segment_count; ++i) {
        const Segment& s = cpu.segments[i];
        fmt::format_to(out, "{:<4} {:04x} base {:016x} limit {:08x} rights {:05x} DPL={} {}{}\n", segment_names[i], s.selector, s.base,
                       s.limit, s.rights, s.dpl(), type_of(s, cpu.long_mode()),
                       s.usable() && rights::s(s.rights) ? (rights::l(s.rights) ? ", 64-bit" : rights::db(s.rights) ? ", 32-bit" : ", 16-bit") : "");
    }
    fmt::format_to(out, "GDTR base {:016x} limit {:04x}   IDTR base {:016x} limit {:04x}\n", cpu.gdtr.base, cpu.gdtr.limit, cpu.idtr.base,
                   cpu.idtr.limit);
    fmt::format_to(out, "CR0 {:08x} [{}]\nCR2 {:016x}  CR3 {:016x}\nCR4 {:08x} [{}]\nEFER {:04x} [{}]  XCR0 {:x}\n", cpu.cr0,
                   explain_bits(cpu.cr0, cr0_bits), cpu.cr2, cpu.cr3, cpu.cr4, explain_bits(cpu.cr4, cr4_bits), cpu.efer,
                   explain_bits(cpu.efer, efer_bits), cpu.xcr0);
    fmt::format_to(out, "DR0 {:x} DR1 {:x} DR2 {:x} DR3 {:x} DR6 {:x} DR7 {:x}\n", cpu.dr[0], cpu.dr[1], cpu.dr[2], cpu.dr[3], cpu.dr6,
                   cpu.dr7);
    return text;
}

std::string explain_vectors(Cpu& cpu) {
    cpu.save_x87();
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "MXCSR {:08x}  FCW {:04x} FSW {:04x} FTW {:02x} FIP {:x} FDP {:x} FOP {:x}\n", cpu.fpu.mxcsr,
                   cpu.fpu.x87[0] | cpu.fpu.x87[1] << 8, cpu.fpu.x87[2] | cpu.fpu.x87[3] << 8, cpu.fpu.x87[4], cpu.fpu.fip, cpu.fpu.fdp,
                   cpu.fpu.fop);
    for (unsigned i = 0; i < 8; ++i) {
        fmt::format_to(out, "ST{} ", i);
        for (int b = 9; b >= 0; --b)
            fmt::format_to(out, "{:02x}", cpu.fpu.x87[32 + 16 * i + static_cast<unsigned>(b)]);
        fmt::format_to(out, "{}", i % 4 == 3 ? "\n" : "  ");
    }
    for (unsigned i = 0; i < 32; ++i) {
        const auto& z = cpu.fpu.zmm[i];
        int top = 15;
        for (int b = 63; b > 15; --b)
            if (z[static_cast<unsigned>(b)]) {
                top = b < 32 ? 31 : 63;
                break;
            }
        if (i >= 16 && std::all_of(z.begin(), z.end(), [](u8 b) { return b == 0; }))
            continue;
        fmt::format_to(out, "{}MM{:<2} ", top == 15 ? 'X' : top == 31 ? 'Y' : 'Z', i);
        for (int b = top; b >= 0; --b)
            fmt::format_to(out, "{:02x}{}", z[static_cast<unsigned>(b)], b && b % 8 == 0 ? "_" : "");
        fmt::format_to(out, "\n");
    }
    return text;
}

std::string explain_walk(Cpu& cpu, Linear a) {
    std::string text;
    auto out = std::back_inserter(text);
    if (!(cpu.cr0 & cr0::pg))
        return fmt::format("linear {:x}: paging is off (CR0.PG = 0), so it is the physical address\n", a.value);
    if (cpu.long_mode() && sign_extend(a.value, cpu.cr4 & cr4::la57 ? 57 : 48) != a.value)
        return fmt::format("linear {:x} is not canonical: a use gives #GP or #SS\n", a.value);
    const Cpu::Mapping m = cpu.examine(a);
    static constexpr const char* level_names[] = {"PTE", "PDE", "PDPTE", "PML4E", "PML5E"};
    const bool pae = (cpu.cr4 & cr4::pae) != 0;
    const unsigned levels = cpu.long_mode() ? (cpu.cr4 & cr4::la57 ? 5 : 4) : pae ? 3 : 2;
    fmt::format_to(out, "linear {:x}, CR3 {:x}, {}\n", a.value, cpu.cr3,
                   cpu.long_mode() ? (levels == 5 ? "5-level paging" : "4-level paging") : pae ? "PAE paging" : "32-bit paging");
    for (unsigned i = 0; i < m.levels; ++i) {
        const u64 e = m.entries[i];
        if (m.entry_addresses[i] == ~0ull)
            fmt::format_to(out, "  {:<5} (register)           = {:016x} [{}]\n", level_names[levels - 1 - i], e, explain_bits(e, entry_bits));
        else
            fmt::format_to(out, "  {:<5} at {:016x} = {:016x} [{}]\n", level_names[levels - 1 - i], m.entry_addresses[i], e,
                           explain_bits(e, entry_bits));
    }
    if (m.present)
        fmt::format_to(out, "  -> physical {:x} ({} page)\n", m.page.value,
                       m.size_log2 == 12 ? "4-KByte" : m.size_log2 == 21 ? "2-MByte" : m.size_log2 == 22 ? "4-MByte" : "1-GByte");
    else if (m.levels == 0 || !(m.entries[m.levels - 1] & 1))
        fmt::format_to(out, "  the walk stops here: not present (P = 0)\n");
    else
        fmt::format_to(out, "  the walk stops here: a reserved bit is set\n");
    return text;
}

std::string explain_code(Cpu& cpu, Linear a, unsigned count) {
    std::string text;
    for (unsigned n = 0; n < count; ++n) {
        u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH]{};
        unsigned have = 0;
        for (; have < sizeof bytes; ++have) {
            const Cpu::Mapping m = cpu.examine(a + have);
            const u8* at = m.present ? cpu.space().host(m.page) : nullptr;
            if (!at)
                break;
            bytes[have] = *at;
        }
        if (have == 0)
            return text + fmt::format("{:16x}: not mapped\n", a.value);
        const auto mode = cpu.code_mode().bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                          : cpu.code_mode().bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                       : ZYDIS_MACHINE_MODE_LEGACY_16;
        ZydisDisassembledInstruction insn;
        const bool good = ZYAN_SUCCESS(ZydisDisassembleIntel(mode, a.value, bytes, have, &insn));
        const unsigned length = good ? insn.info.length : 1;
        std::string hex;
        for (unsigned i = 0; i < length; ++i)
            hex += fmt::format("{:02x} ", bytes[i]);
        text += fmt::format("{:16x}: {:<32}{}\n", a.value, hex, good ? insn.text : "(undefined)");
        a = a + length;
    }
    return text;
}

} // namespace vitrine
