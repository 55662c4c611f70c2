// SPDX-License-Identifier: Apache-2.0
// x87 and MMX in both engines: registers, status and pointers, masked exceptions and unmasked ones, wherever slices
// end.
#include "jit/two_engines.h"

using namespace vitrine;
using namespace vitrine::jit;
namespace x86 = asmjit::x86;

namespace {

constexpr u64 data = BareMachine::data_at;

/// A loop of arithmetic over memory that walks over pages, with comparisons, conversions and the control word.
void arithmetic(x86::Assembler& a) {
    const asmjit::Label loop = a.newLabel(), greater = a.newLabel();
    a.mov(x86::rsi, data + 0x1000 - 64);
    a.fninit();
    a.fld1();
    a.bind(loop);
    a.add(x86::rax, 3);
    a.mov(x86::qword_ptr(x86::rsi, 16), x86::rax);
    a.fild(x86::qword_ptr(x86::rsi, 16));
    a.fld(x86::st0);
    a.fsqrt();
    a.fmulp(x86::st1);
    a.fstp(x86::tword_ptr(x86::rsi, 24));
    a.fld(x86::tword_ptr(x86::rsi, 24));
    a.fadd(x86::st0, x86::st1);
    a.fcomi(x86::st1);
    a.jz(greater);
    a.fdiv(x86::st0, x86::st1);
    a.bind(greater);
    a.fcmovb(x86::st1);
    a.fnstcw(x86::word_ptr(x86::rsi));
    a.mov(x86::dx, x86::word_ptr(x86::rsi));
    a.xor_(x86::dx, 0xc00);
    a.mov(x86::word_ptr(x86::rsi, 2), x86::dx);
    a.fldcw(x86::word_ptr(x86::rsi, 2));
    a.fistp(x86::dword_ptr(x86::rsi, 4));
    a.fldcw(x86::word_ptr(x86::rsi));
    a.fnstsw(x86::ax);
    a.fnstsw(x86::word_ptr(x86::rsi, 8));
    a.and_(x86::eax, 0xff'ffff);
    a.fld1();
    a.faddp(x86::st1);
    a.fsin();
    a.add(x86::rsi, 7);
    a.and_(x86::rsi, data | 0x7fff);
    a.jmp(loop);
}

} // namespace

TEST(X87, Arithmetic) {
    for (const u64 slice : {1, 3, 11, 1000, 60'000})
        compare(arithmetic, slice, slice < 1000 ? 20'000 / slice : 30);
}

TEST(X87, ArithmeticIsTranslated) {
    Machine m(true);
    m.load(arithmetic);
    m.run(1'000'000);
    u64 handled = 0;
    for (const auto& h : m.translator->stats().handled)
        handled += h.always + h.slow;
    EXPECT_LT(handled, 1'000'000u / 100);
}

TEST(X87, TheStackOverflowsAndIsSaved) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rsi, data);
        a.fninit();
        a.bind(loop);
        a.fldpi();
        a.inc(x86::ecx);
        a.test(x86::ecx, 31);
        a.fxch(x86::st3);
        a.fstp(x86::qword_ptr(x86::rsi, 512));
        a.fldl2e();
        a.fxsave(x86::ptr(x86::rsi));
        a.fldz();
        a.fnstenv(x86::ptr(x86::rsi, 600));
        a.ffree(x86::st5);
        a.fincstp();
        a.fxrstor(x86::ptr(x86::rsi));
        a.fchs();
        a.jmp(loop);
    };
    for (const u64 slice : {1, 5, 1000, 60'000})
        compare(program, slice, slice < 1000 ? 8000 / slice : 20);
}

TEST(X87, AnUnmaskedExceptionComesAtTheNextInstruction) {
    // Masked for a while, then division by zero is not: #MF, for which there is no handler, ends both runs at the same
    // place.
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), masked = a.newLabel();
        a.mov(x86::rsi, data);
        a.fninit();
        a.mov(x86::word_ptr(x86::rsi), 0x037b);
        a.fldz();
        a.fld1();
        a.bind(loop);
        a.fld(x86::st0);
        a.fdiv(x86::st0, x86::st2);
        a.fstp(x86::tword_ptr(x86::rsi, 16));
        a.fld(x86::dword_ptr(x86::rsi, 32));
        a.fdiv(x86::st0, x86::st2);
        a.fstp(x86::st0);
        a.inc(x86::ecx);
        a.cmp(x86::ecx, 3000);
        a.jb(masked);
        a.fldcw(x86::word_ptr(x86::rsi)); // what was raised before is still there
        a.bind(masked);
        a.jmp(loop);
    };
    for (const u64 slice : {7, 60'000})
        compare(program, slice, 60'000 / slice + 1);
}

TEST(X87, UnmaskedAllTheTime) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rsi, data);
        a.fninit();
        a.mov(x86::word_ptr(x86::rsi), 0x0360); // inexact results stay masked
        a.fldcw(x86::word_ptr(x86::rsi));
        a.fld1();
        a.bind(loop);
        a.fadd(x86::dword_ptr(x86::rsi, 8));
        a.inc(x86::ecx);
        a.fld(x86::st0);
        a.fmul(x86::st0, x86::st0);
        a.fstp(x86::qword_ptr(x86::rsi, 16));
        a.jmp(loop);
    };
    for (const u64 slice : {1, 7, 60'000})
        compare(program, slice, 60'000 / slice + 1);
}

TEST(X87, MmxSharesTheRegisters) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rsi, data + 0xff0);
        a.fninit();
        a.bind(loop);
        a.movq(x86::mm0, x86::qword_ptr(x86::rsi));
        a.paddb(x86::mm1, x86::mm0);
        a.movd(x86::mm2, x86::eax);
        a.pmullw(x86::mm1, x86::mm2);
        a.pshufw(x86::mm3, x86::mm1, 0x1b);
        a.pmovmskb(x86::edx, x86::mm3);
        a.movq(x86::qword_ptr(x86::rsi, 8), x86::mm3);
        a.emms();
        a.fld1();
        a.fstp(x86::tword_ptr(x86::rsi, 16));
        a.lea(x86::eax, x86::ptr(x86::rax, x86::rdx, 1, 77));
        a.add(x86::rsi, 1);
        a.and_(x86::rsi, data | 0x3fff);
        a.jmp(loop);
    };
    for (const u64 slice : {1, 7, 60'000})
        compare(program, slice, 60'000 / slice + 1);
}

/// These have no vector register, and yet MXCSR rounds them and takes their exceptions.
TEST(X87, ConversionsFromMemoryToMmxGoByMxcsr) {
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        a.mov(x86::rsi, data);
        a.fninit();
        a.bind(loop);
        a.add(x86::dword_ptr(x86::rsi), 3);
        a.add(x86::qword_ptr(x86::rsi, 24), 7);
        a.cvtps2pi(x86::mm1, x86::qword_ptr(x86::rsi));
        a.cvttps2pi(x86::mm2, x86::qword_ptr(x86::rsi));
        a.cvtpd2pi(x86::mm3, x86::xmmword_ptr(x86::rsi, 16));
        a.paddd(x86::mm1, x86::mm3);
        a.movq(x86::qword_ptr(x86::rsi, 64), x86::mm1);
        a.jmp(loop);
    };
    const auto prepare = [](Machine& m) {
        m.cpu.fpu.mxcsr = 0x5f80; // up, everything masked
        m.write<u32>(data, 0x4020'0000);
        m.write<u32>(data + 4, 0xc4a0'1234);
        m.write<u64>(data + 16, 0x4058'cccc'cccc'cccd);
        m.write<u64>(data + 24, 0xbfe0'0000'0000'0001);
    };
    for (const u64 slice : {1, 7, 60'000})
        compare(program, slice, 60'000 / slice + 1, prepare);
}
