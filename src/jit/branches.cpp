// SPDX-License-Identifier: Apache-2.0
// JMP, Jcc, LOOP, JECXZ, JRCXZ, CALL and RET. Direct ones are joined to their followers later; indirect ones look theirs up, and where
// that fails their handler runs and the processor finds the next block.
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

/// In 32-bit code all targets lie within CS: it is flat.
bool near(Source& s) { return s.info.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR && (s.mode->bits == 64 || s.info.operand_width == 32); }

/// Targets are told from the start of the page: the binder has added the instruction's place in the block to the displacement.
i64 target(Emitter& e, const Source& s) {
    return e.offset_on_page(s) - s.insn->offset + static_cast<i64>(s.insn->immediate);
}

bool near_target(Source& s) {
    const i64 displacement = static_cast<i64>(s.insn->immediate);
    return near(s) && displacement > -(i64{1} << 31) + 8192 && displacement < (i64{1} << 31) - 8192;
}

bool accepts_jump(Source& s) {
    if (s.is_immediate(0))
        return near_target(s);
    return near(s) && general(s) && s.size(0) == s.word();
}

/// The target of an indirect branch into `address`. Whatever goes wrong later is the handler's too.
void indirect_target(Emitter& e, const Source& s) {
    if (s.is_memory(0)) {
        e.a.mov(sized(address, s.word()), e.memory(s, s.word(), false));
        return;
    }
    e.clobber_flags();
    const host::Gp from = e.read(s.reg(0), s.word(), address);
    if (from.id() != address.id())
        e.a.mov(sized(address, s.word()), from);
}

/// To the code that look_up_target() found for `address`.
void go(Emitter& e) {
    e.a.and_(address, -4096);
    e.a.mov(e.run_field(offsetof(TranslatedRun, page)), address);
    e.a.jmp(t2);
}

void jump(Emitter& e, const Source& s) {
    if (s.goes_on >= 0)
        return;
    if (s.is_immediate(0)) {
        e.clobber_flags();
        e.direct_edge(s, 1, target(e, s));
        return;
    }
    indirect_target(e, s);
    e.look_up_target();
    go(e);
}

bool accepts_jump_if(Source& s) {
    s.reads = all_flags;
    return near_target(s);
}

void jump_if_flag(Emitter& e, const Source& s) {
    e.save_flags(); // the host's stay
    e.need_flags(flags_of_condition(s.insn->condition));
    if (s.goes_on != 1)
        e.direct_edge(s, 1, target(e, s), s.insn->condition);
    if (s.goes_on != 0)
        e.direct_edge(s, 0, e.offset_on_page(s) + s.insn->length, s.goes_on < 0 ? -1 : s.insn->condition ^ 1);
}

/// By the counter, which has the width of an address. Nobody sees flags change.
template <bool counts> void jump_by_counter(Emitter& e, const Source& s) {
    const host::Gp counter = gp(pinned[rcx], s.info.address_width / 8u);
    e.clobber_flags();
    if (counts)
        e.a.lea(counter, host::ptr(host::gpq(counter.id()), -1));
    e.a.test(counter, counter);
    constexpr int zero = 4;
    e.direct_edge(s, 1, target(e, s), counts ? zero ^ 1 : zero);
    e.direct_edge(s, 0, e.offset_on_page(s) + s.insn->length);
}

bool accepts_counter(Source& s) { return s.info.address_width >= 32 && accepts_jump_if(s); }

/// Where LOOP may turn out to leave the addresses that there are, the counter must keep its value: that is the handler's.
bool accepts_loop(Source& s) {
    const i64 to = static_cast<i64>(s.block->start.page_offset() + s.insn->immediate);
    return to >= 0 && to < 4096 && accepts_counter(s);
}

void push_return_address(Emitter& e, const Source& s) {
    const unsigned size = s.word();
    e.a.lea(sized(address, size), host::ptr(host::gpq(pinned[rsp]), -static_cast<i32>(size)));
    e.probe(size, true);
    e.code_address(t1, e.offset_on_page(s) + s.insn->length);
    e.a.mov(host::ptr(address, 0, size), sized(t1, size));
    e.a.lea(gp(pinned[rsp], size), host::ptr(host::gpq(pinned[rsp]), -static_cast<i32>(size)));
}

void call(Emitter& e, const Source& s) {
    if (!s.is_immediate(0)) {
        indirect_target(e, s);
        e.look_up_target();
        e.a.mov(e.run_field(offsetof(TranslatedRun, kept)), address);
        e.a.mov(e.run_field(offsetof(TranslatedRun, kept) + 8), t2);
        push_return_address(e, s);
        e.a.mov(address, e.run_field(offsetof(TranslatedRun, kept)));
        e.a.mov(t2, e.run_field(offsetof(TranslatedRun, kept) + 8));
        go(e);
        return;
    }
    e.clobber_flags();
    const i64 to = target(e, s);
    if (!e.same_page(to)) {
        // Nothing may be pushed before the target is known to be an address at all.
        e.code_address(address, to);
        e.check_executable();
    }
    push_return_address(e, s);
    e.direct_edge(s, 1, to);
}

void ret(Emitter& e, const Source& s) {
    const unsigned size = s.word();
    e.clobber_flags();
    if (s.grouped) {
        e.a.mov(address, Emitter::grouped(s, 8));
    } else {
        e.a.mov(sized(address, size), gp(pinned[rsp], size));
        e.probe(size, false);
        e.a.mov(sized(address, size), host::ptr(address, 0, size));
    }
    e.look_up_target();
    e.a.lea(gp(pinned[rsp], size), host::ptr(host::gpq(pinned[rsp]), static_cast<i32>(size + (s.insn->immediate & 0xffff))));
    go(e);
}

bool accepts_ret(Source& s) { return near(s) && s.info.operand_width == s.mode->bits; }

} // namespace

std::span<const Operation> branch_operations() {
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_JMP, accepts_jump, jump},
        {ZYDIS_MNEMONIC_CALL, accepts_jump, call},
        {ZYDIS_MNEMONIC_RET, accepts_ret, ret},
#define VITRINE_JUMP(c) {ZYDIS_MNEMONIC_J##c, accepts_jump_if, jump_if_flag},
        VITRINE_JUMP(O) VITRINE_JUMP(NO) VITRINE_JUMP(B) VITRINE_JUMP(NB) VITRINE_JUMP(Z) VITRINE_JUMP(NZ) VITRINE_JUMP(BE)
        VITRINE_JUMP(NBE) VITRINE_JUMP(S) VITRINE_JUMP(NS) VITRINE_JUMP(P) VITRINE_JUMP(NP) VITRINE_JUMP(L) VITRINE_JUMP(NL)
        VITRINE_JUMP(LE) VITRINE_JUMP(NLE)
#undef VITRINE_JUMP
        {ZYDIS_MNEMONIC_LOOP, accepts_loop, jump_by_counter<true>},
        {ZYDIS_MNEMONIC_JECXZ, accepts_counter, jump_by_counter<false>},
        {ZYDIS_MNEMONIC_JRCXZ, accepts_counter, jump_by_counter<false>},
    };
    return rows;
}

} // namespace vitrine::jit
