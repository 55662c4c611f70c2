// SPDX-License-Identifier: Apache-2.0
// The proof of translated blocks refuses what it should: each way in which a probe can be wrong, missing or gone around. And the memory
// that code lies in is never both writable and executable.
#include "jit/proof.h"

#include "jit/code_memory.h"
#include "jit/statistics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

using namespace vitrine;
using namespace vitrine::jit;
namespace x86 = asmjit::x86;

namespace {

/// Somewhere behind the block.
const ProofContext context{{.tags = 0x4000, .segment_base = 0x4100, .run = 0x4200, .x87_quiet = 0x4300},
                           {reinterpret_cast<const void*>(0x10'0000), reinterpret_cast<const void*>(0x10'0100),
                            reinterpret_cast<const void*>(0x10'0200), reinterpret_cast<const void*>(0x10'0300),
                            reinterpret_cast<const void*>(0x10'0400)}};

struct Code {
    asmjit::CodeHolder code;
    x86::Assembler a;
    asmjit::Label slow;

    Code() {
        code.init(asmjit::Environment::host(), 0x8000);
        code.attach(&a);
        slow = a.newLabel();
    }

    void probe(unsigned bytes, i32 tag, u32 mask = tag_mask) {
        a.rorx(x86::eax, x86::r13d, tag_shift);
        a.and_(x86::eax, mask);
        a.lea(x86::rdx, x86::ptr(x86::r13, static_cast<i32>(bytes) - 1));
        a.and_(x86::rdx, -4096);
        a.cmp(x86::rdx, x86::qword_ptr(tags, x86::rax, 0, tag));
        a.jne(slow);
        a.add(x86::r13, x86::qword_ptr(tags, x86::rax, 0, offsetof(TlbTags, addend)));
    }

    void target(u32 mask) {
        a.rorx(x86::eax, x86::r13d, target_shift);
        a.xor_(x86::eax, x86::r13d);
        a.and_(x86::eax, mask);
        a.cmp(x86::r13, x86::qword_ptr(tags, x86::rax, 3, at_targets));
        a.jne(slow);
        a.mov(x86::rdx, x86::qword_ptr(tags, x86::rax, 3, at_targets + 8));
        a.jmp(x86::rdx);
    }

    std::string judge() {
        a.jmp(asmjit::imm(0x10'0100));
        a.bind(slow);
        a.call(asmjit::imm(0x10'0000));
        a.jmp(asmjit::imm(0x10'0100));
        EXPECT_EQ(code.flatten(), asmjit::kErrorOk);
        EXPECT_EQ(code.resolveUnresolvedLinks(), asmjit::kErrorOk);
        EXPECT_EQ(code.relocateToBase(0x8000), asmjit::kErrorOk);
        std::vector<u8> bytes(code.codeSize());
        code.copyFlattenedData(bytes.data(), bytes.size());
        return disprove(bytes, 0x8000, {}, context).value_or("proven");
    }
};

constexpr i32 reading = offsetof(TlbTags, read), writing = offsetof(TlbTags, write), fetching = offsetof(TlbTags, exec);

std::string judge(const std::function<void(Code&)>& program) {
    Code b;
    program(b);
    return b.judge();
}

bool refused(const std::function<void(Code&)>& program, std::string_view why) {
    const std::string what = judge(program);
    EXPECT_NE(what.find(why), what.npos) << what;
    return what != "proven";
}

} // namespace

TEST(Proof, WhatIsProbed) {
    EXPECT_EQ(judge([](Code& b) {
                  b.a.lea(x86::r13, x86::ptr(x86::rbx, 8));
                  b.probe(8, writing);
                  b.a.mov(x86::qword_ptr(x86::r13), x86::rcx);
                  b.a.add(x86::dword_ptr(x86::r13, 4), 1);
                  b.a.mov(x86::rcx, x86::qword_ptr(x86::rsp, 8));
              }),
              "proven");
    EXPECT_EQ(judge([](Code& b) {
                  b.probe(4, writing);
                  b.a.mov(x86::qword_ptr(x86::rsp, context.layout.run + static_cast<i32>(offsetof(TranslatedRun, kept))), x86::r13);
                  b.a.mov(x86::r13, x86::rcx);
                  b.a.mov(x86::r13, x86::qword_ptr(x86::rsp, context.layout.run + static_cast<i32>(offsetof(TranslatedRun, kept))));
                  b.a.mov(x86::dword_ptr(x86::r13), x86::ecx);
              }),
              "proven");
    EXPECT_EQ(judge([](Code& b) { b.target(target_mask); }), "proven");
}

TEST(Proof, WhatIsNot) {
    EXPECT_TRUE(refused([](Code& b) { b.target(2 * target_mask); }, "not one of the targets"));
    EXPECT_TRUE(refused([](Code& b) { b.a.mov(x86::qword_ptr(x86::r13), x86::rcx); }, "more than was probed"));
    EXPECT_TRUE(refused([](Code& b) { b.a.mov(x86::rcx, x86::qword_ptr(x86::rbx)); }, "no base that is known"));
    EXPECT_TRUE(refused(
        [](Code& b) {
            b.probe(4, writing);
            b.a.mov(x86::qword_ptr(x86::r13), x86::rcx);
        },
        "more than was probed"));
    EXPECT_TRUE(refused(
        [](Code& b) {
            b.probe(8, writing);
            b.a.mov(x86::ecx, x86::dword_ptr(x86::r13, -4));
        },
        "more than was probed"));
    EXPECT_TRUE(refused(
        [](Code& b) {
            b.probe(8, reading);
            b.a.mov(x86::qword_ptr(x86::r13), x86::rcx);
        },
        "probed for reading"));
    EXPECT_TRUE(refused(
        [](Code& b) {
            b.probe(8, fetching);
            b.a.mov(x86::rcx, x86::qword_ptr(x86::r13));
        },
        "more than was probed"));
    EXPECT_TRUE(refused([](Code& b) { b.probe(8, reading, 0xfff'ffff); }, "not one of the TLB's tags"));
    EXPECT_TRUE(refused( // the address changes after the comparison
        [](Code& b) {
            b.a.rorx(x86::eax, x86::r13d, tag_shift);
            b.a.and_(x86::eax, tag_mask);
            b.a.mov(x86::rdx, x86::r13);
            b.a.and_(x86::rdx, -4096);
            b.a.cmp(x86::rdx, x86::qword_ptr(tags, x86::rax, 0, reading));
            b.a.jne(b.slow);
            b.a.inc(x86::r13);
            b.a.add(x86::r13, x86::qword_ptr(tags, x86::rax, 0, offsetof(TlbTags, addend)));
            b.a.mov(x86::cl, x86::byte_ptr(x86::r13));
        },
        "more than was probed"));
    EXPECT_TRUE(refused( // the flags are somebody else's
        [](Code& b) {
            b.a.rorx(x86::eax, x86::r13d, tag_shift);
            b.a.and_(x86::eax, tag_mask);
            b.a.mov(x86::rdx, x86::r13);
            b.a.and_(x86::rdx, -4096);
            b.a.cmp(x86::rdx, x86::qword_ptr(tags, x86::rax, 0, reading));
            b.a.test(x86::ecx, x86::ecx);
            b.a.jne(b.slow);
            b.a.add(x86::r13, x86::qword_ptr(tags, x86::rax, 0, offsetof(TlbTags, addend)));
            b.a.mov(x86::cl, x86::byte_ptr(x86::r13));
        },
        "more than was probed"));
    EXPECT_TRUE(refused( // a way around the probe
        [](Code& b) {
            const asmjit::Label around = b.a.newLabel();
            b.a.test(x86::ecx, x86::ecx);
            b.a.jz(around);
            b.probe(8, writing);
            b.a.bind(around);
            b.a.mov(x86::qword_ptr(x86::r13), x86::rcx);
        },
        "more than was probed"));
    EXPECT_TRUE(refused( // a handler came between
        [](Code& b) {
            b.probe(8, writing);
            b.a.call(asmjit::imm(0x10'0000));
            b.a.mov(x86::qword_ptr(x86::r13), x86::rcx);
        },
        "more than was probed"));
    EXPECT_TRUE(refused([](Code& b) { b.a.mov(x86::qword_ptr(x86::rsp, context.layout.tags), x86::rcx); }, "not the processor's state"));
    EXPECT_TRUE(refused([](Code& b) { b.a.mov(x86::rcx, x86::qword_ptr(x86::rsp, -8)); }, "not the processor's state"));
    EXPECT_TRUE(refused([](Code& b) { b.a.call(asmjit::imm(0x20'0000)); }, "a call of something else"));
    EXPECT_TRUE(refused([](Code& b) { b.a.jmp(asmjit::imm(0x20'0000)); }, "a branch out of the block"));
    EXPECT_TRUE(refused([](Code& b) { b.a.jmp(x86::rcx); }, "a branch to anywhere"));
    EXPECT_TRUE(refused([](Code& b) { b.a.ret(); }, "a branch"));
}

TEST(CodeMemory, IsNeverWritableWhereItRuns) {
    CodeMemory memory(least_code_cache);
    const auto rights = [](const void* at) {
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) {
            u64 from = 0, to = 0;
            char what[5] = {};
            EXPECT_EQ(std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, what), 3);
            EXPECT_FALSE(what[1] == 'w' && what[2] == 'x') << line;
            if (reinterpret_cast<u64>(at) >= from && reinterpret_cast<u64>(at) < to)
                return std::string(what);
        }
        return std::string("nothing");
    };
    EXPECT_EQ(rights(memory.next()), "r-xs");
    EXPECT_EQ(rights(memory.writable()), "rw-s");
    *memory.writable() = 0xc3;
    EXPECT_EQ(*memory.next(), 0xc3);
}
