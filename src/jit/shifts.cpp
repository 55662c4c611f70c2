// SPDX-License-Identifier: Apache-2.0
// Shifts and rotates. Hosts differ in OF for counts above one and in AF; where somebody may look, the interpreter's rule is computed:
// OF is what the first step of one bit would leave, AF is clear.
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

namespace I = host::Inst;

enum class Kind { left, right, arithmetic };

unsigned masked(const Source& s, unsigned size) { return static_cast<unsigned>(s.insn->immediate) & (size == 8 ? 63 : 31); }

bool by_cl(const Source& s) { return s.is_register(1); }

bool accepts_shift(Source& s) {
    if (!general(s))
        return false;
    if (by_cl(s)) {
        // A count of zero keeps the flags. Where nobody looks at them it does not matter what there is.
        s.kills = no_flags;
        s.keeps_some = true;
        return s.size(0) >= 4;
    }
    const unsigned n = masked(s, s.size(0));
    s.kills = n == 0 ? no_flags : all_flags;
    return n < 8 * s.size(0) && !(s.is_register(0) && s.reg(0) % 8);
}

/// OF of the first step, as a byte in t2.
template <Kind kind> void overflow(Emitter& e, const host::Gp& value, unsigned size) {
    if (kind == Kind::arithmetic)
        return;
    if (size < 4) {
        e.a.movzx(host::edx, value);
        if (kind == Kind::right) {
            e.a.shr(host::edx, 8 * size - 1);
        } else { // the two top bits as a number: they differ in 1 and 2
            e.a.shr(host::edx, 8 * size - 2);
            e.a.inc(host::edx);
            e.a.shr(host::edx, 1);
            e.a.and_(host::edx, 1);
        }
        return;
    }
    e.a.mov(sized(t2, size), value);
    if (kind == Kind::left) {
        e.a.add(sized(t2, size), sized(t2, size));
        e.a.xor_(sized(t2, size), value);
    }
    e.a.shr(sized(t2, size), 8 * size - 1);
}

/// What the host's shift has left, AF clear, with OF out of t2 or clear. The value may be in t1, and is there afterwards.
void store_flags(Emitter& e, const host::Gp& value, bool overflow_in_t2) {
    const bool in_t1 = value.id() == t1.id();
    if (in_t1)
        e.a.mov(address, t1);
    e.a.lahf();
    e.a.and_(host::eax, 0xef00);
    if (overflow_in_t2)
        e.a.or_(host::eax, host::edx);
    e.a.mov(host::word_ptr(state, at_status), host::ax);
    if (in_t1)
        e.a.mov(t1, address);
}

template <asmjit::InstId id, Kind kind> void shift_value(Emitter& e, const Source& s, const host::Gp& value, bool live) {
    const unsigned size = s.size(0);
    const bool cl = by_cl(s);
    const unsigned n = cl ? 0 : masked(s, size);
    const auto do_it = [&] {
        if (cl)
            e.a.emit(id, value, host::cl);
        else
            e.a.emit(id, value, asmjit::imm(n));
    };
    if (!cl && n == 0) {
        if (size == 4)
            e.a.mov(value, value);
        return;
    }
    if (!live) {
        if (cl && size == 4)
            e.a.mov(value, value);
        if (s.deferred)
            e.a.mov(e.run_field(offsetof(TranslatedRun, kept) + 8), host::gpq(value.id()));
        do_it();
        e.flags_dead();
        return;
    }
    const asmjit::Label done = e.a.newLabel();
    if (cl) { // the flags from before are home already
        if (size == 4)
            e.a.mov(value, value); // a count of zero writes too
        e.a.test(host::cl, size == 8 ? 63 : 31);
        e.a.jz(done);
    }
    overflow<kind>(e, value, size);
    do_it();
    store_flags(e, value, kind != Kind::arithmetic);
    e.a.bind(done);
    e.flags_stored();
}

template <asmjit::InstId id, Kind kind> void shift(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0)) {
        const host::Mem at = e.memory(s, size, true);
        // Through a register that no rule above needs: r13 holds the address, so the value comes and goes through kept space.
        e.a.mov(e.run_field(offsetof(TranslatedRun, kept)), address);
        e.a.mov(sized(t1, size), at);
        shift_value<id, kind>(e, s, sized(t1, size), s.live);
        e.a.mov(address, e.run_field(offsetof(TranslatedRun, kept)));
        e.a.mov(at, sized(t1, size));
        return;
    }
    const u16 to = s.reg(0);
    if (s.live && by_cl(s))
        e.clobber_flags(); // before the value comes to t1
    const host::Gp value = e.change(to, size, t1);
    shift_value<id, kind>(e, s, value, s.live);
    e.finish(to, size, value);
}

/// The operand from before was kept.
template <asmjit::InstId id, Kind kind> void shift_again(Emitter& e, const Source& s) {
    e.a.mov(t1, e.run_field(offsetof(TranslatedRun, kept) + 8));
    shift_value<id, kind>(e, s, sized(t1, s.size(0)), true);
}

u32 shift_inputs(const Source& s) { return by_cl(s) ? cannot_defer : 0; }

// ---- rotates --------------------------------------------------------------------------------------------------------

/// Only where nobody looks at the flags, or by one: those are the same on every host.
bool accepts_rotate(Source& s) {
    s.kills = no_flags;
    s.keeps_some = true;
    return general(s) && s.is_register(0) && s.size(0) >= 2;
}

template <asmjit::InstId id, bool left> void rotate(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const bool cl = by_cl(s);
    const unsigned n = masked(s, size);
    if (s.live && (cl || n != 0))
        e.clobber_flags(); // before the value comes to t1; CF and OF change, the others stay in memory
    const host::Gp value = e.change(to, size, t1);
    if (!cl && n == 0) {
        if (size == 4)
            e.a.mov(value, value);
        e.finish(to, size, value);
        return;
    }
    if (!s.live) {
        if (cl) {
            if (size == 4)
                e.a.mov(value, value);
            e.a.emit(id, value, host::cl);
        } else {
            e.a.emit(id, value, asmjit::imm(n));
        }
        e.flags_dead();
        e.finish(to, size, value);
        return;
    }
    if (value.id() == t1.id())
        e.a.mov(address, t1);
    const host::Gp work = value.id() == t1.id() ? sized(address, size) : value;
    const asmjit::Label done = e.a.newLabel();
    const bool sets_overflow = cl || n == 1;
    if (cl) {
        if (size == 4)
            e.a.mov(work, work);
        e.a.test(host::cl, size == 8 ? 63 : 31);
        e.a.jz(done);
    }
    if (sets_overflow) { // of the first step: left: the two top bits differ; right: top and bottom bit differ
        e.a.mov(sized(t2, size), work);
        if (left) {
            e.a.add(sized(t2, size), sized(t2, size));
            e.a.xor_(sized(t2, size), work);
            if (size == 2)
                e.a.movzx(host::edx, host::dx);
            e.a.shr(sized(t2, size < 4 ? 4 : size), 8 * size - 1);
        } else {
            if (size == 2)
                e.a.movzx(host::edx, host::dx);
            e.a.mov(t1, t2);
            e.a.shr(sized(t2, size < 4 ? 4 : size), 8 * size - 1);
            e.a.xor_(host::edx, host::eax);
            e.a.and_(host::edx, 1);
        }
    }
    if (cl)
        e.a.emit(id, work, host::cl);
    else
        e.a.emit(id, work, asmjit::imm(n));
    e.a.setc(host::al);
    e.a.movzx(host::eax, host::al);
    e.a.shl(host::eax, 8);
    if (sets_overflow)
        e.a.or_(host::eax, host::edx);
    e.a.movzx(host::edx, host::word_ptr(state, at_status));
    e.a.and_(host::edx, sets_overflow ? 0xfefe : 0xfeff);
    e.a.or_(host::eax, host::edx);
    e.a.mov(host::word_ptr(state, at_status), host::ax);
    e.a.bind(done);
    e.flags_stored();
    if (!Emitter::at_home(to)) {
        if (size == 4)
            e.a.mov(host::eax, work);
        else
            e.a.mov(t1, host::gpq(work.id()));
        e.write(to, size, t1);
    }
}

// ---- double shifts --------------------------------------------------------------------------------------------------

bool accepts_double(Source& s) {
    if (!general(s) || !s.is_register(0) || s.size(0) < 4)
        return false;
    const bool cl = s.is_register(2);
    s.kills = cl || masked(s, s.size(0)) == 0 ? no_flags : all_flags;
    s.keeps_some = cl;
    return true;
}

template <asmjit::InstId id, bool left> void double_shift(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const bool cl = s.is_register(2);
    const unsigned n = masked(s, size);
    if (s.live && cl)
        e.clobber_flags(); // before the value comes to t1
    const host::Gp value = e.change(to, size, t1), source = e.read(s.reg(1), size, address);
    const auto do_it = [&] {
        if (cl)
            e.a.emit(id, value, source, host::cl);
        else
            e.a.emit(id, value, source, asmjit::imm(n));
    };
    if (size == 4 && (cl || n == 0))
        e.a.mov(value, value); // a count of zero writes too
    if (!cl && n == 0) {
        e.finish(to, size, value);
        return;
    }
    if (!s.live) {
        do_it();
        e.flags_dead();
        e.finish(to, size, value);
        return;
    }
    const asmjit::Label done = e.a.newLabel();
    if (cl) {
        e.a.test(host::cl, size == 8 ? 63 : 31);
        e.a.jz(done);
    }
    if (left) {
        overflow<Kind::left>(e, value, size);
    } else { // the first step brings in the source's lowest bit
        e.a.mov(sized(t2, size), value);
        e.a.shr(sized(t2, size), 8 * size - 1);
        e.a.xor_(host::edx, sized(source, 4));
        e.a.and_(host::edx, 1);
    }
    do_it();
    store_flags(e, value, true);
    e.a.bind(done);
    e.flags_stored();
    e.finish(to, size, value);
}

// ---- BMI2: flags stay -----------------------------------------------------------------------------------------------

bool accepts_flagless(Source& s) { return general(s) && s.size(0) >= 4; }

template <asmjit::InstId id> void flagless(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    const host::Gp value = Emitter::at_home(to) ? gp(pinned[to / 8], size) : sized(t1, size);
    const auto count = [&]() -> asmjit::Operand {
        if (s.is_immediate(2))
            return asmjit::imm(s.insn->immediate & 0xff);
        return e.read(s.reg(2), size, t1);
    };
    if (s.is_memory(1)) {
        const host::Mem from = e.memory(s, size, false);
        e.a.emit(id, value, from, count());
    } else {
        const host::Gp from = e.read(s.reg(1), size, t2);
        e.a.emit(id, value, from, count());
    }
    e.finish(to, size, value);
}

} // namespace

std::span<const Operation> shift_operations() {
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_SHL, accepts_shift, shift<I::kIdShl, Kind::left>, no_flags, no_flags, shift_again<I::kIdShl, Kind::left>,
         shift_inputs},
        {ZYDIS_MNEMONIC_SHR, accepts_shift, shift<I::kIdShr, Kind::right>, no_flags, no_flags, shift_again<I::kIdShr, Kind::right>,
         shift_inputs},
        {ZYDIS_MNEMONIC_SAR, accepts_shift, shift<I::kIdSar, Kind::arithmetic>, no_flags, no_flags, shift_again<I::kIdSar, Kind::arithmetic>,
         shift_inputs},
        {ZYDIS_MNEMONIC_ROL, accepts_rotate, rotate<I::kIdRol, true>},
        {ZYDIS_MNEMONIC_ROR, accepts_rotate, rotate<I::kIdRor, false>},
        {ZYDIS_MNEMONIC_SHLD, accepts_double, double_shift<I::kIdShld, true>},
        {ZYDIS_MNEMONIC_SHRD, accepts_double, double_shift<I::kIdShrd, false>},
        {ZYDIS_MNEMONIC_RORX, accepts_flagless, flagless<I::kIdRorx>},
        {ZYDIS_MNEMONIC_SARX, accepts_flagless, flagless<I::kIdSarx>},
        {ZYDIS_MNEMONIC_SHLX, accepts_flagless, flagless<I::kIdShlx>},
        {ZYDIS_MNEMONIC_SHRX, accepts_flagless, flagless<I::kIdShrx>},
    };
    return rows;
}

} // namespace vitrine::jit
