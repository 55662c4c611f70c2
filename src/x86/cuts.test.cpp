// SPDX-License-Identifier: Apache-2.0
// Where slices end, and where a debugger stops, leaves no trace in a processor's state, its TLB included.
#include "x86/bare_machine.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

using namespace vitrine;

namespace {

/// All state as a list of numbers.
class List final : public Visitor {
public:
    void number(std::string_view, u64& value, unsigned) override { values.push_back(value); }

    void bytes(std::string_view, std::span<u8> data) override { values.insert(values.end(), data.begin(), data.end()); }

    void blob(std::string_view name, std::vector<u8>& data, u64) override { bytes(name, data); }

    u64 count(std::string_view, u64 n, u64) override {
        values.push_back(n);
        return n;
    }

    void begin(std::string_view) override {}

    void end() override {}

    bool loading() const override { return false; }

    void refuse(std::string_view) override {}

    std::vector<u64> values;
};

std::vector<u64> state_of(BareMachine& m) {
    List list;
    m.cpu.state(list);
    return list.values;
}

class Hooks final : public DebugHooks {
public:
    u64 next_breakpoint(Linear from, u64 bytes) override {
        const auto at = breakpoints.lower_bound(from.value);
        return at == breakpoints.end() ? bytes : std::min(bytes, *at - from.value);
    }

    bool watches(Linear page) override { return watched && page == Linear{watched}.page(); }

    bool access(Cpu&, Linear at, unsigned size, bool write) override {
        return write && at.value <= watched && watched < at.value + size;
    }

    std::set<u64> breakpoints;
    u64 watched = 0;
};

constexpr u64 same_index = BareMachine::code_at + TlbTable::entries * page_size; ///< collides with the code's page

/// RAM from 8 MiB on a second time, as far from there as the TLB's index tells apart: 4 MiB at 2000000h.
void map_alias(BareMachine& m) {
    for (u64 i = 0; i < 2; ++i)
        m.write<u64>(BareMachine::tables + 0x2000 + 8 * (TlbTable::entries * page_size / 2_MiB + i), (8_MiB + i * 2_MiB) | 0xe7);
}

/// A block that evicts the translation of its own page in the middle, goes on, and leaves for another page.
void put_evicting_block(BareMachine& m) {
    map_alias(m);
    m.put(BareMachine::code_at, {0x48, 0xbb, 0,    0,    0x10, 0x02, 0, 0, 0, 0, // mov rbx, same_index
                                 0x48, 0x89, 0x03,                               // mov [rbx], rax
                                 0x48, 0xff, 0xc0, 0x48, 0xff, 0xc0,             // inc rax; inc rax
                                 0xe9, 0xe8, 0x0f, 0,    0});                    // jmp code_at + 1000h
    m.put(BareMachine::code_at + 0x1000, {0x48, 0xff, 0xc0, 0xeb, 0xfe});        // inc rax; jmp $
    static_assert(same_index == 0x210'0000);
}

/// A string copy to many pages, one of which evicts its own.
void put_long_copy(BareMachine& m) {
    map_alias(m);
    m.put(BareMachine::code_at, {0xb9, 0,    0,    0x10, 0,   // mov ecx, 100000h
                                 0xbe, 0,    0,    0x20, 0,   // mov esi, 200000h
                                 0xbf, 0,    0x80, 0x0f, 0x02, // mov edi, 20f8000h
                                 0xf3, 0xa4,                  // rep movsb
                                 0x90, 0x90,                  // nop; nop
                                 0xe9, 0xe8, 0x0f, 0,    0}); // jmp code_at + 1000h
    m.put(BareMachine::code_at + 0x1000, {0xeb, 0xfe});
}

void start(BareMachine& m) {
    m.cpu.gpr.fill(0);
    m.long_mode(0);
}

} // namespace

TEST(Cuts, LeaveNoTraceInTheTlb) {
    struct Program {
        void (*put)(BareMachine&);
        u64 length;
    };

    for (const auto& [put, length] : {Program{put_evicting_block, 9}, Program{put_long_copy, 0x10'0010}}) {
        BareMachine whole;
        put(whole);
        start(whole);
        whole.run(length);
        for (const u64 piece : {u64{1}, u64{2}, u64{3}, u64{4}, u64{4097}}) {
            BareMachine m;
            put(m);
            start(m);
            for (u64 done = 0; done < length; done += std::min(piece, length - done))
                m.run(std::min(piece, length - done));
            EXPECT_EQ(m.cpu.rip, whole.cpu.rip);
            EXPECT_EQ(state_of(m), state_of(whole)) << "in pieces of " << piece;
        }
    }
}

TEST(Cuts, WrittenCodeIsSeenAtOnce) {
    // The second instruction makes the third one an INC of RCX instead of RAX.
    const std::initializer_list<u8> code = {0xbb, 9,    0,    0x10, 0, // mov ebx, code_at + 9
                                            0xc6, 0x03, 0xc1,          // mov byte [rbx], c1h
                                            0xff, 0xc0, 0x90, 0x90};   // inc eax -> inc ecx
    for (const u64 piece : {u64{1}, u64{4}}) {
        BareMachine m;
        m.put(BareMachine::code_at, code);
        start(m);
        for (u64 done = 0; done < 4; done += piece)
            m.run(piece);
        EXPECT_EQ(m.cpu.gpr[rax], 0u);
        EXPECT_EQ(m.cpu.gpr[rcx], 1u);
    }
}

TEST(Debugger, StopsBeforeAnInstructionInTheMiddleOfABlock) {
    BareMachine m, undisturbed;
    Hooks hooks;
    for (BareMachine* machine : {&m, &undisturbed}) {
        put_evicting_block(*machine);
        start(*machine);
    }
    hooks.breakpoints = {BareMachine::code_at + 10, BareMachine::code_at + 11, BareMachine::code_at + 16};
    m.cpu.set_hooks(&hooks);
    for (const u64 at : {BareMachine::code_at + 10, BareMachine::code_at + 16}) { // 11 is within an instruction
        EXPECT_EQ(m.run(100), RunEnd::stopped);
        EXPECT_EQ(m.cpu.stop_reason().kind, StopKind::debugger);
        EXPECT_EQ(m.cpu.rip, at);
        m.cpu.clear_stop();
    }
    EXPECT_EQ(m.run(9 - m.clock.now()), RunEnd::budget);
    undisturbed.run(9);
    EXPECT_EQ(state_of(m), state_of(undisturbed));
}

TEST(Debugger, StepsAndWatches) {
    BareMachine m, undisturbed;
    Hooks hooks;
    for (BareMachine* machine : {&m, &undisturbed}) {
        put_evicting_block(*machine);
        start(*machine);
    }
    hooks.watched = same_index + 3;
    m.cpu.set_hooks(&hooks);
    EXPECT_EQ(m.run(100), RunEnd::stopped);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 13) << "after the instruction that writes";
    EXPECT_EQ(m.cpu.stop_reason().text, "watchpoint");
    m.cpu.clear_stop();
    m.cpu.stop_after_step(true);
    EXPECT_EQ(m.run(100), RunEnd::stopped);
    EXPECT_EQ(m.cpu.rip, BareMachine::code_at + 16);
    m.cpu.clear_stop();
    EXPECT_EQ(m.run(9 - m.clock.now()), RunEnd::budget);
    undisturbed.run(9);
    EXPECT_EQ(state_of(m), state_of(undisturbed));
}

TEST(Debugger, AStepIntoAnInterruptStopsAtItsHandler) {
    BareMachine m;
    m.put(BareMachine::code_at, {0x90, 0x90, 0xeb, 0xfe});
    start(m);
    // An interrupt gate for vector 20h, and a GDT whose third entry is 64-bit code.
    constexpr u64 idt = BareMachine::data_at, gdt = BareMachine::data_at + 0x1000,
                  handler = BareMachine::code_at + 0x100;
    m.write<u64>(idt + 0x200, (handler & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 | (handler >> 16) << 48);
    m.write<u64>(gdt + 0x10, 0x00af'9b00'0000'ffff);
    m.put(handler, {0x90, 0x90});
    m.cpu.idtr = {idt, 0xfff};
    m.cpu.gdtr = {gdt, 0xff};
    m.cpu.set_rflags(rflags::if_ | 2);
    m.cpu.set_interrupt(true);
    m.cpu.stop_after_step(true);
    EXPECT_EQ(m.run(100), RunEnd::stopped);
    EXPECT_EQ(m.cpu.rip, handler);
}
