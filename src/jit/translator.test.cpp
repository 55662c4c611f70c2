// SPDX-License-Identifier: Apache-2.0
// The translator beside the interpreter on small programs: the same registers, time and memory wherever slices end.
#include "jit/translator.h"

#include "jit/two_engines.h"

using namespace vitrine;
using namespace vitrine::jit;
namespace x86 = asmjit::x86;

namespace {

constexpr u64 data = BareMachine::data_at;

void sum(x86::Assembler& a) {
    const asmjit::Label loop = a.newLabel();
    a.mov(x86::rsi, data);
    a.xor_(x86::eax, x86::eax);
    a.bind(loop);
    a.add(x86::rax, x86::qword_ptr(x86::rsi));
    a.mov(x86::qword_ptr(x86::rsi, 8), x86::rax);
    a.inc(x86::rax);
    a.rol(x86::rax, 7);
    a.lea(x86::rsi, x86::ptr(x86::rsi, 24));
    a.and_(x86::rsi, data | 0xfff8);
    a.sub(x86::ecx, 1);
    a.adc(x86::edx, 0);
    a.jmp(loop);
}

} // namespace

TEST(Translator, EndsWhereTheSliceEnds) {
    for (const u64 slice : {1, 2, 3, 5, 7, 11, 64, 1000, 100'000})
        compare(sum, slice, slice < 1000 ? 5000 / slice + 300 : 5);
}

TEST(Translator, CallsAndReturnsAcrossPages) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), far = a.newLabel(), near = a.newLabel();
        a.lea(x86::r13, x86::ptr(near));
        a.bind(loop);
        a.call(far);
        a.call(x86::r13);
        a.dec(x86::r14);
        a.jnz(loop);
        a.jmp(loop);
        a.bind(near);
        a.push(x86::rax);
        a.pop(x86::r9);
        a.ret(0);
        for (unsigned n = 0; n < 5000; ++n)
            a.nop();
        a.bind(far);
        a.add(x86::rax, 3);
        a.ret();
    };
    for (const u64 slice : {1, 4, 9, 1000, 50'000})
        compare(program, slice, 200);
}

TEST(Translator, CodeThatChangesItself) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), patched = a.newLabel(), behind = a.newLabel();
        a.lea(x86::rbx, x86::ptr(patched));
        a.bind(loop);
        a.inc(x86::rcx);
        a.mov(x86::edx, x86::ecx);
        a.test(x86::ecx, 0xff);
        a.jnz(behind);
        a.mov(x86::byte_ptr(x86::rbx, 1), x86::ch); // the immediate of the move that follows at once
        a.bind(patched);
        a.mov(x86::al, 7);
        a.add(x86::r8, x86::rax);
        a.bind(behind);
        a.jmp(loop);
    };
    for (const u64 slice : {3, 10, 1000, 60'000})
        compare(program, slice, 40);
}

TEST(Translator, DivisionsAndShiftsKeepTheInterpretersRules) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::r10, 0x9e37'79b9'7f4a'7c15);
        a.bind(loop);
        a.add(x86::rbx, x86::r10);
        a.mov(x86::rax, x86::rbx);
        a.xor_(x86::edx, x86::edx);
        a.mov(x86::ecx, x86::ebx);
        a.or_(x86::ecx, 1);
        a.div(x86::rcx);
        a.shl(x86::rax, x86::cl);
        a.pushfq();
        a.shr(x86::r11, 5);
        a.pushfq();
        a.pop(x86::r12);
        a.pop(x86::r13);
        a.imul(x86::r12, x86::r13);
        a.setp(x86::r14b);
        a.cqo();
        a.idiv(x86::rcx);
        a.bsr(x86::r15, x86::rax);
        a.jmp(loop);
    };
    for (const u64 slice : {7, 50'000})
        compare(program, slice, 60);
}

TEST(Translator, NeighbouringAccessesWithAPageBetweenThem) {
    // Pushes, pops and fields of a structure that share a probe; the stack and the structure walk over page boundaries.
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), function = a.newLabel();
        a.mov(x86::rsi, data + 0x1fd0);
        a.mov(x86::r14, data + 0x3ff8);
        a.mov(x86::rsp, data + 0x8000);
        a.bind(loop);
        a.add(x86::rax, 3);
        a.call(function);
        a.mov(x86::rdx, x86::qword_ptr(x86::rsi, 8));
        a.add(x86::rdx, x86::rax);
        a.mov(x86::qword_ptr(x86::rsi, 24), x86::rdx);
        a.add(x86::dword_ptr(x86::rsi, 36), 5);
        a.movzx(x86::r9d, x86::word_ptr(x86::rsi, 11));
        a.mov(x86::rbx, x86::qword_ptr(x86::r14, -8));
        a.inc(x86::rbx);
        a.mov(x86::qword_ptr(x86::r14), x86::rbx);
        a.mov(x86::qword_ptr(x86::r14, -8), x86::rsi);
        a.adc(x86::rbx, 0);
        a.mov(x86::r14, x86::qword_ptr(x86::r14, -8)); // the base itself
        a.lea(x86::r14, x86::ptr(x86::r14, 0x2020));
        a.sub(x86::rsp, 16);
        a.and_(x86::rsp, data | 0x7ff8);
        a.or_(x86::rsp, data | 0x4000);
        a.add(x86::rsi, 8);
        a.and_(x86::rsi, data | 0x2ff8);
        a.jmp(loop);
        a.bind(function);
        a.push(x86::rbp);
        a.mov(x86::rbp, x86::rsp);
        a.push(x86::r15);
        a.push(x86::rsp);
        a.push(-5);
        a.sub(x86::rsp, 24);
        a.mov(x86::qword_ptr(x86::rsp, 8), x86::rax);
        a.cmp(x86::rax, x86::qword_ptr(x86::rsp, 8));
        a.setz(x86::r15b);
        a.add(x86::rsp, 24);
        a.pop(x86::r8);
        a.pop(x86::r8);
        a.pop(x86::r15);
        a.add(x86::r15, x86::r8);
        a.pop(x86::rbp);
        a.ret();
    };
    for (const u64 slice : {1, 3, 10, 1000, 60'000})
        compare(program, slice, slice < 1000 ? 6000 / slice : 40);
}

TEST(Translator, AFaultBetweenNeighboursSeesTheFlags) {
    // The second access of a pair comes to where nothing is mapped; the flags of the first instruction are dead otherwise.
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rsi, 16_MiB - 8 * 2000);
        a.mov(x86::eax, 0x7fff'f000);
        a.bind(loop);
        a.add(x86::eax, 3);
        a.cmp(x86::eax, -1); // CF, which INC keeps
        a.inc(x86::dword_ptr(x86::rsi));
        a.mov(x86::rdx, x86::qword_ptr(x86::rsi, 8));
        a.add(x86::rdx, 1);
        a.add(x86::rsi, 8);
        a.jmp(loop);
    };
    for (const u64 slice : {7, 60'000})
        compare(program, slice, 20'000 / slice + 1);
}

TEST(Translator, ForgetsWhenItsMemoryIsFull) {
    // 600 loops, each of which becomes hot: more code than fits.
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label again = a.newLabel();
        a.bind(again);
        for (unsigned n = 0; n < 3000; ++n) {
            const asmjit::Label loop = a.newLabel();
            a.mov(x86::ecx, 130);
            a.bind(loop);
            for (unsigned k = 0; k < 6; ++k)
                a.add(x86::qword_ptr(x86::rsp, -64), x86::rcx);
            a.dec(x86::ecx);
            a.jnz(loop);
        }
        a.jmp(again);
    };
    compare(program, 200'000, 30);
    Machine m(true);
    m.load(program);
    m.run(6'000'000);
    EXPECT_GT(m.translator->stats().flushes, 0u);
}

/// Page 0 has the number that is easily taken for none.
TEST(Translator, MisalignedLocksOnTheFirstPage) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rbx, 8);
        a.bind(loop);
        a.mov(x86::rax, x86::cr3);
        a.mov(x86::cr3, x86::rax); // and the page is in no TLB
        a.lock().not_(x86::dword_ptr(x86::rbx, 1));
        a.inc(x86::rcx);
        a.jmp(loop);
    };
    compare(program, 1000, 5);
}

// A line is armed in a page that translated code has written directly before: its stores must be seen from the next one on.
TEST(Translator, StoresTriggerMonitoring) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), skip = a.newLabel();
        a.mov(x86::rsi, data);
        a.xor_(x86::ecx, x86::ecx);
        a.xor_(x86::edx, x86::edx);
        a.bind(loop);
        a.mov(x86::qword_ptr(x86::rsi, 0x200), x86::r8);
        a.mov(x86::qword_ptr(x86::rsi, 0x208), x86::r8);
        a.mov(x86::rax, x86::rsi);
        a.test(x86::r8d, 0x40);
        a.jz(skip);
        a.monitor();
        a.mov(x86::qword_ptr(x86::rsi, 0x200), x86::rdx);
        a.inc(x86::dword_ptr(x86::rsi, 0x20));
        a.mwait();
        a.bind(skip);
        a.inc(x86::r8);
        a.jmp(loop);
    };
    for (const u64 slice : {1, 3, 7, 100, 10'000})
        compare(program, slice, slice < 1000 ? 20'000 / slice : 5);
}
