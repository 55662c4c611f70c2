// SPDX-License-Identifier: Apache-2.0
// PUSH and POP of registers, immediates and memory, PUSHA, POPA, ENTER and LEAVE. Whatever faults leaves RSP and RBP as they were.
#include "x86/ops/integer.h"
#include "x86/ops/stack.h"

namespace vitrine::ops {

namespace {

template <class T> Outcome push_r(Cpu& cpu, const Instruction& i) {
    TRY(push<T>(cpu, get<T>(cpu, i.reg))); // PUSH RSP pushes the value from before
    return next(cpu, i);
}

template <class T> Outcome push_i(Cpu& cpu, const Instruction& i) {
    TRY(push<T>(cpu, static_cast<T>(i.immediate)));
    return next(cpu, i);
}

template <class T, class A> Outcome push_m(Cpu& cpu, const Instruction& i) {
    const T value = TRY(load_operand<T, A>(cpu, i));
    TRY(push<T>(cpu, value));
    return next(cpu, i);
}

Handler bind_push(const Decoded& d, Instruction& out) {
    if (!general_operands(d))
        return nullptr;
    return by_word(out.operand_size * 8, [&]<class T>() -> Handler {
        if (d.is_register(0))
            return push_r<T>;
        if (d.is_immediate(0))
            return push_i<T>;
        return by_address(out, []<class A>() -> Handler { return push_m<T, A>; });
    });
}

template <class T> Outcome pop_r(Cpu& cpu, const Instruction& i) {
    const T value = TRY(peek<T>(cpu));
    drop<T>(cpu);
    set<T>(cpu, i.reg, value); // after RSP moved: POP RSP keeps what was popped
    return next(cpu, i);
}

/// An address that uses RSP sees it after the pop.
template <class T> Outcome pop_m(Cpu& cpu, const Instruction& i) {
    const T value = TRY(peek<T>(cpu));
    const u64 before = cpu.gpr[rsp];
    drop<T>(cpu);
    if (!store_operand<T, AnyAddress>(cpu, i, value)) {
        cpu.gpr[rsp] = before;
        return Fault{};
    }
    return next(cpu, i);
}

Handler bind_pop(const Decoded& d, Instruction& out) {
    if (!general_operands(d))
        return nullptr;
    return by_word(out.operand_size * 8, [&]<class T>() -> Handler { return d.is_register(0) ? pop_r<T> : pop_m<T>; });
}

// ---- PUSHA, POPA ----------------------------------------------------------------------------------------------------

template <class T> Outcome pusha(Cpu& cpu, const Instruction& i) {
    const u64 mask = stack_mask(cpu), top = cpu.gpr[rsp];
    Linear at[8];
    for (unsigned n = 0; n < 8; ++n) { // nothing is written before everything can be
        at[n] = TRY(cpu.segmented(ss, (top - (n + 1) * sizeof(T)) & mask, sizeof(T), Use::write));
        TRY(cpu.probe(at[n], sizeof(T), Use::write));
    }
    for (unsigned n = 0; n < 8; ++n)
        TRY(cpu.store<T>(at[n], get<T>(cpu, static_cast<Gpr>(n))));
    cpu.add_rsp(0 - 8 * sizeof(T));
    return next(cpu, i);
}

template <class T> Outcome popa(Cpu& cpu, const Instruction& i) {
    T values[8]{};
    for (unsigned n = 0; n < 8; ++n) // EDI first; the slot of ESP is skipped
        if (7 - n != rsp)
            values[7 - n] = static_cast<T>(TRY(cpu.peek(sizeof(T), n * sizeof(T))));
    for (unsigned n = 0; n < 8; ++n)
        if (n != rsp)
            set<T>(cpu, static_cast<Gpr>(n), values[n]);
    cpu.add_rsp(8 * sizeof(T));
    return next(cpu, i);
}

// ---- ENTER, LEAVE ---------------------------------------------------------------------------------------------------

/// T is the operand size; the immediates are the frame's size and, in `third`, the nesting level.
template <class T> Outcome enter(Cpu& cpu, const Instruction& i) {
    const u64 mask = stack_mask(cpu);
    const unsigned level = i.third % 32;
    u64 top = cpu.gpr[rsp], link = cpu.gpr[rbp];
    const auto put = [&](T value) -> Faultable<> {
        top -= sizeof(T);
        const Linear a = TRY(cpu.segmented(ss, top & mask, sizeof(T), Use::write));
        return cpu.store<T>(a, value);
    };
    TRY(put(static_cast<T>(link)));
    const u64 frame = top;
    if (level > 0) {
        for (unsigned n = 1; n < level; ++n) {
            link -= sizeof(T);
            const Linear a = TRY(cpu.segmented(ss, link & mask, sizeof(T), Use::read));
            const T outer = TRY(cpu.load<T>(a));
            TRY(put(outer));
        }
        TRY(put(static_cast<T>(frame)));
    }
    top -= i.immediate & 0xffff;
    // The new top must be writable, though nothing is written there.
    const Linear last = TRY(cpu.segmented(ss, top & mask, sizeof(T), Use::write));
    TRY(cpu.probe(last, sizeof(T), Use::write));
    cpu.set_rsp(top);
    set<T>(cpu, rbp, static_cast<T>((cpu.gpr[rsp] & ~mask) | (frame & mask)));
    return next(cpu, i);
}

Handler bind_enter(const Decoded& d, Instruction& out) {
    out.third = static_cast<u16>(d.operand(1).imm.value.u);
    return by_word(out.operand_size * 8, []<class T>() -> Handler { return enter<T>; });
}

template <class T> Outcome leave(Cpu& cpu, const Instruction& i) {
    const u64 before = cpu.gpr[rsp];
    cpu.set_rsp(cpu.gpr[rbp]);
    const Faultable<T> link = peek<T>(cpu);
    if (!link) {
        cpu.gpr[rsp] = before;
        return Fault{};
    }
    drop<T>(cpu);
    set<T>(cpu, rbp, link.value());
    return next(cpu, i);
}

Handler bind_leave(const Decoded&, Instruction& out) {
    return by_word(out.operand_size * 8, []<class T>() -> Handler { return leave<T>; });
}

template <Outcome (*handler)(Cpu&, const Instruction&)> Handler bind(const Decoded&, Instruction&) { return handler; }

} // namespace

std::span<const OpRow> stack_rows() {
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_PUSH, bind_push},         {ZYDIS_MNEMONIC_POP, bind_pop},
        {ZYDIS_MNEMONIC_PUSHA, bind<pusha<u16>>}, {ZYDIS_MNEMONIC_PUSHAD, bind<pusha<u32>>},
        {ZYDIS_MNEMONIC_POPA, bind<popa<u16>>},   {ZYDIS_MNEMONIC_POPAD, bind<popa<u32>>},
        {ZYDIS_MNEMONIC_ENTER, bind_enter},       {ZYDIS_MNEMONIC_LEAVE, bind_leave},
    };
    return rows;
}

} // namespace vitrine::ops
