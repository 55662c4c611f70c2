// SPDX-License-Identifier: Apache-2.0
// MUL, IMUL, MULX, ADCX, ADOX, DIV and IDIV. The flags that the manual leaves open follow the interpreter's rule (x86/ops/undefined_flags.h); a
// division that might raise #DE is its handler's.
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

namespace I = host::Inst;

bool wide(Source& s) { return general(s) && s.size(0) >= 4; }

/// CF and OF are the host's, SF and PF those of the low half in `low`, ZF and AF clear.
void product_flags(Emitter& e, const Source& s, const host::Gp& low) {
    if (!s.live) {
        e.flags_dead();
        return;
    }
    e.a.setc(host::gpb_lo(address.id()));
    e.a.mov(t2, low); // while t1 takes the flags
    e.a.test(sized(t2, s.size(0)), sized(t2, s.size(0)));
    e.a.lahf();
    e.a.movzx(host::edx, host::gpb_lo(address.id()));
    e.a.and_(host::eax, 0x8600);
    e.a.or_(host::eax, host::edx);
    e.a.shl(host::edx, 8);
    e.a.or_(host::eax, host::edx);
    e.a.mov(host::word_ptr(state, at_status), host::ax);
    e.flags_stored();
}

bool accepts_imul(Source& s) {
    if (!wide(s))
        return false;
    if (s.info.operand_count_visible == 3)
        return static_cast<i64>(s.insn->immediate) == static_cast<i32>(s.insn->immediate) || s.size(0) == 4;
    return true;
}

/// Both halves to RDX and RAX, from scratch registers that are the host's.
template <asmjit::InstId id> void multiply(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0)) {
        const host::Mem from = e.memory(s, size, false);
        e.a.mov(t1, host::gpq(pinned[rax]));
        e.a.emit(id, from);
    } else {
        const host::Gp from = e.read(s.reg(0), size, t2);
        e.a.mov(t1, host::gpq(pinned[rax]));
        e.a.emit(id, from);
    }
    e.write(8 * rax, size, t1);
    e.write(8 * rdx, size, t2);
    product_flags(e, s, host::gpq(pinned[rax]));
}

void imul(Emitter& e, const Source& s) {
    if (s.info.operand_count_visible == 1) {
        multiply<I::kIdImul>(e, s);
        return;
    }
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    if (s.info.operand_count_visible == 3) {
        const auto factor = asmjit::imm(static_cast<i32>(s.insn->immediate));
        const host::Gp value = Emitter::at_home(to) ? gp(pinned[to / 8], size) : sized(t1, size);
        if (s.is_memory(1))
            e.a.imul(value, e.memory(s, size, false), factor);
        else
            e.a.imul(value, e.read(s.reg(1), size, t2), factor);
        e.finish(to, size, value);
        product_flags(e, s, host::gpq(value.id()));
        return;
    }
    host::Gp value;
    if (s.is_memory(1)) {
        const host::Mem from = e.memory(s, size, false);
        value = e.change(to, size, t1);
        e.a.imul(value, from);
    } else {
        value = e.change(to, size, t1);
        e.a.imul(value, e.read(s.reg(1), size, t2));
    }
    e.finish(to, size, value);
    product_flags(e, s, host::gpq(value.id()));
}

void mulx(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    host::Mem memory;
    if (s.is_memory(2))
        memory = e.memory(s, size, false);
    e.a.mov(t2, host::gpq(pinned[rdx]));
    if (s.is_memory(2))
        e.a.mulx(sized(t1, size), sized(t2, size), memory); // upper, lower
    else
        e.a.mulx(sized(t1, size), sized(t2, size), e.read(s.reg(2), size, t1));
    e.write(s.reg(1), size, t2);
    e.write(s.reg(0), size, t1);
}

/// ADCX and ADOX: the host's own, which leave the other flags in the host's too.
template <asmjit::InstId id> void add_through(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 to = s.reg(0);
    host::Mem from;
    if (s.is_memory(1))
        from = e.memory(s, size, false);
    const u16 needed = s.live | s.reads; // the host has perhaps no others
    e.need_flags(needed);
    const host::Gp value = e.change(to, size, t1);
    if (s.is_memory(1))
        e.a.emit(id, value, from);
    else
        e.a.emit(id, value, e.read(s.reg(1), size, t2));
    e.finish(to, size, value);
    e.flags_made(needed);
}

/// The quotient fits when the upper half is smaller than the divisor.
void div(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    host::Gp divisor = sized(address, size);
    if (s.is_memory(0)) {
        e.a.mov(divisor, e.memory(s, size, false));
    } else {
        e.clobber_flags();
        e.a.mov(divisor, e.read(s.reg(0), size, t1));
    }
    e.a.cmp(gp(pinned[rdx], size), divisor);
    e.a.jae(e.slow());
    e.a.mov(t1, host::gpq(pinned[rax]));
    e.a.mov(t2, host::gpq(pinned[rdx]));
    e.a.div(divisor);
    e.write(8 * rax, size, t1);
    e.write(8 * rdx, size, t2);
}

/// Without question where the dividend is the sign extension of its low half and the divisor neither 0 nor -1.
void idiv(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    host::Gp divisor = sized(address, size);
    if (s.is_memory(0)) {
        e.a.mov(divisor, e.memory(s, size, false));
    } else {
        e.clobber_flags();
        e.a.mov(divisor, e.read(s.reg(0), size, t1));
    }
    e.a.lea(sized(t2, size), host::ptr(address, 1));
    e.a.cmp(sized(t2, size), 1);
    e.a.jbe(e.slow());
    e.a.mov(t1, host::gpq(pinned[rax]));
    if (size == 8)
        e.a.cqo();
    else
        e.a.cdq();
    e.a.cmp(gp(pinned[rdx], size), sized(t2, size));
    e.a.jne(e.slow());
    e.a.idiv(divisor);
    e.write(8 * rax, size, t1);
    e.write(8 * rdx, size, t2);
}

} // namespace

std::span<const Operation> multiply_operations() {
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_MUL, wide, multiply<I::kIdMul>, no_flags, all_flags},
        {ZYDIS_MNEMONIC_IMUL, accepts_imul, imul, no_flags, all_flags},
        {ZYDIS_MNEMONIC_MULX, wide, mulx},
        {ZYDIS_MNEMONIC_ADCX, wide, add_through<I::kIdAdcx>, cf, cf},
        {ZYDIS_MNEMONIC_ADOX, wide, add_through<I::kIdAdox>, of, of},
        {ZYDIS_MNEMONIC_DIV, wide, div, all_flags, no_flags}, // its handler may be needed: flags must be home
        {ZYDIS_MNEMONIC_IDIV, wide, idiv, all_flags, no_flags},
    };
    return rows;
}

} // namespace vitrine::jit
