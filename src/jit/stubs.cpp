// SPDX-License-Identifier: Apache-2.0
// The stubs' code.
#include "jit/stubs.h"

#include "x86/cpu.h"

namespace vitrine::jit {

namespace {

using host::Assembler;

host::Mem run_field(const TranslatedAccess::Layout& layout, std::size_t member, unsigned size = 8) {
    return host::ptr(state, layout.run + static_cast<i32>(member), size);
}

void load_registers(Assembler& a, const TranslatedAccess::Layout& layout) {
    for (unsigned n = 0; n < 16; ++n)
        if (pinned[n] != no_host)
            a.mov(host::gpq(pinned[n]), host::qword_ptr(state, at_gpr(8 * n)));
    a.mov(tags, host::qword_ptr(state, layout.tags));
    a.mov(left, run_field(layout, offsetof(TranslatedRun, left)));
}

void store_registers(Assembler& a, const TranslatedAccess::Layout& layout) {
    for (unsigned n = 0; n < 16; ++n)
        if (pinned[n] != no_host)
            a.mov(host::qword_ptr(state, at_gpr(8 * n)), host::gpq(pinned[n]));
    a.mov(run_field(layout, offsetof(TranslatedRun, left)), left);
}

void move_vectors(Assembler& a, unsigned bytes, bool to_state) {
    for (unsigned n = 0; n < 16; ++n) {
        const host::Mem m = host::ptr(state, at_vector(n));
        const host::Vec r = bytes == 16 ? host::Vec(host::xmm(n)) : bytes == 32 ? host::Vec(host::ymm(n)) : host::Vec(host::zmm(n));
        if (to_state)
            a.emit(host::Inst::kIdVmovups, m, r);
        else
            a.emit(host::Inst::kIdVmovups, r, m);
    }
}

/// The guest's vector registers into the host's, `bytes` of each. When nothing is in the upper halves they are left clean: on some hosts
/// legacy SSE is slow beside anything else.
void write_enter_vectors(Assembler& a, const TranslatedAccess::Layout& layout, unsigned bytes) {
    const asmjit::Label all = a.newLabel(), done = a.newLabel();
    if (bytes == 32) {
        a.vzeroupper();
        a.vmovups(host::xmm0, host::ptr(state, at_vector(0) + 16));
        for (unsigned n = 1; n < 16; ++n)
            a.vorps(host::xmm0, host::xmm0, host::ptr(state, at_vector(n) + 16));
        a.vptest(host::xmm0, host::xmm0);
        a.jnz(all);
        move_vectors(a, 16, false);
        a.jmp(done);
        a.bind(all);
    }
    move_vectors(a, bytes, false);
    a.bind(done);
    a.ldmxcsr(host::dword_ptr(state, at_mxcsr));
    a.mov(run_field(layout, offsetof(TranslatedRun, vectors)), bytes);
}

/// The other way, if they are there.
void write_leave_vectors(Assembler& a, const TranslatedAccess::Layout& layout, bool wide) {
    const asmjit::Label done = a.newLabel(), narrow = a.newLabel(), stored = a.newLabel();
    const host::Mem vectors = run_field(layout, offsetof(TranslatedRun, vectors));
    a.cmp(vectors, 0);
    a.je(done);
    a.stmxcsr(host::dword_ptr(state, at_mxcsr));
    a.ldmxcsr(run_field(layout, offsetof(TranslatedRun, host_mxcsr), 4));
    if (wide) {
        a.cmp(vectors, 64);
        a.jne(narrow);
        move_vectors(a, 64, true);
        a.jmp(stored);
    }
    a.bind(narrow);
    move_vectors(a, 32, true);
    a.bind(stored);
    a.vzeroupper();
    a.mov(vectors, 0);
    a.bind(done);
}

/// By the tag of the address and the table of blocks; what is found is a target from then on.
void write_look_up(Assembler& a, const TranslatedAccess::Layout& layout) {
    const asmjit::Label unknown = a.newLabel(), nowhere = a.newLabel();
    const auto run = [&](std::size_t member) { // the return address lies in front
        host::Mem m = run_field(layout, member);
        m.addOffset(8);
        return m;
    };
    const host::Gp low = host::gpd(t1.id());
    a.rorx(low, host::gpd(address.id()), tag_shift);
    a.and_(low, tag_mask);
    a.mov(t2, address);
    a.and_(t2, -4096);
    a.cmp(t2, host::qword_ptr(tags, t1, 0, tag_exec));
    a.jne(nowhere);
    a.mov(run(offsetof(TranslatedRun, target)), address);
    a.mov(t2, host::qword_ptr(tags, t1, 0, tag_addend));
    a.add(t2, address);
    a.mov(t1, t2);
    a.shr(t1, 10);
    a.xor_(t1, t2);
    a.and_(low, 2 * (Emitter::jump_entries - 1));
    a.mov(address, run(offsetof(TranslatedRun, blocks)));
    a.cmp(t2, host::qword_ptr(address, t1, 3));
    a.jne(unknown);
    a.mov(t2, host::qword_ptr(address, t1, 3, 8));
    a.mov(address, run(offsetof(TranslatedRun, target)));
    a.rorx(low, host::gpd(address.id()), target_shift);
    a.xor_(low, host::gpd(address.id()));
    a.and_(low, target_mask);
    a.mov(host::qword_ptr(tags, t1, 3, at_targets), address);
    a.mov(host::qword_ptr(tags, t1, 3, at_targets + 8), t2);
    a.mov(host::byte_ptr(tags, at_any_targets), 1);
    a.cmp(low, low);
    a.ret();
    a.bind(unknown);
    a.mov(address, run(offsetof(TranslatedRun, target)));
    a.bind(nowhere);
    a.ret();
}

const void* handle(State* state, Block* block, unsigned k) {
    return TranslatedAccess::handle(*static_cast<Cpu*>(state), *block, k & ~(slow_way | wants_quiet), k & slow_way, k & wants_quiet);
}

constexpr host::Gp saved[] = {host::rbx, host::rbp, host::r12, host::r13, host::r14, host::r15};

} // namespace

StubOffsets write_stubs(Assembler& a, const TranslatedAccess::Layout& layout) {
    StubOffsets at{};
    const asmjit::Label out = a.newLabel(), ends = a.newLabel(), elsewhere = a.newLabel();
    const bool wide = asmjit::CpuInfo::host().features().x86().hasAVX512_F();
    const auto run = [&](std::size_t member, unsigned size = 8) { return run_field(layout, member, size); };

    at.enter = a.offset();
    for (const host::Gp& r : saved)
        a.push(r);
    a.mov(host::rax, host::rsp);
    a.mov(state, host::rdi);
    a.mov(run(offsetof(TranslatedRun, stack)), host::rax);
    a.mov(run(offsetof(TranslatedRun, host_mxcsr), 4), mxcsr_initial);
    a.mov(t1, host::rsi);
    load_registers(a, layout);
    a.jmp(t1);

    a.align(asmjit::AlignMode::kCode, 16);
    at.leave = a.offset();
    a.mov(run(offsetof(TranslatedRun, kept)), host::rdx);
    a.mov(run(offsetof(TranslatedRun, edge)), host::rax);
    a.mov(run(offsetof(TranslatedRun, departure)), address);
    store_registers(a, layout);
    write_leave_vectors(a, layout, wide);
    a.mov(host::rsp, run(offsetof(TranslatedRun, stack)));
    a.bind(out);
    for (unsigned n = std::size(saved); n-- > 0;)
        a.pop(saved[n]);
    a.ret();

    // The handler runs on the host's stack. RBX, R12 and R13, which it keeps, have been stored.
    a.align(asmjit::AlignMode::kCode, 16);
    at.handle = a.offset();
    a.pop(t2);
    store_registers(a, layout);
    a.mov(host::r12, t2);
    write_leave_vectors(a, layout, wide);
    a.mov(host::rsi, address);
    a.mov(host::edx, host::eax);
    a.mov(host::rbx, state);
    a.mov(host::rdi, state);
    a.mov(host::rax, reinterpret_cast<u64>(&handle));
    a.mov(host::rsp, run(offsetof(TranslatedRun, stack)));
    a.sub(host::rsp, 8);
    a.call(host::rax);
    a.cmp(host::rax, reinterpret_cast<u64>(TranslatedAccess::follows));
    a.jb(ends);
    a.mov(t2, host::r12);
    a.mov(state, host::rbx);
    a.ja(elsewhere);
    load_registers(a, layout);
    a.push(t2); // and not a jump: the host foresees where its returns go
    a.ret();
    a.bind(elsewhere); // nobody returns to this block
    load_registers(a, layout);
    a.jmp(host::rax);
    a.bind(ends);
    a.add(host::rsp, 8);
    a.jmp(out);

    a.align(asmjit::AlignMode::kCode, 16);
    at.enter_vectors = a.offset();
    a.pop(t2);
    write_enter_vectors(a, layout, 32);
    a.push(t2);
    a.ret();
    at.enter_wide_vectors = a.offset();
    a.pop(t2);
    write_enter_vectors(a, layout, 64);
    a.push(t2);
    a.ret();

    a.align(asmjit::AlignMode::kCode, 16);
    at.look_up = a.offset();
    write_look_up(a, layout);
    return at;
}

void write_page_link(Assembler& a, const TranslatedAccess::Layout& layout, i64 target_page, u64 host_page, const void* code, const void* exit) {
    const host::Mem page = run_field(layout, offsetof(TranslatedRun, page));
    const asmjit::Label elsewhere = a.newLabel();
    a.mov(address, page);
    a.add(address, static_cast<i32>(target_page));
    a.mov(host::eax, host::gpd(address.id()));
    a.shr(host::eax, tag_shift);
    a.and_(host::eax, tag_mask);
    a.cmp(address, host::qword_ptr(tags, t1, 0, tag_exec));
    a.jne(elsewhere);
    a.mov(t2, host::qword_ptr(tags, t1, 0, tag_addend));
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
