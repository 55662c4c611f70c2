// SPDX-License-Identifier: Apache-2.0
// MOVS, CMPS, STOS, LODS and SCAS, alone and repeated. Repeated ones run page by page on host memory where the TLB allows.
//
// Time: every iteration is one nanosecond, and a handler never outruns the slice: it returns Outcome::repeat with the registers showing
// how far it came. Nothing that the guest sees may depend on where slices end. Hence the two rules below: time is charged before the
// next iteration begins, and CMPS and SCAS change the flags only when the whole instruction completes (which is also what a page fault
// in the middle shows, SDM volume 2, REP).
#include "x86/ops.h"
#include "x86/ops/arith.h"
#include "x86/ops/forms.h"

#include <algorithm>
#include <bit>

namespace vitrine {

namespace ops {

namespace {

/// What one step of a repeated instruction did: how many iterations, whether CMPS or SCAS found its end, whether it went the slow way
/// (a device may have been touched: look at events before the next iteration).
struct Step {
    u64 count = 1;
    bool found = false, slow = false;
};

/// C is the type of the address size: u16, u32 or u64.
template <class C> struct Stream {
    SegmentName segment;
    Gpr index;
    Use use;

    C offset(const Cpu& cpu) const { return get<C>(cpu, index); }

    Faultable<Linear> address(Cpu& cpu, const Instruction& i, unsigned size) const {
        if (!i.checked && segment != fs && segment != gs)
            return Linear{offset(cpu)};
        return cpu.segmented(segment, offset(cpu), size, use);
    }

    void advance(Cpu& cpu, u64 bytes) const {
        set<C>(cpu, index, static_cast<C>(cpu.flags & rflags::df ? offset(cpu) - bytes : offset(cpu) + bytes));
    }

    /// How many elements, at most `wanted`, lie with the one at `a` in one page, one turn of the index and one segment.
    u64 run(Cpu& cpu, const Instruction& i, Linear a, unsigned size, u64 wanted) const {
        const u64 at = a.page_offset(), from = offset(cpu), above = static_cast<C>(~from);
        if (at + size > page_size || above < size - 1)
            return 0;
        const bool down = cpu.flags & rflags::df;
        const u64 in_page = down ? at / size + 1 : (page_size - at) / size;
        const u64 in_turn = down ? from / size + 1 : (std::min(above, page_size) + 1) / size;
        const u64 n = std::min({wanted, in_page, in_turn});
        if (!i.checked)
            return n;
        const u64 low = down ? from - (n - 1) * size : from;
        return cpu.segmented(segment, low, static_cast<unsigned>(n * size), use) ? n : 0;
    }
};

template <class C> Stream<C> source(const Instruction& i) { return {static_cast<SegmentName>(i.segment), rsi, Use::read}; }

template <class C> Stream<C> destination(Use use) { return {es, rdi, use}; }

template <class T> T element(const u8* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
}

/// `size` bytes whose first `known` ones are there are that pattern all over: each piece is as long as all before it.
void spread(u8* at, u64 known, u64 size) {
    for (u64 done = known; done < size;) {
        const u64 piece = std::min(done, size - done);
        std::memcpy(at + done, at, piece);
        done += piece;
    }
}

/// How many bytes, eight at a time and at most `size`, are equal from the beginning on. `y` moves on by `step` bytes: 8, or 0 for the same ones.
u64 equal_bytes(const u8* x, const u8* y, u64 size, unsigned step) {
    u64 at = 0;
    for (; at + 8 <= size; at += 8, y += step)
        if (const u64 differ = element<u64>(x + at) ^ element<u64>(y))
            return at + static_cast<u64>(std::countr_zero(differ)) / 8;
    return at;
}

/// The distance from one element to the next.
template <class T> i64 stride(const Cpu& cpu) {
    return cpu.flags & rflags::df ? -static_cast<i64>(sizeof(T)) : static_cast<i64>(sizeof(T));
}

// Each instruction is a struct: `one` is a single iteration through the processor's loads and stores; `many` does up to `wanted`
// iterations on host memory, or none. Neither touches RCX; `many` may only fault as `one` would at the same place.

struct Movs {
    static constexpr bool compares = false, moves_source = true, moves_destination = true;

    template <class T, class C> static Faultable<Step> one(Cpu& cpu, const Instruction& i) {
        const auto from = source<C>(i), to = destination<C>(Use::write);
        const Linear a = TRY(from.address(cpu, i, sizeof(T)));
        const T value = TRY(cpu.load<T>(a));
        const Linear b = TRY(to.address(cpu, i, sizeof(T)));
        TRY(cpu.store<T>(b, value));
        from.advance(cpu, sizeof(T));
        to.advance(cpu, sizeof(T));
        return Step{};
    }

    /// Elements move one after the other: where the destination follows the source closely, the first ones repeat.
    template <class T> static void copy(u8* to, const u8* from, u64 n, bool down) {
        const u64 bytes = n * sizeof(T);
        const i64 distance = down ? from - to : to - from; // of the run's first elements, ahead in the direction of travel
        if (distance <= 0 || static_cast<u64>(distance) >= bytes) {
            const u64 back = down ? bytes - sizeof(T) : 0;
            std::memmove(to - back, from - back, bytes);
            return;
        }
        if (!down && distance >= static_cast<i64>(sizeof(T))) { // each element has been read before it is written: a pattern of `distance` bytes
            spread(const_cast<u8*>(from), static_cast<u64>(distance), static_cast<u64>(distance) + bytes);
            return;
        }
        const i64 step = down ? -static_cast<i64>(sizeof(T)) : static_cast<i64>(sizeof(T));
        for (; n > 0; --n, to += step, from += step) {
            const T value = element<T>(from);
            std::memcpy(to, &value, sizeof(T));
        }
    }

    template <class T, class C> static Faultable<Step> many(Cpu& cpu, const Instruction& i, u64 wanted) {
        const auto from = source<C>(i), to = destination<C>(Use::write);
        const Linear a = TRY(from.address(cpu, i, sizeof(T)));
        u64 n = from.run(cpu, i, a, sizeof(T), wanted);
        if (n == 0)
            return Step{.count = 0};
        const u8* const x = TRY(cpu.direct(a, sizeof(T), Use::read));
        if (!x)
            return Step{.count = 0};
        const Linear b = TRY(to.address(cpu, i, sizeof(T)));
        n = to.run(cpu, i, b, sizeof(T), n);
        if (n == 0)
            return Step{.count = 0};
        u8* const y = TRY(cpu.direct(b, sizeof(T), Use::write));
        if (!y)
            return Step{.count = 0};
        copy<T>(y, x, n, cpu.flags & rflags::df);
        from.advance(cpu, n * sizeof(T));
        to.advance(cpu, n * sizeof(T));
        return Step{.count = n};
    }
};

struct Stos {
    static constexpr bool compares = false, moves_source = false, moves_destination = true;

    template <class T, class C> static Faultable<Step> one(Cpu& cpu, const Instruction& i) {
        const auto to = destination<C>(Use::write);
        const Linear a = TRY(to.address(cpu, i, sizeof(T)));
        TRY(cpu.store<T>(a, get<T>(cpu, rax)));
        to.advance(cpu, sizeof(T));
        return Step{};
    }

    template <class T, class C> static Faultable<Step> many(Cpu& cpu, const Instruction& i, u64 wanted) {
        const auto to = destination<C>(Use::write);
        const Linear a = TRY(to.address(cpu, i, sizeof(T)));
        const u64 n = to.run(cpu, i, a, sizeof(T), wanted);
        if (n == 0)
            return Step{.count = 0};
        u8* y = TRY(cpu.direct(a, sizeof(T), Use::write));
        if (!y)
            return Step{.count = 0};
        const T value = get<T>(cpu, rax);
        if (cpu.flags & rflags::df)
            y -= (n - 1) * sizeof(T);
        if (const T bytes = static_cast<T>(static_cast<u8>(value) * (static_cast<T>(~T{0}) / 0xff)); value == bytes) {
            std::memset(y, static_cast<u8>(value), n * sizeof(T));
        } else {
            std::memcpy(y, &value, sizeof(T));
            spread(y, sizeof(T), n * sizeof(T));
        }
        to.advance(cpu, n * sizeof(T));
        return Step{.count = n};
    }
};

struct Lods {
    static constexpr bool compares = false, moves_source = false, moves_destination = false;

    template <class T, class C> static Faultable<Step> one(Cpu& cpu, const Instruction& i) {
        const auto from = source<C>(i);
        const Linear a = TRY(from.address(cpu, i, sizeof(T)));
        const T value = TRY(cpu.load<T>(a));
        set<T>(cpu, rax, value);
        from.advance(cpu, sizeof(T));
        return Step{};
    }

    template <class T, class C> static Faultable<Step> many(Cpu& cpu, const Instruction& i, u64 wanted) {
        const auto from = source<C>(i);
        const Linear a = TRY(from.address(cpu, i, sizeof(T)));
        const u64 n = from.run(cpu, i, a, sizeof(T), wanted);
        if (n == 0)
            return Step{.count = 0};
        const u8* const x = TRY(cpu.direct(a, sizeof(T), Use::read));
        if (!x)
            return Step{.count = 0};
        set<T>(cpu, rax, element<T>(x + static_cast<i64>(n - 1) * stride<T>(cpu))); // the last one stays
        from.advance(cpu, n * sizeof(T));
        return Step{.count = n};
    }
};

/// The prefix says which outcome of a comparison ends the repetition.
bool ends(const Instruction& i, bool equal) { return i.rep != 0 && equal != (i.rep == 0xf3); }

struct Scas {
    static constexpr bool compares = true, moves_source = false, moves_destination = false;

    template <class T, class C> static Faultable<Step> one(Cpu& cpu, const Instruction& i) {
        const auto at = destination<C>(Use::read);
        const Linear a = TRY(at.address(cpu, i, sizeof(T)));
        const T value = TRY(cpu.load<T>(a)), wanted = get<T>(cpu, rax);
        Cmp::apply(wanted, value, cpu.status);
        at.advance(cpu, sizeof(T));
        return Step{.found = ends(i, wanted == value)};
    }

    template <class T, class C> static Faultable<Step> many(Cpu& cpu, const Instruction& i, u64 wanted) {
        const auto at = destination<C>(Use::read);
        const Linear a = TRY(at.address(cpu, i, sizeof(T)));
        const u64 n = at.run(cpu, i, a, sizeof(T), wanted);
        if (n == 0)
            return Step{.count = 0};
        const u8* const x = TRY(cpu.direct(a, sizeof(T), Use::read));
        if (!x)
            return Step{.count = 0};
        const T value = get<T>(cpu, rax);
        const i64 step = stride<T>(cpu);
        const bool until = i.rep != 0xf3; // REPNE looks for an equal one
        u64 k = 0;
        if (sizeof(T) == 1 && step > 0 && until) {
            const void* hit = std::memchr(x, static_cast<u8>(value), n);
            k = hit ? static_cast<u64>(static_cast<const u8*>(hit) - x) : n;
        } else {
            if (step > 0 && !until) {
                u64 pattern;
                for (unsigned at = 0; at < 8; at += sizeof(T))
                    std::memcpy(reinterpret_cast<u8*>(&pattern) + at, &value, sizeof(T));
                k = equal_bytes(x, reinterpret_cast<const u8*>(&pattern), n * sizeof(T), 0) / sizeof(T);
            }
            while (k < n && (element<T>(x + static_cast<i64>(k) * step) == value) != until)
                ++k;
        }
        const bool found = k < n;
        const u64 count = found ? k + 1 : n;
        Cmp::apply(value, element<T>(x + static_cast<i64>(count - 1) * step), cpu.status);
        at.advance(cpu, count * sizeof(T));
        return Step{.count = count, .found = found};
    }
};

struct Cmps {
    static constexpr bool compares = true, moves_source = false, moves_destination = false;

    template <class T, class C> static Faultable<Step> one(Cpu& cpu, const Instruction& i) {
        const auto first = source<C>(i), second = destination<C>(Use::read);
        const Linear a = TRY(first.address(cpu, i, sizeof(T)));
        const T x = TRY(cpu.load<T>(a));
        const Linear b = TRY(second.address(cpu, i, sizeof(T)));
        const T y = TRY(cpu.load<T>(b));
        Cmp::apply(x, y, cpu.status);
        first.advance(cpu, sizeof(T));
        second.advance(cpu, sizeof(T));
        return Step{.found = ends(i, x == y)};
    }

    template <class T, class C> static Faultable<Step> many(Cpu& cpu, const Instruction& i, u64 wanted) {
        const auto first = source<C>(i), second = destination<C>(Use::read);
        const Linear a = TRY(first.address(cpu, i, sizeof(T)));
        u64 n = first.run(cpu, i, a, sizeof(T), wanted);
        if (n == 0)
            return Step{.count = 0};
        const u8* const x = TRY(cpu.direct(a, sizeof(T), Use::read));
        if (!x)
            return Step{.count = 0};
        const Linear b = TRY(second.address(cpu, i, sizeof(T)));
        n = second.run(cpu, i, b, sizeof(T), n);
        if (n == 0)
            return Step{.count = 0};
        const u8* const y = TRY(cpu.direct(b, sizeof(T), Use::read));
        if (!y)
            return Step{.count = 0};
        const i64 step = stride<T>(cpu);
        const bool until = i.rep != 0xf3;
        const auto equal = [&](u64 k) {
            const i64 at = static_cast<i64>(k) * step;
            return element<T>(x + at) == element<T>(y + at);
        };
        u64 k = step > 0 && !until ? equal_bytes(x, y, n * sizeof(T), 8) / sizeof(T) : 0;
        while (k < n && equal(k) != until)
            ++k;
        const bool found = k < n;
        const u64 count = found ? k + 1 : n;
        const i64 last = static_cast<i64>(count - 1) * step;
        Cmp::apply(element<T>(x + last), element<T>(y + last), cpu.status);
        first.advance(cpu, count * sizeof(T));
        second.advance(cpu, count * sizeof(T));
        return Step{.count = count, .found = found};
    }
};

// ---- the repetition -------------------------------------------------------------------------------------------------

template <class Op, class T, class C> Outcome once(Cpu& cpu, const Instruction& i) {
    TRY((Op::template one<T, C>(cpu, i)));
    return next(cpu, i);
}

/// With an address size of 32 in 64-bit mode, Intel's processors clear the upper halves even when there is nothing to do.
template <class Op, class C> void clear_upper_halves(Cpu& cpu) {
    if constexpr (sizeof(C) == 4) {
        set<C>(cpu, rcx, 0);
        if (Op::moves_source)
            set<C>(cpu, rsi, get<C>(cpu, rsi));
        if (Op::moves_destination)
            set<C>(cpu, rdi, get<C>(cpu, rdi));
    }
}

template <class Op, class T, class C> Faultable<Step> step(Cpu& cpu, const Instruction& i, u64 wanted) {
    const Step fast = TRY((Op::template many<T, C>(cpu, i, wanted)));
    if (fast.count != 0) [[likely]]
        return fast;
    Step slow = TRY((Op::template one<T, C>(cpu, i)));
    slow.slow = true;
    return slow;
}

template <class Op, class T, class C> Outcome repeated(Cpu& cpu, const Instruction& i) {
    u64 count = get<C>(cpu, rcx);
    if (count == 0) {
        clear_upper_halves<Op, C>(cpu);
        return next(cpu, i);
    }
    const u16 before = cpu.status;
    const auto charge = [&](u64 nanoseconds) {
        if (nanoseconds > 0)
            cpu.charge(nanoseconds);
    };
    for (;;) {
        const u64 left = cpu.flags & rflags::tf ? 1 : std::max<u64>(cpu.budget_left(), 1);
        const Faultable<Step> stepped = step<Op, T, C>(cpu, i, std::min(count, left));
        if (!stepped) {
            cpu.status = before;
            return Fault{};
        }
        const Step done = stepped.value();
        count -= done.count;
        set<C>(cpu, rcx, static_cast<C>(count));
        if (count == 0 || done.found) {
            charge(done.count - 1);
            return next(cpu, i);
        }
        if (done.count >= left || done.slow) {
            charge(done.count - 1);
            cpu.status = before;
            return Outcome::repeat;
        }
        charge(done.count);
    }
}

template <class Op> Handler bind(const Decoded& d, Instruction& out) {
    if (d.visible() != 0) // MOVSD and CMPSD are also the names of SSE2 instructions
        return nullptr;
    for (unsigned n = 0; n < d.info.raw.prefix_count; ++n)
        if (const u8 prefix = d.info.raw.prefixes[n].value; prefix == 0xf2 || prefix == 0xf3)
            out.rep = prefix; // the last one counts
    return by_width(out.operand_size * 8, [&]<class T>() -> Handler {
        return by_word(out.address_size * 8, [&]<class C>() -> Handler {
            return out.rep ? repeated<Op, T, C> : once<Op, T, C>;
        });
    });
}

} // namespace

} // namespace ops

std::span<const OpRow> string_rows() {
    using namespace ops;
    static constexpr OpRow rows[] = {
        {ZYDIS_MNEMONIC_MOVSB, bind<Movs>}, {ZYDIS_MNEMONIC_MOVSW, bind<Movs>}, {ZYDIS_MNEMONIC_MOVSD, bind<Movs>},
        {ZYDIS_MNEMONIC_MOVSQ, bind<Movs>}, {ZYDIS_MNEMONIC_CMPSB, bind<Cmps>}, {ZYDIS_MNEMONIC_CMPSW, bind<Cmps>},
        {ZYDIS_MNEMONIC_CMPSD, bind<Cmps>}, {ZYDIS_MNEMONIC_CMPSQ, bind<Cmps>}, {ZYDIS_MNEMONIC_STOSB, bind<Stos>},
        {ZYDIS_MNEMONIC_STOSW, bind<Stos>}, {ZYDIS_MNEMONIC_STOSD, bind<Stos>}, {ZYDIS_MNEMONIC_STOSQ, bind<Stos>},
        {ZYDIS_MNEMONIC_LODSB, bind<Lods>}, {ZYDIS_MNEMONIC_LODSW, bind<Lods>}, {ZYDIS_MNEMONIC_LODSD, bind<Lods>},
        {ZYDIS_MNEMONIC_LODSQ, bind<Lods>}, {ZYDIS_MNEMONIC_SCASB, bind<Scas>}, {ZYDIS_MNEMONIC_SCASW, bind<Scas>},
        {ZYDIS_MNEMONIC_SCASD, bind<Scas>}, {ZYDIS_MNEMONIC_SCASQ, bind<Scas>},
    };
    return rows;
}

} // namespace vitrine
