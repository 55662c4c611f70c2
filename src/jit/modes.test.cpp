// SPDX-License-Identifier: Apache-2.0
// 32-bit code in both engines: the stack, calls, addresses that wrap around, FS and GS with bases and limits, segments
// that change.
#include "jit/two_engines.h"

using namespace vitrine;
using namespace vitrine::jit;
namespace x86 = asmjit::x86;

namespace {

constexpr i32 data = static_cast<i32>(BareMachine::data_at);

void narrow(Machine& m) {
    m.compatibility_mode();
}

void work(x86::Assembler& a) {
    const asmjit::Label loop = a.newLabel(), function = a.newLabel(), far = a.newLabel(), behind = a.newLabel();
    a.mov(x86::esi, data);
    a.mov(x86::edi, -16);
    a.bind(loop);
    a.add(x86::eax, 3);
    a.push(x86::eax);
    a.push(7);
    a.push(x86::dword_ptr(x86::esi, 4));
    a.call(function);
    a.pop(x86::ecx);
    a.pop(x86::ebx);
    a.pop(x86::dword_ptr(x86::esi, 8));
    a.mov(x86::ecx, x86::dword_ptr(x86::esi, x86::edi)); // below, by a sum that wraps around
    a.mov(x86::ecx, x86::dword_ptr(x86::esi, x86::edi, 2, 64));
    a.lea(x86::edx, x86::ptr(x86::esi, x86::edi, 3, 5));
    a.lea(x86::dx, x86::ptr(x86::esi, 1));
    a.inc(x86::ax);
    a.call(far);
    a.mov(x86::edx, x86::esp);
    a.call(x86::dword_ptr(x86::esi, 0x100));
    a.mov(x86::dword_ptr(x86::esi, 0x104), x86::esp);
    a.adc(x86::byte_ptr(x86::esi, 2), 1);
    a.jmp(loop);
    a.bind(function);
    a.push(x86::ebp);
    a.mov(x86::ebp, x86::esp);
    a.sub(x86::esp, 24);
    a.mov(x86::eax, x86::dword_ptr(x86::ebp, 16));
    a.imul(x86::eax, x86::dword_ptr(x86::ebp, 8), 77);
    a.mov(x86::dword_ptr(x86::ebp, -8), x86::eax);
    a.leave();
    a.ret();
    for (unsigned n = 0; n < 5000; ++n)
        a.nop();
    a.bind(far);
    a.mov(x86::dword_ptr(x86::esi, 0x100), static_cast<i32>(BareMachine::code_at));
    a.lea(x86::ebx, x86::ptr(behind));
    a.mov(x86::dword_ptr(x86::esi, 0x100), x86::ebx);
    a.ret(0);
    a.bind(behind);
    a.xadd(x86::eax, x86::ebx);
    a.cdq();
    a.bswap(x86::edx);
    a.ret();
}

} // namespace

TEST(Modes, Code32) {
    for (const u64 slice : {1, 3, 11, 1000, 60'000})
        compare(work, slice, slice < 1000 ? 20'000 / slice : 30, narrow);
}

TEST(Modes, Code32IsTranslated) {
    Machine m(true);
    narrow(m);
    m.load(work);
    m.run(1'000'000);
    EXPECT_GT(m.translator->stats().blocks, 5u);
    u64 handled = 0;
    for (const auto& h : m.translator->stats().handled)
        handled += h.always + h.slow;
    EXPECT_LT(handled, 1'000'000u / 10);
}

TEST(Modes, UpperHalvesOfRegistersAreNotSeen) {
    const auto prepare = [](Machine& m) {
        narrow(m);
        for (unsigned n = 0; n < 16; ++n)
            m.cpu.gpr[n] |= 0x1234'5678ull << 32;
    };
    for (const u64 slice : {1, 60'000})
        compare(work, slice, 20, prepare);
}

TEST(Modes, BasesAndLimitsOfFsAndGs) {
    const Program accesses = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel();
        const auto in = [](x86::SReg s, x86::Gp base, i32 at) {
            x86::Mem m = x86::dword_ptr(base, at);
            m.setSegment(s);
            return m;
        };
        a.mov(x86::esi, -4096);
        a.bind(loop);
        a.add(x86::eax, 1);
        a.mov(in(x86::gs, x86::esi, 0), x86::eax); // below the base, until the offset wraps around into the limit
        a.add(x86::ecx, in(x86::fs, x86::eax, 0));
        a.add(x86::esi, 1);
        a.jmp(loop);
    };
    // There is nobody to take #GP: both end in a shutdown at the access whose last byte lies beyond the limit.
    for (const u64 slice : {1, 7, 60'000})
        compare(accesses, slice, 30'000 / slice + 1, narrow);
}

TEST(Modes, ASegmentThatIsLoadedChangesWhatIsChecked) {
    // ES is loaded with what is not flat and back; the descriptors lie at the end of RAM.
    const auto prepare = [](Machine& m) {
        narrow(m);
        m.cpu.gdtr = {.base = 0x9000, .limit = 0xff};
        m.write<u64>(0x9000 + 0x18, 0x00cf'f300'0000'ffff); // flat data
        m.write<u64>(0x9000 + 0x20, 0x0000'f330'0000'0fff); // 4 KiB from 300000h
        for (const SegmentName s : {ss, ds, es, fs, gs})
            m.cpu.segments[s].selector = 0x18;
    };
    const Program program = [](x86::Assembler& a) {
        const asmjit::Label loop = a.newLabel(), there = a.newLabel();
        x86::Mem at = x86::dword_ptr(x86::esi, 0);
        at.setSegment(x86::es);
        a.mov(x86::edx, 0x18);
        a.mov(x86::edi, 0x20);
        a.bind(loop);
        a.mov(x86::esi, data + 8);
        a.mov(x86::es, x86::edx);
        a.add(at, 5);
        a.mov(x86::ebx, at);
        a.mov(x86::esi, 0x10);
        a.mov(x86::es, x86::edi);
        a.mov(at, x86::ebx);
        a.add(x86::eax, at);
        a.inc(x86::ecx);
        a.cmp(x86::ecx, 5000);
        a.jb(there);
        a.mov(x86::esi, 0x1000); // beyond the limit
        a.bind(there);
        a.add(x86::eax, at);
        a.jmp(loop);
    };
    for (const u64 slice : {1, 7, 60'000})
        compare(program, slice, 70'000 / slice + 1, prepare);
}
