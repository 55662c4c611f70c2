// SPDX-License-Identifier: Apache-2.0
// XCHG, XADD and CMPXCHG. One processor runs at a time and nobody else writes its memory, so LOCK needs nothing
// but an aligned operand (Emitter::memory).
#include "jit/forms.h"

namespace vitrine::jit {

namespace {

bool accepts(Source& s) { return general(s); }

void xchg(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    if (s.is_memory(0) || s.is_memory(1)) {
        const u16 with = s.reg(s.is_memory(0) ? 1 : 0);
        const host::Mem at = e.memory(s, size, true);
        e.a.mov(sized(t2, size), at);
        e.a.mov(at, e.read(with, size, t1));
        e.write(with, size, t2);
        return;
    }
    const u16 x = s.reg(0), y = s.reg(1);
    e.a.mov(sized(t2, size), e.read(x, size, t1)); // a byte or word: what is above does not matter
    const host::Gp other = e.read(y, size, t1);
    if (other.id() != t1.id())
        e.a.mov(sized(t1, size), other);
    e.write(x, size, t1);
    e.write(y, size, t2);
}

/// The source is written before the destination: XADD of a register with itself leaves the sum.
void xadd(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const u16 from = s.reg(1);
    if (s.is_memory(0)) {
        const host::Mem at = e.memory(s, size, true);
        e.a.mov(sized(t2, size), at);
        e.a.mov(sized(t1, size), e.read(from, size, t1));
        e.a.add(sized(t1, size), sized(t2, size));
        e.a.mov(at, sized(t1, size));
        e.write(from, size, t2);
        e.flags_made();
        return;
    }
    const u16 to = s.reg(0);
    const host::Gp old = e.read(to, size, t2);
    if (old.id() != t2.id())
        e.a.mov(sized(t2, size), old);
    const host::Gp source = e.read(from, size, t1);
    if (source.id() != t1.id())
        e.a.mov(sized(t1, size), source);
    e.a.add(sized(t1, size), sized(t2, size));
    e.write(from, size, t2);
    e.write(to, size, t1);
    e.flags_made();
}

bool accepts_cmpxchg(Source& s) { return general(s) && s.is_memory(0) && s.size(0) >= 4; }

/// Where the comparison succeeds RAX stays, its upper half too.
void cmpxchg(Emitter& e, const Source& s) {
    const unsigned size = s.size(0);
    const host::Mem at = e.memory(s, size, true);
    const host::Gp source = e.read(s.reg(1), size, t2);
    e.a.mov(sized(t1, size), gp(pinned[rax], size));
    e.a.cmpxchg(at, source);
    const asmjit::Label done = e.a.newLabel();
    e.a.jz(done);
    e.a.mov(gp(pinned[rax], size), sized(t1, size));
    e.a.bind(done);
    e.flags_made();
}

} // namespace

std::span<const Operation> exchange_operations() {
    static constexpr Operation rows[] = {
        {ZYDIS_MNEMONIC_XCHG, accepts, xchg},
        {ZYDIS_MNEMONIC_XADD, accepts, xadd, no_flags, all_flags},
        {ZYDIS_MNEMONIC_CMPXCHG, accepts_cmpxchg, cmpxchg, no_flags, all_flags},
    };
    return rows;
}

} // namespace vitrine::jit
