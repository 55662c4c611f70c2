// SPDX-License-Identifier: Apache-2.0
// GDB's view of the registers: a table.
#include "debug/gdb_registers.h"

#include <fmt/format.h>

#include <array>

namespace vitrine::debug {

namespace {

constexpr const char* core = "org.gnu.gdb.i386.core";
constexpr const char* sse = "org.gnu.gdb.i386.sse";
constexpr const char* avx = "org.gnu.gdb.i386.avx";

template <class T> void put(u8* to, T value) { std::memcpy(to, &value, sizeof value); }

template <class T> T get(const u8* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

void read_gpr(Cpu& cpu, unsigned n, u8* to) { put(to, cpu.gpr[n]); }

bool write_gpr(Cpu& cpu, unsigned n, const u8* from) {
    cpu.gpr[n] = get<u64>(from);
    return true;
}

void read_rip(Cpu& cpu, unsigned, u8* to) { put(to, cpu.rip); }

bool write_rip(Cpu& cpu, unsigned, const u8* from) {
    cpu.rip = get<u64>(from);
    return true;
}

void read_flags(Cpu& cpu, unsigned, u8* to) { put(to, static_cast<u32>(cpu.rflags())); }

bool write_flags(Cpu& cpu, unsigned, const u8* from) {
    cpu.set_rflags(get<u32>(from));
    cpu.mode_changed();
    return true;
}

void read_selector(Cpu& cpu, unsigned n, u8* to) { put(to, u32{cpu.segments[n].selector}); }

void read_base(Cpu& cpu, unsigned n, u8* to) { put(to, cpu.segments[n].base); }

bool write_base(Cpu& cpu, unsigned n, const u8* from) {
    cpu.segments[n].base = get<u64>(from);
    cpu.mode_changed();
    return true;
}

bool refuse(Cpu&, unsigned, const u8*) { return false; }

void read_kernel_gs(Cpu& cpu, unsigned, u8* to) { put(to, cpu.msr.kernel_gs_base); }

void read_control(Cpu& cpu, unsigned n, u8* to) {
    const std::array<u64, 6> values{cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4, cpu.apic().cr8(), cpu.efer};
    put(to, values[n]);
}

bool write_cr2(Cpu& cpu, unsigned, const u8* from) {
    cpu.cr2 = get<u64>(from);
    return true;
}

void read_st(Cpu& cpu, unsigned n, u8* to) {
    cpu.save_x87();
    std::memcpy(to, &cpu.fpu.x87[32 + 16 * n], 10);
}

/// fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop
void read_x87_control(Cpu& cpu, unsigned n, u8* to) {
    cpu.save_x87();
    const u8* image = cpu.fpu.x87.data();
    u32 value = 0;
    switch (n) {
    case 0: value = get<u16>(image); break;
    case 1: value = get<u16>(image + 2); break;
    case 2: // the full tag word: 11 for empty; gdb is content with 00 for anything valid
        for (unsigned i = 0; i < 8; ++i)
            value |= (image[4] >> i & 1 ? 0u : 3u) << (2 * i);
        break;
    case 4: value = static_cast<u32>(cpu.fpu.fip); break;
    case 6: value = static_cast<u32>(cpu.fpu.fdp); break;
    case 7: value = cpu.fpu.fop; break;
    default: break;
    }
    put(to, value);
}

void read_xmm(Cpu& cpu, unsigned n, u8* to) { std::memcpy(to, cpu.fpu.zmm[n].data(), 16); }

bool write_xmm(Cpu& cpu, unsigned n, const u8* from) {
    std::memcpy(cpu.fpu.zmm[n].data(), from, 16);
    return true;
}

void read_ymmh(Cpu& cpu, unsigned n, u8* to) { std::memcpy(to, cpu.fpu.zmm[n].data() + 16, 16); }

bool write_ymmh(Cpu& cpu, unsigned n, const u8* from) {
    std::memcpy(cpu.fpu.zmm[n].data() + 16, from, 16);
    return true;
}

void read_mxcsr(Cpu& cpu, unsigned, u8* to) { put(to, cpu.fpu.mxcsr); }

bool write_mxcsr(Cpu& cpu, unsigned, const u8* from) {
    cpu.fpu.mxcsr = get<u32>(from) & 0xffff;
    return true;
}

} // namespace

std::vector<GdbRegister> gdb_registers() {
    std::vector<GdbRegister> rows;
    static constexpr std::pair<const char*, Gpr> general[] = {
        {"rax", rax}, {"rbx", rbx}, {"rcx", rcx}, {"rdx", rdx}, {"rsi", rsi}, {"rdi", rdi}, {"rbp", rbp}, {"rsp", rsp},
        {"r8", r8},   {"r9", r9},   {"r10", r10}, {"r11", r11}, {"r12", r12}, {"r13", r13}, {"r14", r14}, {"r15", r15}};
    for (const auto& [name, n] : general)
        rows.push_back({name, 8, n == rsp || n == rbp ? "data_ptr" : "int64", "", core, read_gpr, write_gpr, n});
    rows.push_back({"rip", 8, "code_ptr", "", core, read_rip, write_rip});
    rows.push_back({"eflags", 4, "i386_eflags", "", core, read_flags, write_flags});
    static constexpr std::pair<const char*, SegmentName> selectors[] = {{"cs", cs}, {"ss", ss}, {"ds", ds},
                                                                        {"es", es}, {"fs", fs}, {"gs", gs}};
    for (const auto& [name, n] : selectors)
        rows.push_back({name, 4, "int32", "", core, read_selector, refuse, n});
    rows.push_back({"fs_base", 8, "int64", "", core, read_base, write_base, fs});
    rows.push_back({"gs_base", 8, "int64", "", core, read_base, write_base, gs});
    rows.push_back({"k_gs_base", 8, "int64", "", core, read_kernel_gs, refuse});
    static constexpr const char* control[] = {"cr0", "cr2", "cr3", "cr4", "cr8", "efer"};
    for (unsigned i = 0; i < 6; ++i)
        rows.push_back({control[i], 8, "int64", "system", core, read_control, i == 1 ? write_cr2 : refuse, i});
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back({fmt::format("st{}", i), 10, "i387_ext", "", core, read_st, refuse, i});
    static constexpr const char* x87[] = {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"};
    for (unsigned i = 0; i < 8; ++i)
        rows.push_back({x87[i], 4, "int", "float", core, read_x87_control, refuse, i});
    for (unsigned i = 0; i < 16; ++i)
        rows.push_back({fmt::format("xmm{}", i), 16, "vec128", "", sse, read_xmm, write_xmm, i});
    rows.push_back({"mxcsr", 4, "i386_mxcsr", "vector", sse, read_mxcsr, write_mxcsr});
    for (unsigned i = 0; i < 16; ++i)
        rows.push_back({fmt::format("ymm{}h", i), 16, "uint128", "", avx, read_ymmh, write_ymmh, i});
    return rows;
}

std::string target_description(const std::vector<GdbRegister>& registers) {
    std::string text = "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
                       "<target><architecture>i386:x86-64</architecture>";
    std::string feature;
    for (const GdbRegister& r : registers) {
        if (r.feature != feature) {
            if (!feature.empty())
                text += "</feature>";
            feature = r.feature;
            text += fmt::format("<feature name=\"{}\">", feature);
            if (feature == core)
                text += "<flags id=\"i386_eflags\" size=\"4\"><field name=\"CF\" start=\"0\" end=\"0\"/>"
                        "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
                        "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
                        "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
                        "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
                        "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
                        "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
                        "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>";
            if (feature == sse)
                text += "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
                        "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
                        "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
                        "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
                        "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
                        "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
                        "<field name=\"uint128\" type=\"uint128\"/></union>"
                        "<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/>"
                        "<field name=\"DE\" start=\"1\" end=\"1\"/><field name=\"ZE\" start=\"2\" end=\"2\"/>"
                        "<field name=\"OE\" start=\"3\" end=\"3\"/><field name=\"UE\" start=\"4\" end=\"4\"/>"
                        "<field name=\"PE\" start=\"5\" end=\"5\"/><field name=\"DAZ\" start=\"6\" end=\"6\"/>"
                        "<field name=\"FZ\" start=\"15\" end=\"15\"/></flags>";
        }
        text += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\"{}/>", r.name, 8 * r.bytes, r.type,
                            r.group.empty() ? "" : fmt::format(" group=\"{}\"", r.group));
    }
    return text + "</feature></target>";
}

} // namespace vitrine::debug
