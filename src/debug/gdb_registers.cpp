// SPDX-License-Identifier: Apache-2.0
// GDB's view of the registers: a table.
#include "debug/gdb_registers.h"

#include "x86/control.h"
#include "x86/model.h"
#include "x86/msr.h"

#include <fmt/format.h>

#include <array>

namespace vitrine::debug {

namespace {

constexpr const char* core = "org.gnu.gdb.i386.core";
constexpr const char* sse = "org.gnu.gdb.i386.sse";
constexpr const char* avx = "org.gnu.gdb.i386.avx";
constexpr const char* avx512 = "org.gnu.gdb.i386.avx512";
constexpr const char* segments = "org.gnu.gdb.i386.segments";
constexpr const char* system_registers =
    "org.vitrine.system"; // gdb shows what it does not know under `info registers system`

template <class T>
void put(u8* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

template <class T>
T get(const u8* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

bool refuse(Cpu&, unsigned, const u8*) {
    return false;
}

void read_gpr(Cpu& cpu, unsigned n, u8* to) {
    put(to, cpu.gpr[n]);
}

bool write_gpr(Cpu& cpu, unsigned n, const u8* from) {
    cpu.gpr[n] = get<u64>(from);
    return true;
}

void read_gpr32(Cpu& cpu, unsigned n, u8* to) {
    put(to, static_cast<u32>(cpu.gpr[n]));
}

bool write_gpr32(Cpu& cpu, unsigned n, const u8* from) {
    cpu.gpr[n] = get<u32>(from);
    return true;
}

void read_rip(Cpu& cpu, unsigned, u8* to) {
    put(to, cpu.rip);
}

bool write_rip(Cpu& cpu, unsigned, const u8* from) {
    cpu.rip = get<u64>(from);
    cpu.redirected();
    return true;
}

void read_eip(Cpu& cpu, unsigned, u8* to) {
    put(to, static_cast<u32>(cpu.rip));
}

bool write_eip(Cpu& cpu, unsigned, const u8* from) {
    cpu.rip = get<u32>(from);
    cpu.redirected();
    return true;
}

void read_flags(Cpu& cpu, unsigned, u8* to) {
    put(to, static_cast<u32>(cpu.rflags()));
}

bool write_flags(Cpu& cpu, unsigned, const u8* from) {
    cpu.set_rflags(get<u32>(from));
    cpu.mode_changed();
    return true;
}

void read_selector(Cpu& cpu, unsigned n, u8* to) {
    put(to, u32{cpu.segments[n].selector});
}

void read_base(Cpu& cpu, unsigned n, u8* to) {
    put(to, cpu.segments[n].base);
}

bool write_base(Cpu& cpu, unsigned n, const u8* from) {
    cpu.segments[n].base = get<u64>(from);
    cpu.mode_changed();
    return true;
}

void read_limit(Cpu& cpu, unsigned n, u8* to) {
    put(to, cpu.segments[n].limit);
}

void read_table_base(Cpu& cpu, unsigned n, u8* to) {
    put(to, (n ? cpu.idtr : cpu.gdtr).base);
}

void read_table_limit(Cpu& cpu, unsigned n, u8* to) {
    put(to, u32{(n ? cpu.idtr : cpu.gdtr).limit});
}

void read_kernel_gs(Cpu& cpu, unsigned, u8* to) {
    put(to, cpu.msr.kernel_gs_base);
}

bool write_kernel_gs(Cpu& cpu, unsigned, const u8* from) {
    cpu.msr.kernel_gs_base = get<u64>(from);
    return true;
}

enum Control : unsigned { control_cr0, control_cr2, control_cr3, control_cr4, control_cr8, control_efer, control_xcr0 };

void read_control(Cpu& cpu, unsigned n, u8* to) {
    const std::array<u64, 7> values{cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4, cpu.apic().cr8(), cpu.efer, cpu.xcr0};
    put(to, values[n]);
}

/// As the processor itself writes them: a value that it would refuse is refused.
bool write_control(Cpu& cpu, unsigned n, const u8* from) {
    const u64 value = get<u64>(from);
    switch (n) {
    case control_cr0:
        return write_cr0(cpu, value).ok();
    case control_cr2:
        cpu.cr2 = value;
        return true;
    case control_cr3:
        return write_cr3(cpu, value).ok();
    case control_cr4:
        return write_cr4(cpu, value).ok();
    case control_cr8:
        return value < 16 ? cpu.apic().set_cr8(static_cast<u8>(value)), true : false;
    case control_efer:
        return write_msr(cpu, 0xc000'0080, value).ok();
    default:
        return false;
    }
}

void read_debug(Cpu& cpu, unsigned n, u8* to) {
    put(to, n < 4 ? cpu.dr[n] : n == 6 ? cpu.dr6 : cpu.dr7);
}

// ---- x87 and vectors ------------------------------------------------------------------------------------------------

u8* x87_register(Cpu& cpu, unsigned n) {
    return &cpu.fpu.x87[fxsave::st + 16 * n];
}

void read_st(Cpu& cpu, unsigned n, u8* to) {
    cpu.save_x87();
    std::memcpy(to, x87_register(cpu, n), 10);
}

bool write_st(Cpu& cpu, unsigned n, const u8* from) {
    cpu.save_x87();
    std::memcpy(x87_register(cpu, n), from, 10);
    cpu.drop_x87();
    return true;
}

enum X87 : unsigned { fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop };

void read_x87_control(Cpu& cpu, unsigned n, u8* to) {
    cpu.save_x87();
    u32 value = 0;
    switch (n) {
    case fctrl:
        value = cpu.fpu.fcw();
        break;
    case fstat:
        value = cpu.fpu.fsw();
        break;
    case ftag: // the full tag word: 11 for empty; gdb is content with 00 for anything valid
        for (unsigned i = 0; i < 8; ++i)
            value |= (cpu.fpu.x87[fxsave::ftw] >> i & 1 ? 0u : 3u) << (2 * i);
        break;
    case fioff:
        value = static_cast<u32>(cpu.fpu.fip);
        break;
    case fooff:
        value = static_cast<u32>(cpu.fpu.fdp);
        break;
    case fop:
        value = cpu.fpu.fop;
        break;
    default:
        break; // FCS and FDS are deprecated: zero
    }
    put(to, value);
}

/// A part of a vector register: `n` is the register.
template <unsigned first, unsigned bytes>
void read_vector(Cpu& cpu, unsigned n, u8* to) {
    std::memcpy(to, cpu.fpu.zmm[n].data() + first, bytes);
}

template <unsigned first, unsigned bytes>
bool write_vector(Cpu& cpu, unsigned n, const u8* from) {
    std::memcpy(cpu.fpu.zmm[n].data() + first, from, bytes);
    return true;
}

void read_k(Cpu& cpu, unsigned n, u8* to) {
    put(to, cpu.fpu.k[n]);
}

bool write_k(Cpu& cpu, unsigned n, const u8* from) {
    cpu.fpu.k[n] = get<u64>(from);
    return true;
}

void read_mxcsr(Cpu& cpu, unsigned, u8* to) {
    put(to, cpu.fpu.mxcsr);
}

bool write_mxcsr(Cpu& cpu, unsigned, const u8* from) {
    if (get<u32>(from) & ~0xffffu)
        return false;
    cpu.fpu.mxcsr = get<u32>(from);
    return true;
}

// ---- the tables -----------------------------------------------------------------------------------------------------

using Rows = std::vector<GdbRegister>;

constexpr std::pair<const char*, SegmentName> all_segments[] = {{"cs", cs}, {"ss", ss}, {"ds", ds},
                                                                {"es", es}, {"fs", fs}, {"gs", gs}};

void add_selectors(Rows& rows) {
    for (const auto& [name, n] : all_segments)
        rows.push_back({name, 4, "int32", "", core, read_selector, refuse, n});
}

void add_x87(Rows& rows) {
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back({fmt::format("st{}", i), 10, "i387_ext", "", core, read_st, write_st, i});
    static constexpr const char* names[] = {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"};
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back({names[i], 4, "int", "float", core, read_x87_control, refuse, i});
}

void add_general64(Rows& rows) {
    static constexpr std::pair<const char*, Gpr> names[] = {
        {"rax", rax}, {"rbx", rbx}, {"rcx", rcx}, {"rdx", rdx}, {"rsi", rsi}, {"rdi", rdi}, {"rbp", rbp}, {"rsp", rsp},
        {"r8", r8},   {"r9", r9},   {"r10", r10}, {"r11", r11}, {"r12", r12}, {"r13", r13}, {"r14", r14}, {"r15", r15}};
    for (const auto& [name, n] : names)
        rows.push_back({name, 8, n == rsp || n == rbp ? "data_ptr" : "int64", "", core, read_gpr, write_gpr, n});
    rows.push_back({"rip", 8, "code_ptr", "", core, read_rip, write_rip});
}

void add_general32(Rows& rows) {
    static constexpr const char* names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back(
            {names[i], 4, i == rsp || i == rbp ? "data_ptr" : "int32", "", core, read_gpr32, write_gpr32, i});
    rows.push_back({"eip", 4, "code_ptr", "", core, read_eip, write_eip});
}

void add_vectors(Rows& rows, unsigned count, bool with_avx, bool with_avx512) {
    for (unsigned i = 0; i < count; ++i)
        rows.push_back({fmt::format("xmm{}", i), 16, "vec128", "", sse, read_vector<0, 16>, write_vector<0, 16>, i});
    rows.push_back({"mxcsr", 4, "i386_mxcsr", "vector", sse, read_mxcsr, write_mxcsr});
    if (!with_avx)
        return;
    for (unsigned i = 0; i < count; ++i)
        rows.push_back(
            {fmt::format("ymm{}h", i), 16, "uint128", "", avx, read_vector<16, 16>, write_vector<16, 16>, i});
    if (!with_avx512)
        return;
    const bool more = count == 16;
    for (unsigned i = 16; more && i < 32; ++i)
        rows.push_back({fmt::format("xmm{}", i), 16, "vec128", "", avx512, read_vector<0, 16>, write_vector<0, 16>, i});
    for (unsigned i = 16; more && i < 32; ++i)
        rows.push_back(
            {fmt::format("ymm{}h", i), 16, "uint128", "", avx512, read_vector<16, 16>, write_vector<16, 16>, i});
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back({fmt::format("k{}", i), 8, "uint64", "", avx512, read_k, write_k, i});
    for (unsigned i = 0; i < (more ? 32 : 8); ++i)
        rows.push_back(
            {fmt::format("zmm{}h", i), 32, "v2ui128", "", avx512, read_vector<32, 32>, write_vector<32, 32>, i});
}

void add_system(Rows& rows) {
    const auto add = [&](std::string name, unsigned bytes, auto read, auto write, unsigned n, std::string type = {}) {
        if (type.empty())
            type = bytes == 8 ? "uint64" : "uint32";
        rows.push_back({std::move(name), bytes, std::move(type), "system", system_registers, read, write, n});
    };
    add("cr0", 8, read_control, write_control, control_cr0, "vitrine_cr0");
    add("cr2", 8, read_control, write_control, control_cr2);
    add("cr3", 8, read_control, write_control, control_cr3);
    add("cr4", 8, read_control, write_control, control_cr4, "vitrine_cr4");
    add("cr8", 8, read_control, write_control, control_cr8);
    add("efer", 8, read_control, write_control, control_efer, "vitrine_efer");
    add("xcr0", 8, read_control, write_control, control_xcr0);
    for (const unsigned i : {0u, 1u, 2u, 3u, 6u, 7u})
        add(fmt::format("dr{}", i), 8, read_debug, refuse, i);
    add("k_gs_base", 8, read_kernel_gs, write_kernel_gs, 0);
    for (const auto& [name, n] : all_segments)
        if (n != fs && n != gs)
            add(fmt::format("{}_base", name), 8, read_base, refuse, n);
    for (const auto& [name, n] : all_segments)
        add(fmt::format("{}_limit", name), 4, read_limit, refuse, n);
    for (const auto& [name, n] : {std::pair{"ldtr", ldtr}, std::pair{"tr", tr}}) {
        add(name, 4, read_selector, refuse, n);
        add(fmt::format("{}_base", name), 8, read_base, refuse, n);
        add(fmt::format("{}_limit", name), 4, read_limit, refuse, n);
    }
    for (const auto& [name, n] : {std::pair{"gdtr", 0u}, std::pair{"idtr", 1u}}) {
        add(fmt::format("{}_base", name), 8, read_table_base, refuse, n);
        add(fmt::format("{}_limit", name), 4, read_table_limit, refuse, n);
    }
}

/// What the guest-state and host-state areas hold.
bool in_vmcs(const GdbRegister& r) {
    if (r.read == read_gpr || r.read == read_gpr32)
        return r.n == rsp;
    if (r.read == read_control)
        return r.n == control_cr0 || r.n == control_cr3 || r.n == control_cr4 || r.n == control_efer;
    return r.read == read_rip || r.read == read_eip || r.read == read_flags || r.read == read_selector || r.read == read_base ||
           r.read == read_limit || r.read == read_table_base || r.read == read_table_limit;
}

} // namespace

std::vector<GdbRegister> gdb_registers(GdbArchitecture architecture, const CpuModel& model) {
    const bool wide = architecture == GdbArchitecture::x86_64;
    Rows rows;
    if (wide)
        add_general64(rows);
    else
        add_general32(rows);
    rows.push_back({"eflags", 4, "i386_eflags", "", core, read_flags, write_flags});
    add_selectors(rows);
    add_x87(rows);
    add_vectors(rows, wide ? 16 : 8, model.has(Feature::avx), model.has(Feature::avx512f));
    // gdb 13 wants these two to be there in 64 bits only.
    const char* const bases = wide ? segments : system_registers;
    rows.push_back({"fs_base", 8, "int", wide ? "" : "system", bases, read_base, write_base, fs});
    rows.push_back({"gs_base", 8, "int", wide ? "" : "system", bases, read_base, write_base, gs});
    add_system(rows);
    for (GdbRegister& r : rows)
        r.in_vmcs = in_vmcs(r);
    return rows;
}

} // namespace vitrine::debug
