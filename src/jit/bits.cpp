// SPDX-License-Identifier: Apache-2.0
// BT to BTC, scans and counts, BMI, BSWAP and CRC32. Open flags follow the interpreter's rule (x86/ops/undefined_flags.h).
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

namespace I = host::Inst;

bool wide(Source& s) { return general(s) && s.size(0) >= 4; }

/// Flags that the host's instruction has made, except that `cleared` are clear.
void made_but(Emitter& e, const Source& s, u16 cleared) {
    if (!s.live)
        e.flags_dead();
    else if (s.live & cleared)
        e.store_flags(cleared);
    else
        e.flags_made(all_flags & ~cleared);
}

// ---- bit tests: only CF changes ---------------------------------------------------------------------------------------

bool accepts_test(Source& s) { return wide(s) && (!s.is_memory(0) || s.is_immediate(1)); }

/// CF into the status word; the other flags there stay.
void store_carry(Emitter& e) {
    e.a.setc(host::gpb_lo(t1.id()));
    e.a.movzx(host::eax, host::al);
    e.a.shl(host::eax, 8);
    e.a.movzx(host::edx, host::word_ptr(state, at_status));
    e.a.and_(host::edx, 0xfeff);
    e.a.or_(host::eax, host::edx);
    e.a.mov(host::word_ptr(state, at_status), host::ax);
}

template <asmjit::InstId id, bool writes> void bit_test(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const auto n = asmjit::imm(s.insn->immediate & (8 * size - 1));
    const bool only_carry = (s.live & ~cf) == 0;
    if (s.is_memory(0)) {
        const host::Mem at = e.memory(s, size, writes);
        e.a.mov(sized(t1, size), at);
        e.a.emit(id, sized(t1, size), n);
        if (writes)
            e.a.mov(at, sized(t1, size));
    } else {
        if (!only_carry)
            e.save_flags(); // the bit test may spoil what the host has
        const u16 to = s.reg(0);
        const host::Gp value = e.change(to, size, t1);
        if (s.is_immediate(1))
            e.a.emit(id, value, n);
        else
            e.a.emit(id, value, e.read(s.reg(1), size, t2));
        if (writes)
            e.finish(to, size, value);
    }
    if (only_carry && !s.is_memory(0)) {
        e.flags_made(cf);
        return;
    }
    store_carry(e);
    e.flags_stored();
}

// ---- scans ------------------------------------------------------------------------------------------------------------

template <asmjit::InstId id> void scan(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    if (s.is_memory(1))
        e.a.mov(sized(address, size), e.memory(s, size, false));
    else
        e.a.mov(sized(address, size), e.read(s.reg(1), size, t1));
    const host::Gp source = sized(address, size);
    const asmjit::Label zero = e.a.newLabel(), done = e.a.newLabel();
    e.a.test(source, source);
    e.a.jz(zero);
    e.a.emit(id, sized(t2, size), source);
    e.write(to, size, t2);
    if (s.live) {
        e.a.test(host::dl, host::dl); // PF of the index, the others clear
        e.a.lahf();
        e.a.and_(host::eax, 0x0600);
        e.a.mov(host::word_ptr(state, at_status), host::ax);
        e.a.jmp(done);
    }
    e.a.bind(zero);
    if (s.live)
        e.a.mov(host::word_ptr(state, at_status), 0x4600);
    e.a.bind(done);
    if (s.live)
        e.flags_stored();
    else
        e.flags_dead();
}

// ---- register := f(source) ----------------------------------------------------------------------------------------------

template <asmjit::InstId id, u16 cleared> void unary(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const host::Gp value = Emitter::at_home(to) ? gp(pinned[to / 8], size) : sized(t1, size);
    if (s.is_memory(1))
        e.a.emit(id, value, e.memory(s, size, false));
    else
        e.a.emit(id, value, e.read(s.reg(1), size, t2));
    e.finish(to, size, value);
    made_but(e, s, cleared);
}

// ---- register := f(first, second) ---------------------------------------------------------------------------------------

template <asmjit::InstId id, u16 cleared, bool flags> void memory_last(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const host::Gp value = Emitter::at_home(to) ? gp(pinned[to / 8], size) : sized(t1, size);
    if (s.is_memory(2)) {
        const host::Mem from = e.memory(s, size, false);
        e.a.emit(id, value, e.read(s.reg(1), size, t1), from);
    } else {
        const host::Gp first = e.read(s.reg(1), size, t1);
        e.a.emit(id, value, first, e.read(s.reg(2), size, t2));
    }
    e.finish(to, size, value);
    if (flags)
        made_but(e, s, cleared);
}

template <asmjit::InstId id, u16 cleared> void memory_middle(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const host::Gp value = Emitter::at_home(to) ? gp(pinned[to / 8], size) : sized(t1, size);
    if (s.is_memory(1)) {
        const host::Mem from = e.memory(s, size, false);
        e.a.emit(id, value, from, e.read(s.reg(2), size, t1));
    } else {
        const host::Gp first = e.read(s.reg(1), size, t1);
        e.a.emit(id, value, first, e.read(s.reg(2), size, t2));
    }
    e.finish(to, size, value);
    made_but(e, s, cleared);
}

// ---- BSWAP --------------------------------------------------------------------------------------------------------------

void bswap(Emitter& e, const Source& s) {
    const host::Gp value = e.change(s.reg(0), s.size(0), t1);
    e.a.bswap(value);
    e.finish(s.reg(0), s.size(0), value);
}

} // namespace

std::span<const Operation> bit_operations() {
    constexpr u16 counts = of | sf | af | pf;
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_BT, accepts_test, bit_test<I::kIdBt, false>, no_flags, cf},
        {ZYDIS_MNEMONIC_BTS, accepts_test, bit_test<I::kIdBts, true>, no_flags, cf},
        {ZYDIS_MNEMONIC_BTR, accepts_test, bit_test<I::kIdBtr, true>, no_flags, cf},
        {ZYDIS_MNEMONIC_BTC, accepts_test, bit_test<I::kIdBtc, true>, no_flags, cf},
        {ZYDIS_MNEMONIC_BSF, wide, scan<I::kIdBsf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BSR, wide, scan<I::kIdBsr>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_TZCNT, wide, unary<I::kIdTzcnt, counts>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_LZCNT, wide, unary<I::kIdLzcnt, counts>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_POPCNT, wide, unary<I::kIdPopcnt, no_flags>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BLSI, wide, unary<I::kIdBlsi, af | pf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BLSMSK, wide, unary<I::kIdBlsmsk, af | pf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BLSR, wide, unary<I::kIdBlsr, af | pf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_ANDN, wide, memory_last<I::kIdAndn, af | pf, true>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_PDEP, wide, memory_last<I::kIdPdep, no_flags, false>},
        {ZYDIS_MNEMONIC_PEXT, wide, memory_last<I::kIdPext, no_flags, false>},
        {ZYDIS_MNEMONIC_BEXTR, wide, memory_middle<I::kIdBextr, af | sf | pf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BZHI, wide, memory_middle<I::kIdBzhi, af | pf>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_BSWAP, wide, bswap},
    };
    return rows;
}

} // namespace vitrine::jit
