// SPDX-License-Identifier: Apache-2.0
// Registers, walks and code as text.
#include "x86/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace vitrine {

namespace {

using enum FieldKind;

constexpr Field rflags_bits[] = {
    {0, rw, "CF", ""},  {2, rw, "PF", ""},  {4, rw, "AF", ""},  {6, rw, "ZF", ""},   {7, rw, "SF", ""},
    {8, rw, "TF", ""},  {9, rw, "IF", ""},  {10, rw, "DF", ""}, {11, rw, "OF", ""},  {12, 13, rw, "IOPL", ""},
    {14, rw, "NT", ""}, {16, rw, "RF", ""}, {17, rw, "VM", ""}, {18, rw, "AC", ""},  {19, rw, "VIF", ""},
    {20, rw, "VIP", ""}, {21, rw, "ID", ""}};
constexpr Field cr0_bits[] = {{0, rw, "PE", ""},  {1, rw, "MP", ""},  {2, rw, "EM", ""},  {3, rw, "TS", ""},
                                            {4, rw, "ET", ""},  {5, rw, "NE", ""},  {16, rw, "WP", ""}, {18, rw, "AM", ""},
                                            {29, rw, "NW", ""}, {30, rw, "CD", ""}, {31, rw, "PG", ""}};
constexpr Field cr4_bits[] = {
    {0, rw, "VME", ""},     {1, rw, "PVI", ""},        {2, rw, "TSD", ""},   {3, rw, "DE", ""},        {4, rw, "PSE", ""},
    {5, rw, "PAE", ""},     {6, rw, "MCE", ""},        {7, rw, "PGE", ""},   {8, rw, "PCE", ""},       {9, rw, "OSFXSR", ""},
    {10, rw, "OSXMMEXCPT", ""}, {11, rw, "UMIP", ""},  {12, rw, "LA57", ""}, {13, rw, "VMXE", ""},     {14, rw, "SMXE", ""},
    {16, rw, "FSGSBASE", ""}, {17, rw, "PCIDE", ""},   {18, rw, "OSXSAVE", ""}, {20, rw, "SMEP", ""},  {21, rw, "SMAP", ""},
    {22, rw, "PKE", ""},    {23, rw, "CET", ""},       {24, rw, "PKS", ""}};
constexpr Field efer_bits[] = {{0, rw, "SCE", ""}, {8, rw, "LME", ""}, {10, rw, "LMA", ""}, {11, rw, "NXE", ""}};
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

std::span<const Field> rflags_fields() { return rflags_bits; }

std::span<const Field> cr0_fields() { return cr0_bits; }

std::span<const Field> cr4_fields() { return cr4_bits; }

std::span<const Field> efer_fields() { return efer_bits; }

std::string explain_bits(u64 value, std::span<const Field> fields) {
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

unsigned peek(Cpu& cpu, Linear a, void* to, unsigned size) {
    for (unsigned n = 0; n < size; ++n) {
        const Cpu::Mapping m = cpu.examine(a + n);
        const u8* at = m.present ? cpu.space().host(m.page) : nullptr;
        if (!at)
            return n;
        static_cast<u8*>(to)[n] = *at;
    }
    return size;
}

namespace {

struct Disassembled {
    unsigned length = 0; ///< 0: nothing could be read
    bool good = false;
    std::string line;
};

Disassembled disassemble(Cpu& cpu, Linear a) {
    u8 bytes[ZYDIS_MAX_INSTRUCTION_LENGTH]{};
    const unsigned have = peek(cpu, a, bytes, sizeof bytes);
    if (have == 0)
        return {.line = fmt::format("{:16x}: not mapped\n", a.value)};
    const auto mode = cpu.code_mode().bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                      : cpu.code_mode().bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                   : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisDisassembledInstruction insn;
    Disassembled d;
    d.good = ZYAN_SUCCESS(ZydisDisassembleIntel(mode, a.value, bytes, have, &insn));
    d.length = d.good ? insn.info.length : 1;
    std::string hex;
    for (unsigned i = 0; i < d.length; ++i)
        hex += fmt::format("{:02x} ", bytes[i]);
    d.line = fmt::format("{:16x}: {:<32}{}\n", a.value, hex, d.good ? insn.text : "(undefined)");
    return d;
}

} // namespace

std::string explain_code(Cpu& cpu, Linear a, unsigned count) {
    std::string text;
    for (unsigned n = 0; n < count; ++n) {
        const Disassembled d = disassemble(cpu, a);
        text += d.line;
        if (d.length == 0)
            break;
        a = a + d.length;
    }
    return text;
}

std::string explain_code_around(Cpu& cpu) {
    constexpr u64 before = 20;
    constexpr unsigned behind = 4;
    const Linear here = cpu.linear_rip();
    std::string text;
    // The farthest start from which good instructions lead exactly to the present one.
    for (u64 back = std::min(before, here.value); back > 0; --back) {
        std::string lines;
        Linear a{here.value - back};
        while (a.value < here.value) {
            const Disassembled d = disassemble(cpu, a);
            if (!d.good)
                break;
            lines += "   " + d.line;
            a = a + d.length;
        }
        if (a.value == here.value) {
            text = lines;
            break;
        }
    }
    Linear a = here;
    for (unsigned n = 0; n <= behind; ++n) {
        const Disassembled d = disassemble(cpu, a);
        text += (n == 0 ? "-> " : "   ") + d.line;
        if (d.length == 0)
            break;
        a = a + d.length;
    }
    return text;
}

} // namespace vitrine
