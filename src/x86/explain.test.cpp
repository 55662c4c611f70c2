// SPDX-License-Identifier: Apache-2.0
// Tests of what people are told: triple faults of the usual makers, page walks of every kind, code around an address.
#include "x86/explain.h"

#include "x86/bare_machine.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

constexpr u64 idt = 0x40'0000, gdt = 0x40'1000, tss = 0x40'2000, handler = 0x40'3000;
constexpr u64 unmapped = 0x4000'0000;

/// A GDT with 64-bit code at 10h, an IDT whose gates all lead to a handler, a TSS.
void set_up(BareMachine& m, u8 ist = 0) {
    m.write<u64>(gdt + 0x10, 0x00af'9b00'0000'ffff);
    m.cpu.gdtr = {gdt, 0xff};
    for (u64 v = 0; v < 32; ++v) {
        m.write<u64>(idt + 16 * v,
                     (handler & 0xffff) | 0x10ull << 16 | u64{ist} << 32 | 0x8e00ull << 32 | (handler >> 16) << 48);
        m.write<u64>(idt + 16 * v + 8, 0);
    }
    m.cpu.idtr = {idt, 0x1ff};
    m.cpu.segments[tr] = {.base = tss, .limit = 103, .rights = 0x8b, .selector = 0x20};
}

/// Runs UD2 into the triple fault; what the report says.
std::string undefined(BareMachine& m) {
    m.put(BareMachine::code_at - 3, {0x48, 0x31, 0xc0}); // xor rax, rax
    EXPECT_EQ(m.run({0x0f, 0x0b, 0x90}), RunEnd::stopped);
    EXPECT_EQ(m.cpu.stop_reason().kind, StopKind::triple_fault);
    return m.cpu.stop_reason().text;
}

void expect_lines(const std::string& text, std::initializer_list<std::string_view> lines) {
    std::size_t at = 0;
    for (const std::string_view line : lines) {
        const std::size_t found = text.find(line, at);
        ASSERT_NE(found, std::string::npos) << "no '" << line << "' (or not in this order) in:\n" << text;
        at = found + line.size();
    }
}

} // namespace

TEST(TripleFault, IdtTooShort) {
    BareMachine m;
    set_up(m);
    m.cpu.idtr.limit = 0x5f;
    expect_lines(undefined(m), {"triple fault on processor 0 at 0010:100000", "#UD\n",
                                "IDT entry 06h takes offsets 60 to 6f, beyond the limit 5f in IDTR",
                                "comes in its place", "#GP(0033)\n", "IDT entry 0dh takes offsets d0 to df",
                                "#GP(006b) while that was being delivered: together a double fault", "#DF(0000)",
                                "IDT entry 08h takes offsets 80 to 8f", "#GP(0043)", "the third fault", "RSP", "CR0",
                                "xor rax, rax", "-> ", "ud2"});
}

TEST(TripleFault, IdtNotMapped) {
    BareMachine m;
    set_up(m);
    m.cpu.idtr.base = unmapped;
    expect_lines(undefined(m),
                 {"#UD\n", "the IDT entry at 40000060 cannot be read:", "PDPTE   1", "not present (P = 0)",
                  "#PF(0000) at 0000000040000060: read of a not-present page by the supervisor", "#DF(0000)",
                  "the IDT entry at 40000080 cannot be read:", "the third fault",
                  "the page fault's address (CR2):", "linear 40000080"});
    EXPECT_EQ(m.cpu.cr2, unmapped + 0x80) << "the last page fault's address, though it could not be delivered";
}

TEST(TripleFault, InterruptStackNotMapped) {
    BareMachine m;
    set_up(m, 2);
    m.write<u64>(tss + 36 + 8, unmapped);
    expect_lines(undefined(m),
                 {"#UD\n", "IDT entry 06h at 400060: interrupt gate to 0010:403000, DPL 0, present, IST 2",
                  "nothing can be pushed on IST2 of the TSS, 40000000: 3ffffff8 is not mapped", "the third fault"});
}

TEST(TripleFault, GateToNowhere) {
    BareMachine m;
    set_up(m);
    m.cpu.gdtr.limit = 7;
    expect_lines(undefined(m),
                 {"#UD\n", "code segment 0010: beyond the limit of the GDT: #GP", "#GP(0011)", "the third fault"});
}

TEST(TripleFault, HandlerNotMappedIsNoneYet) {
    // The delivery succeeds; it is the handler's fetch that faults, over and over, until the stack is used up.
    BareMachine m;
    set_up(m);
    for (u64 v = 0; v < 32; ++v)
        m.write<u64>(idt + 16 * v, (unmapped & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 | (unmapped >> 16) << 48);
    EXPECT_EQ(m.run({0x0f, 0x0b}, 50), RunEnd::budget);
    m.cpu.gpr[rsp] = 16;
    EXPECT_EQ(m.run(1000), RunEnd::stopped);
    expect_lines(m.cpu.stop_reason().text, {"the third fault", "the code's address:", "not present"});
}

TEST(Walk, SaysWhatEachLevelAllows) {
    BareMachine m;
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}),
                 {"4-level paging", "PML4E   0 at 10000 ", "[P R/W U/S", "PDPTE   0 at 11000 ", "PDE     1 at 12008 ",
                  "PS", "-> physical 300123 (2-MByte page: user, writable, executable)"});
    m.write<u64>(BareMachine::tables + 0x2008, 0x8000'0000'0020'00e5);
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}), {"(2-MByte page: user, read-only, not executable)"});
    m.write<u64>(BareMachine::tables + 0x2008, 0x20'00e3);
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}), {"(2-MByte page: supervisor only, writable, executable)"});
    m.write<u64>(BareMachine::tables + 0x2008, 0x21'00e7);
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}), {"a reserved bit is set; low address bits of a large page"});
    m.write<u64>(BareMachine::tables + 0x2008, 0x8'0000'0020'00e7);
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}),
                 {"a reserved bit is set; address bits 8000000000000 beyond MAXPHYADDR"});
    m.cpu.efer &= ~efer::nxe;
    m.write<u64>(BareMachine::tables + 0x2008, 0x8000'0000'0020'00e7);
    expect_lines(explain_walk(m.cpu, Linear{0x30'0123}), {"a reserved bit is set; XD = 1 with EFER.NXE = 0"});
    expect_lines(explain_walk(m.cpu, Linear{0x8000'0000'0000}), {"not canonical"});
}

TEST(Walk, ThirtyTwoBitPaging) {
    BareMachine m;
    m.cpu.efer = 0;
    m.cpu.cr4 = cr4::pse;
    m.cpu.segments[cs].rights = 0xc09b;
    m.write<u32>(0x10000 + 4, 0x11007);
    m.write<u32>(0x11000 + 4 * 0x12, 0x5000 | 5);
    m.write<u32>(0x10000 + 8, 0xc0'0083);
    m.cpu.mode_changed();
    expect_lines(explain_walk(m.cpu, Linear{0x41'2345}),
                 {"32-bit paging", "PDE     1 at 10004 ", "PTE    12 at 11048 ",
                  "-> physical 5345 (4-KByte page: user, read-only, executable)"});
    expect_lines(explain_walk(m.cpu, Linear{0x81'2345}),
                 {"PDE     2 at 10008 ", "-> physical c12345 (4-MByte page: supervisor only"});
}

TEST(Code, BeforeAndBehind) {
    BareMachine m;
    m.put(BareMachine::code_at - 8, {0x90, 0x48, 0x89, 0xd8, 0x83, 0xc0, 0x01, 0x50, 0xc3, 0x90});
    const std::string text = explain_code_around(m.cpu);
    expect_lines(text, {"mov rax, rbx", "add eax, 0x01", "push rax", "-> ", "100000: c3", "ret", "nop"});
}
