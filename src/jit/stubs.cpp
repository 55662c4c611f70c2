// SPDX-License-Identifier: Apache-2.0
// The stubs' code.
#include "jit/stubs.h"

#include "x86/cpu.h"

namespace vitrine::jit {

namespace {

using host::Assembler;

void load_registers(Assembler& a, const TranslatedAccess::Layout& layout) {
    for (unsigned n = 0; n < 16; ++n)
        if (pinned[n] != no_host)
            a.mov(host::gpq(pinned[n]), host::qword_ptr(state, at_gpr(8 * n)));
    a.mov(tags, host::qword_ptr(state, layout.tags));
}

void store_registers(Assembler& a) {
    for (unsigned n = 0; n < 16; ++n)
        if (pinned[n] != no_host)
            a.mov(host::qword_ptr(state, at_gpr(8 * n)), host::gpq(pinned[n]));
}

const void* handle(State* state, Block* block, unsigned k) {
    return TranslatedAccess::handle(*static_cast<Cpu*>(state), *block, k & ~(slow_way | wants_quiet), k & slow_way, k & wants_quiet);
}

constexpr host::Gp saved[] = {host::rbx, host::rbp, host::r12, host::r13, host::r14, host::r15};

} // namespace

StubOffsets write_stubs(Assembler& a, const TranslatedAccess::Layout& layout) {
    StubOffsets at{};
    const asmjit::Label out = a.newLabel(), ends = a.newLabel(), elsewhere = a.newLabel();

    at.enter = a.offset();
    for (const host::Gp& r : saved)
        a.push(r);
    a.sub(host::rsp, 8);
    a.mov(host::dword_ptr(host::rsp), mxcsr_initial); // the host's own; translated code finds it there
    a.mov(state, host::rdi);
    a.mov(t1, host::rsi);
    load_registers(a, layout);
    a.jmp(t1);

    a.align(asmjit::AlignMode::kCode, 16);
    at.leave = a.offset();
    const auto run = [&](std::size_t member) { return host::qword_ptr(state, layout.run + static_cast<i32>(member)); };
    a.mov(run(offsetof(TranslatedRun, kept)), host::rdx);
    a.mov(run(offsetof(TranslatedRun, edge)), host::rax);
    a.mov(run(offsetof(TranslatedRun, block)), address);
    store_registers(a);
    a.bind(out);
    a.add(host::rsp, 8);
    for (unsigned n = std::size(saved); n-- > 0;)
        a.pop(saved[n]);
    a.ret();

    a.align(asmjit::AlignMode::kCode, 16);
    at.handle = a.offset();
    store_registers(a);
    a.sub(host::rsp, 8);
    a.mov(host::rdi, state);
    a.mov(host::rsi, address);
    a.mov(host::edx, host::eax);
    a.mov(host::rax, reinterpret_cast<u64>(&handle));
    a.call(host::rax);
    a.add(host::rsp, 8);
    a.cmp(host::rax, reinterpret_cast<u64>(TranslatedAccess::follows));
    a.jb(ends);
    a.ja(elsewhere);
    load_registers(a, layout);
    a.ret();
    a.bind(elsewhere);
    a.add(host::rsp, 8); // nobody returns to this block
    load_registers(a, layout);
    a.jmp(host::rax);
    a.bind(ends);
    a.add(host::rsp, 8); // nobody returns to the block
    a.jmp(out);
    return at;
}

void write_page_link(Assembler& a, const TranslatedAccess::Layout& layout, i64 target_page, u64 host_page, const void* code, const void* exit) {
    const host::Mem page = host::qword_ptr(state, layout.run + static_cast<i32>(offsetof(TranslatedRun, page)));
    const asmjit::Label elsewhere = a.newLabel();
    a.mov(address, page);
    a.add(address, static_cast<i32>(target_page));
    a.mov(host::eax, host::gpd(address.id()));
    a.shr(host::eax, tag_shift);
    a.and_(host::eax, tag_mask);
    a.cmp(address, host::qword_ptr(tags, t1, 0, offsetof(TlbTags, exec)));
    a.jne(elsewhere);
    a.mov(t2, host::qword_ptr(tags, t1, 0, offsetof(TlbTags, addend)));
    a.add(t2, address);
    a.mov(t1, host_page);
    a.cmp(t1, t2);
    a.jne(elsewhere);
    a.mov(page, address);
    a.jmp(asmjit::imm(code));
    a.bind(elsewhere);
    a.jmp(asmjit::imm(exit));
}

} // namespace vitrine::jit
