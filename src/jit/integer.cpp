// SPDX-License-Identifier: Apache-2.0
// Moves, extensions, LEA, addition to logic, the one-operand group, CMOVcc, SETcc, the stack, and what does nothing.
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

namespace I = host::Inst;

bool accepts_general(Source& s) { return general(s); }

/// Whether an immediate fits where the host wants one.
bool small(u64 value) { return static_cast<i64>(value) == static_cast<i32>(value); }

asmjit::Imm immediate(const Source& s, unsigned size) {
    const u64 v = s.insn->immediate;
    switch (size) {
    case 1: return asmjit::imm(static_cast<i8>(v));
    case 2: return asmjit::imm(static_cast<i16>(v));
    case 4: return asmjit::imm(static_cast<i32>(v));
    default: return asmjit::imm(static_cast<i64>(v));
    }
}

// ---- MOV ------------------------------------------------------------------------------------------------------------

bool accepts_mov(Source& s) {
    if (!general(s))
        return false;
    return !s.is_memory(0) || !s.is_immediate(1) || s.size(0) < 8 || small(s.insn->immediate);
}

void mov(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0)) {
        const host::Mem to = e.memory(s, size, true);
        if (s.is_immediate(1))
            e.a.mov(to, immediate(s, size));
        else
            e.a.mov(to, e.read(s.reg(1), size, t1));
        return;
    }
    const u16 to = s.reg(0);
    if (s.is_memory(1)) {
        const host::Mem from = e.memory(s, size, false);
        if (Emitter::at_home(to)) {
            e.a.mov(gp(pinned[to / 8], size), from);
        } else {
            e.a.mov(sized(t1, size), from);
            e.write(to, size, t1);
        }
    } else if (s.is_register(1)) {
        e.write(to, size, e.read(s.reg(1), size, t1));
    } else if (Emitter::at_home(to)) {
        e.a.mov(gp(pinned[to / 8], size), immediate(s, size));
    } else {
        e.a.mov(sized(t1, size), immediate(s, size));
        e.write(to, size, t1);
    }
}

template <bool is_signed> void extend(Emitter& e, const Source& s) {
    const unsigned to_size = s.size(0), from_size = std::min(s.size(1), to_size);
    const u16 to = s.reg(0);
    const host::Gp result = Emitter::at_home(to) ? gp(pinned[to / 8], to_size) : sized(t1, to_size);
    const auto id = from_size == to_size            ? asmjit::InstId{I::kIdMov}
                    : !is_signed                    ? asmjit::InstId{I::kIdMovzx}
                    : from_size == 4                ? asmjit::InstId{I::kIdMovsxd}
                                                    : asmjit::InstId{I::kIdMovsx};
    if (s.is_memory(1))
        e.a.emit(id, result, e.memory(s, from_size, false));
    else
        e.a.emit(id, result, e.read(s.reg(1), from_size, t1));
    e.finish(to, to_size, result);
}

/// Where the address has 32 bits, so has what is kept of it.
bool accepts_lea(Source& s) { return s.info.operand_width >= 32 && (s.insn->address_mask == ~0ull || (reachable(s) && s.size(0) == 4)); }

void lea(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const u8 home = pinned[to / 8];
    const bool index_lost = s.insn->index != zero_register && pinned[s.insn->index] == home; // before it is looked at
    if (home != no_host && size >= 4 && !(index_lost && (s.insn->base >= 16 || pinned[s.insn->base] == no_host))) {
        e.offset_into(s, host::gpq(home));
        if (size == 4)
            e.a.mov(host::gpd(home), host::gpd(home));
        return;
    }
    e.offset_into(s, address);
    e.write(to, size, address);
}

// ---- two operands ---------------------------------------------------------------------------------------------------

/// AF after logic is open in the manual; the interpreter leaves it clear, and so does every host known to us. Asked once all the same.
bool logic_clears_af() {
    static const bool clears = [] {
        u16 and_, or_, xor_, test_;
        // AF is set by 15 + 1 each time.
        asm("mov $15, %%ecx\n\tadd $1, %%cl\n\tmov $3, %%ecx\n\tand $1, %%ecx\n\tlahf\n\tmov %%ax, %0" : "=r"(and_) : : "eax", "ecx", "cc");
        asm("mov $15, %%ecx\n\tadd $1, %%cl\n\tmov $3, %%ecx\n\tor $1, %%ecx\n\tlahf\n\tmov %%ax, %0" : "=r"(or_) : : "eax", "ecx", "cc");
        asm("mov $15, %%ecx\n\tadd $1, %%cl\n\tmov $3, %%ecx\n\txor $1, %%ecx\n\tlahf\n\tmov %%ax, %0" : "=r"(xor_) : : "eax", "ecx", "cc");
        asm("mov $15, %%ecx\n\tadd $1, %%cl\n\tmov $3, %%ecx\n\ttest $1, %%ecx\n\tlahf\n\tmov %%ax, %0" : "=r"(test_) : : "eax", "ecx", "cc");
        return !((and_ | or_ | xor_ | test_) & (af << 8));
    }();
    return clears;
}

template <asmjit::InstId id> constexpr bool logic = id == I::kIdAnd || id == I::kIdOr || id == I::kIdXor || id == I::kIdTest;

template <asmjit::InstId id, bool writes, bool carry_in> void two(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0)) {
        const host::Mem to = e.memory(s, size, writes);
        if (carry_in)
            e.need_flags(cf);
        if (s.is_immediate(1))
            e.a.emit(id, to, immediate(s, size));
        else
            e.a.emit(id, to, e.read(s.reg(1), size, t1));
    } else {
        const u16 to = s.reg(0);
        if (s.is_memory(1)) {
            const host::Mem from = e.memory(s, size, false);
            if (carry_in)
                e.need_flags(cf);
            const host::Gp value = e.change(to, size, t1);
            e.a.emit(id, value, from);
            if (writes)
                e.finish(to, size, value);
        } else {
            if (carry_in)
                e.need_flags(cf);
            const host::Gp value = e.change(to, size, t1);
            if (s.is_immediate(1))
                e.a.emit(id, value, immediate(s, size));
            else
                e.a.emit(id, value, e.read(s.reg(1), size, t2));
            if (writes)
                e.finish(to, size, value);
        }
    }
    e.flags_made();
    if (logic<id> && (s.live & af) && !logic_clears_af())
        e.store_flags(af);
}

bool accepts_two(Source& s) { return general(s) && (!s.is_immediate(1) || s.size(0) < 8 || small(s.insn->immediate)); }

// ---- flags made again -------------------------------------------------------------------------------------------------

/// Both operands are needed, but for logic, where the result says everything.
template <asmjit::InstId id> u32 inputs_of_two(const Source& s) {
    if (!s.is_register(0) || s.reg(0) % 8)
        return cannot_defer;
    const u32 first = 1u << (s.reg(0) / 8);
    constexpr bool by_result = id == I::kIdAnd || id == I::kIdOr || id == I::kIdXor;
    if (by_result)
        return first;
    if (s.is_immediate(1))
        return first;
    if (!s.is_register(1) || s.reg(1) % 8)
        return cannot_defer;
    const bool same = s.reg(0) == s.reg(1);
    if (same && (id == I::kIdAdd || id == I::kIdSub)) // the operand is gone
        return cannot_defer;
    return first | 1u << (s.reg(1) / 8);
}

template <asmjit::InstId id> void two_again(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (id == I::kIdXor && s.is_register(1) && s.reg(0) == s.reg(1)) {
        e.a.mov(host::word_ptr(state, at_status), 0x4600);
        return;
    }
    const host::Gp first = e.read(s.reg(0), size, t1);
    if (first.id() != t1.id())
        e.a.mov(t1, host::gpq(first.id()));
    const host::Gp value = sized(t1, size);
    if (id == I::kIdAnd || id == I::kIdOr || id == I::kIdXor) {
        e.a.test(value, value);
    } else {
        asmjit::Operand second = immediate(s, size);
        if (s.is_register(1))
            second = e.read(s.reg(1), size, t2);
        if (id == I::kIdAdd)
            e.a.emit(I::kIdSub, value, second);
        if (id == I::kIdSub)
            e.a.emit(I::kIdAdd, value, second);
        e.a.emit(id, value, second);
    }
    if (logic<id> && !logic_clears_af())
        e.store_flags(af);
    else
        e.store_flags(no_flags);
}

template <asmjit::InstId id, u16 makes, u16 keeps> void one(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0)) {
        const host::Mem to = e.memory(s, size, true);
        if (keeps & s.live)
            e.need_flags(keeps);
        e.a.emit(id, to);
    } else {
        if (makes && (keeps & s.live))
            e.need_flags(keeps);
        const host::Gp value = e.change(s.reg(0), size, t1);
        e.a.emit(id, value);
        e.finish(s.reg(0), size, value);
    }
    if (makes)
        e.flags_made(keeps & s.live ? makes | keeps : makes);
}

// ---- conditions -----------------------------------------------------------------------------------------------------

bool accepts_condition(Source& s) {
    s.reads = flags_of_condition(s.insn->condition);
    return general(s);
}

void cmov(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const u16 wanted = flags_of_condition(s.insn->condition);
    static constexpr asmjit::InstId moves[16] = {I::kIdCmovo, I::kIdCmovno, I::kIdCmovb, I::kIdCmovnb, I::kIdCmovz, I::kIdCmovnz,
                                                 I::kIdCmovbe, I::kIdCmovnbe, I::kIdCmovs, I::kIdCmovns, I::kIdCmovp, I::kIdCmovnp,
                                                 I::kIdCmovl, I::kIdCmovnl, I::kIdCmovle, I::kIdCmovnle};
    const asmjit::InstId move = moves[s.insn->condition];
    if (s.is_memory(1)) {
        const host::Mem from = e.memory(s, size, false);
        e.need_flags(wanted);
        const host::Gp value = e.change(to, size, t1);
        e.a.emit(move, value, from);
        e.finish(to, size, value);
    } else {
        e.need_flags(wanted);
        const host::Gp value = e.change(to, size, t1);
        e.a.emit(move, value, e.read(s.reg(1), size, t2));
        e.finish(to, size, value);
    }
}

void setcc(Emitter& e, const Source& s) {
    static constexpr asmjit::InstId sets[16] = {I::kIdSeto, I::kIdSetno, I::kIdSetb, I::kIdSetnb, I::kIdSetz, I::kIdSetnz,
                                                I::kIdSetbe, I::kIdSetnbe, I::kIdSets, I::kIdSetns, I::kIdSetp, I::kIdSetnp,
                                                I::kIdSetl, I::kIdSetnl, I::kIdSetle, I::kIdSetnle};
    const asmjit::InstId set = sets[s.insn->condition];
    const u16 wanted = flags_of_condition(s.insn->condition);
    if (s.is_memory(0)) {
        const host::Mem to = e.memory(s, 1, true);
        e.need_flags(wanted);
        e.a.emit(set, to);
        return;
    }
    e.need_flags(wanted);
    const u16 to = s.reg(0);
    if (Emitter::at_home(to)) {
        e.a.emit(set, gp(pinned[to / 8], 1));
    } else {
        e.a.emit(set, host::gpb_lo(t2.id()));
        e.write(to, 1, t2);
    }
}

// ---- accumulator ----------------------------------------------------------------------------------------------------

/// CBW, CWDE, CDQE, and CWD, CDQ, CQO: the host's own, in scratch registers.
template <asmjit::InstId id, unsigned size, bool to_rdx> void accumulator(Emitter& e, const Source&) {
    e.a.mov(t1, host::gpq(pinned[rax]));
    e.a.emit(id);
    e.write(to_rdx ? 8 * rdx : 8 * rax, size, to_rdx ? t2 : t1);
}

// ---- stack ----------------------------------------------------------------------------------------------------------

constexpr u8 stack = pinned[rsp];

bool accepts_stack(Source& s) { return general(s) && s.info.operand_width == s.mode->bits; }

/// The stack pointer moves.
void move_stack(Emitter& e, const Source& s, i32 by) { e.a.lea(gp(stack, s.word()), host::ptr(host::gpq(stack), by)); }

/// The slot below the stack pointer, writable, into `address`.
void slot_below(Emitter& e, const Source& s) {
    const unsigned size = s.word();
    e.a.lea(sized(address, size), host::ptr(host::gpq(stack), -static_cast<i32>(size)));
    e.probe(size, true);
}

bool accepts_pop(Source& s) { return accepts_stack(s) && s.is_register(0); }

void push(Emitter& e, const Source& s) {
    const unsigned size = s.word();
    if (s.grouped) {
        const host::Mem to = Emitter::grouped(s, 8);
        if (s.is_immediate(0))
            e.a.mov(to, asmjit::imm(static_cast<i64>(s.insn->immediate)));
        else
            e.a.mov(to, e.read(s.reg(0), 8, t1));
        e.a.lea(host::gpq(stack), host::ptr(host::gpq(stack), -8));
        return;
    }
    if (s.is_memory(0)) {
        e.a.mov(sized(t2, size), e.memory(s, size, false));
        e.a.mov(e.run_field(offsetof(TranslatedRun, kept)), t2);
    } else {
        e.clobber_flags();
    }
    slot_below(e, s);
    const host::Mem to = host::ptr(address, 0, size);
    if (s.is_memory(0)) {
        e.a.mov(t1, e.run_field(offsetof(TranslatedRun, kept)));
        e.a.mov(to, sized(t1, size));
    } else if (s.is_immediate(0)) {
        e.a.mov(to, immediate(s, size));
    } else {
        e.a.mov(to, e.read(s.reg(0), size, t1));
    }
    move_stack(e, s, -static_cast<i32>(size));
}

void pop(Emitter& e, const Source& s) {
    if (s.grouped) {
        const u16 to = s.reg(0);
        const host::Gp value = Emitter::at_home(to) ? host::gpq(pinned[to / 8]) : t1;
        e.a.mov(value, Emitter::grouped(s, 8));
        e.a.lea(host::gpq(stack), host::ptr(host::gpq(stack), 8));
        e.finish(to, 8, value);
        return;
    }
    const unsigned size = s.word();
    e.clobber_flags();
    e.a.mov(sized(address, size), gp(stack, size));
    e.probe(size, false);
    e.a.mov(sized(t1, size), host::ptr(address, 0, size));
    move_stack(e, s, static_cast<i32>(size));
    e.write(s.reg(0), size, t1);
}

bool accepts_leave(Source& s) { return s.info.operand_width == s.mode->bits; }

void leave(Emitter& e, const Source& s) {
    const unsigned size = s.word();
    e.clobber_flags();
    e.a.mov(sized(address, size), gp(pinned[rbp], size));
    e.probe(size, false);
    e.a.lea(gp(stack, size), host::ptr(host::gpq(pinned[rbp]), static_cast<i32>(size)));
    e.a.mov(gp(pinned[rbp], size), host::ptr(address, 0, size));
}

// ---- flags by name, and nothing ---------------------------------------------------------------------------------------

void cld(Emitter& e, const Source&) {
    e.clobber_flags();
    e.a.and_(host::qword_ptr(state, at_flags), ~static_cast<i32>(rflags::df));
}

void nothing(Emitter&, const Source&) {}

template <ZydisMnemonic m> constexpr Operation idle{m, nullptr, nothing, no_flags, no_flags};

} // namespace

std::span<const Operation> integer_operations() {
    constexpr u16 but_carry = all_flags & ~cf;
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_MOV, accepts_mov, mov},
        {ZYDIS_MNEMONIC_MOVNTI, accepts_mov, mov},
        {ZYDIS_MNEMONIC_MOVZX, accepts_general, extend<false>},
        {ZYDIS_MNEMONIC_MOVSX, accepts_general, extend<true>},
        {ZYDIS_MNEMONIC_MOVSXD, accepts_general, extend<true>},
        {ZYDIS_MNEMONIC_LEA, accepts_lea, lea},
        {ZYDIS_MNEMONIC_ADD, accepts_two, two<I::kIdAdd, true, false>, no_flags, all_flags, two_again<I::kIdAdd>,
         inputs_of_two<I::kIdAdd>},
        {ZYDIS_MNEMONIC_SUB, accepts_two, two<I::kIdSub, true, false>, no_flags, all_flags, two_again<I::kIdSub>,
         inputs_of_two<I::kIdSub>},
        {ZYDIS_MNEMONIC_AND, accepts_two, two<I::kIdAnd, true, false>, no_flags, all_flags, two_again<I::kIdAnd>,
         inputs_of_two<I::kIdAnd>},
        {ZYDIS_MNEMONIC_OR, accepts_two, two<I::kIdOr, true, false>, no_flags, all_flags, two_again<I::kIdOr>,
         inputs_of_two<I::kIdOr>},
        {ZYDIS_MNEMONIC_XOR, accepts_two, two<I::kIdXor, true, false>, no_flags, all_flags, two_again<I::kIdXor>,
         inputs_of_two<I::kIdXor>},
        {ZYDIS_MNEMONIC_CMP, accepts_two, two<I::kIdCmp, false, false>, no_flags, all_flags, two_again<I::kIdCmp>,
         inputs_of_two<I::kIdCmp>},
        {ZYDIS_MNEMONIC_TEST, accepts_two, two<I::kIdTest, false, false>, no_flags, all_flags, two_again<I::kIdTest>,
         inputs_of_two<I::kIdTest>},
        {ZYDIS_MNEMONIC_ADC, accepts_two, two<I::kIdAdc, true, true>, cf, all_flags},
        {ZYDIS_MNEMONIC_SBB, accepts_two, two<I::kIdSbb, true, true>, cf, all_flags},
        {ZYDIS_MNEMONIC_INC, accepts_general, one<I::kIdInc, but_carry, cf>, no_flags, but_carry},
        {ZYDIS_MNEMONIC_DEC, accepts_general, one<I::kIdDec, but_carry, cf>, no_flags, but_carry},
        {ZYDIS_MNEMONIC_NEG, accepts_general, one<I::kIdNeg, all_flags, no_flags>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_NOT, accepts_general, one<I::kIdNot, no_flags, no_flags>},
#define VITRINE_CONDITIONS(row) \
        row(O) row(NO) row(B) row(NB) row(Z) row(NZ) row(BE) row(NBE) row(S) row(NS) row(P) row(NP) row(L) row(NL) row(LE) row(NLE)
#define VITRINE_ROW(c) {ZYDIS_MNEMONIC_CMOV##c, accepts_condition, cmov}, {ZYDIS_MNEMONIC_SET##c, accepts_condition, setcc},
        VITRINE_CONDITIONS(VITRINE_ROW)
#undef VITRINE_ROW
#undef VITRINE_CONDITIONS
        {ZYDIS_MNEMONIC_CBW, nullptr, accumulator<I::kIdCbw, 2, false>},
        {ZYDIS_MNEMONIC_CWDE, nullptr, accumulator<I::kIdCwde, 4, false>},
        {ZYDIS_MNEMONIC_CDQE, nullptr, accumulator<I::kIdCdqe, 8, false>},
        {ZYDIS_MNEMONIC_CWD, nullptr, accumulator<I::kIdCwd, 2, true>},
        {ZYDIS_MNEMONIC_CDQ, nullptr, accumulator<I::kIdCdq, 4, true>},
        {ZYDIS_MNEMONIC_CQO, nullptr, accumulator<I::kIdCqo, 8, true>},
        {ZYDIS_MNEMONIC_PUSH, accepts_stack, push},
        {ZYDIS_MNEMONIC_POP, accepts_pop, pop},
        {ZYDIS_MNEMONIC_LEAVE, accepts_leave, leave},
        {ZYDIS_MNEMONIC_CLD, nullptr, cld},
        idle<ZYDIS_MNEMONIC_NOP>,
        idle<ZYDIS_MNEMONIC_ENDBR32>,
        idle<ZYDIS_MNEMONIC_ENDBR64>,
        idle<ZYDIS_MNEMONIC_CLDEMOTE>,
        idle<ZYDIS_MNEMONIC_PREFETCH>,
        idle<ZYDIS_MNEMONIC_PREFETCHW>,
        idle<ZYDIS_MNEMONIC_PREFETCHWT1>,
        idle<ZYDIS_MNEMONIC_PREFETCHNTA>,
        idle<ZYDIS_MNEMONIC_PREFETCHT0>,
        idle<ZYDIS_MNEMONIC_PREFETCHT1>,
        idle<ZYDIS_MNEMONIC_PREFETCHT2>,
        idle<ZYDIS_MNEMONIC_LFENCE>,
        idle<ZYDIS_MNEMONIC_MFENCE>,
        idle<ZYDIS_MNEMONIC_SFENCE>,
    };
    return rows;
}

} // namespace vitrine::jit
