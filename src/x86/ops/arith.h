// SPDX-License-Identifier: Apache-2.0
// Addition, subtraction and logic for each width: the host's own instruction, then LAHF and SETO. Pure functions; what they leave in
// the status word is defined by the manual for every bit but AF of the logic group (see undefined_flags.h).
#pragma once

#include "x86/ops/status.h"

namespace vitrine::ops {

// The operand may not sit in rax, which takes the flags: hence the early clobber.
#define VITRINE_FLAGS "\n\tlahf\n\tseto %%al"

struct Add {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        asm("add %2, %0" VITRINE_FLAGS : "+&r"(a), "=&a"(s) : "r"(b) : "cc");
        return a;
    }
};

struct Sub {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        asm("sub %2, %0" VITRINE_FLAGS : "+&r"(a), "=&a"(s) : "r"(b) : "cc");
        return a;
    }
};

struct Cmp {
    static constexpr bool writes = false;
    template <class T> static T apply(T a, T b, u16& s) {
        asm("cmp %2, %1" VITRINE_FLAGS : "=&a"(s) : "r"(a), "r"(b) : "cc");
        return a;
    }
};

struct Adc {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        asm("btw $8, %1\n\tadc %2, %0" VITRINE_FLAGS : "+&r"(a), "+&a"(s) : "r"(b) : "cc");
        return a;
    }
};

struct Sbb {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        asm("btw $8, %1\n\tsbb %2, %0" VITRINE_FLAGS : "+&r"(a), "+&a"(s) : "r"(b) : "cc");
        return a;
    }
};

/// INC and DEC keep CF, which therefore goes through the host's carry.
struct Inc {
    template <class T> static T apply(T a, u16& s) {
        asm("btw $8, %1\n\tinc %0" VITRINE_FLAGS : "+&r"(a), "+&a"(s) : : "cc");
        return a;
    }
};

struct Dec {
    template <class T> static T apply(T a, u16& s) {
        asm("btw $8, %1\n\tdec %0" VITRINE_FLAGS : "+&r"(a), "+&a"(s) : : "cc");
        return a;
    }
};

struct Neg {
    template <class T> static T apply(T a, u16& s) {
        asm("neg %0" VITRINE_FLAGS : "+&r"(a), "=&a"(s) : : "cc");
        return a;
    }
};

struct Not {
    template <class T> static T apply(T a, u16&) { return static_cast<T>(~a); }
};

#undef VITRINE_FLAGS

struct And {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        a = static_cast<T>(a & b);
        s = of_result(a);
        return a;
    }
};

struct Or {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        a = static_cast<T>(a | b);
        s = of_result(a);
        return a;
    }
};

struct Xor {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        a = static_cast<T>(a ^ b);
        s = of_result(a);
        return a;
    }
};

struct Test {
    static constexpr bool writes = false;
    template <class T> static T apply(T a, T b, u16& s) {
        s = of_result(static_cast<T>(a & b));
        return a;
    }
};

/// ADCX adds with carry through CF and touches nothing else; ADOX the same through OF.
template <u16 flag> struct AddThrough {
    static constexpr bool writes = true;
    template <class T> static T apply(T a, T b, u16& s) {
        const u128 sum = u128{a} + b + ((s & flag) != 0);
        s = static_cast<u16>((s & ~flag) | bit_if(sum >> width<T> & 1, flag));
        return static_cast<T>(sum);
    }
};
using Adcx = AddThrough<status::cf>;
using Adox = AddThrough<status::of>;

} // namespace vitrine::ops
