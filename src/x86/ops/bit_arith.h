// SPDX-License-Identifier: Apache-2.0
// Bit tests, scans and counts, BMI1, BMI2 and CRC32, per width. Flags that the manual leaves open follow undefined_flags.h.
#pragma once

#include "x86/ops/status.h"

namespace vitrine::ops {

// ---- bit tests: `n` is already reduced to the width; only CF changes -------------------------------------------------

struct Bt {
    static constexpr bool writes = false;
    template <class T> static T change(T a, T) { return a; }
};

struct Bts {
    static constexpr bool writes = true;
    template <class T> static T change(T a, T mask) { return a | mask; }
};

struct Btr {
    static constexpr bool writes = true;
    template <class T> static T change(T a, T mask) { return static_cast<T>(a & ~mask); }
};

struct Btc {
    static constexpr bool writes = true;
    template <class T> static T change(T a, T mask) { return a ^ mask; }
};

template <class Op, class T> inline T bit_test(T a, unsigned n, u16& s) {
    s = static_cast<u16>((s & ~status::cf) | bit_if(a >> n & 1, status::cf));
    return Op::template change<T>(a, static_cast<T>(T{1} << n));
}

// ---- scans and counts -----------------------------------------------------------------------------------------------

/// Status after BSF and BSR: of the index found, or ZF and PF for a source of zero.
inline u16 scan_status(unsigned index, bool zero) {
    return zero ? u16{status::one | status::zf | status::pf}
                : static_cast<u16>(computed_of_result(static_cast<u8>(index)) & ~status::zf);
}

struct Bsf {
    template <class T> static unsigned index(T v) { return static_cast<unsigned>(std::countr_zero(v)); }
};

struct Bsr {
    template <class T> static unsigned index(T v) { return width<T> - 1 - static_cast<unsigned>(std::countl_zero(v)); }
};

struct Lzcnt {
    template <class T> static T apply(T v, u16& s) {
        const T r = static_cast<T>(std::countl_zero(v));
        s = status::one | bit_if(r == width<T>, status::cf) | bit_if(r == 0, status::zf);
        return r;
    }
};

struct Tzcnt {
    template <class T> static T apply(T v, u16& s) {
        const T r = static_cast<T>(std::countr_zero(v));
        s = status::one | bit_if(r == width<T>, status::cf) | bit_if(r == 0, status::zf);
        return r;
    }
};

struct Popcnt {
    template <class T> static T apply(T v, u16& s) {
        u64 r;
        asm("popcnt %1, %0" : "=r"(r) : "r"(u64{v}) : "cc");
        s = status::one | bit_if(v == 0, status::zf);
        return static_cast<T>(r);
    }
};

// ---- BMI1 -----------------------------------------------------------------------------------------------------------

/// ZF and SF of the result, the given carry, everything else clear.
template <class T> inline u16 bmi_status(T r, bool carry) {
    return static_cast<u16>(status::one | bit_if(sign(r), status::sf) | bit_if(r == 0, status::zf) | bit_if(carry, status::cf));
}

struct Andn {
    template <class T> static T apply(T first, T second, u16& s) {
        const T r = ~first & second;
        s = bmi_status(r, false);
        return r;
    }
};

struct Blsi {
    template <class T> static T apply(T v, u16& s) {
        const T r = v & (0 - v);
        s = bmi_status(r, v != 0);
        return r;
    }
};

struct Blsmsk {
    template <class T> static T apply(T v, u16& s) {
        const T r = v ^ (v - 1);
        s = static_cast<u16>(bmi_status(r, v == 0) & ~status::zf);
        return r;
    }
};

struct Blsr {
    template <class T> static T apply(T v, u16& s) {
        const T r = v & (v - 1);
        s = bmi_status(r, v == 0);
        return r;
    }
};

constexpr u64 below(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

struct Bextr {
    template <class T> static T apply(T v, T control, u16& s) {
        const unsigned start = control & 0xff, length = control >> 8 & 0xff;
        const T r = start >= width<T> ? T{0} : static_cast<T>((v >> start) & below(length));
        s = status::one | bit_if(r == 0, status::zf);
        return r;
    }
};

// ---- BMI2 -----------------------------------------------------------------------------------------------------------

struct Bzhi {
    template <class T> static T apply(T v, T index, u16& s) {
        const unsigned n = index & 0xff;
        const T r = n >= width<T> ? v : static_cast<T>(v & below(n));
        s = bmi_status(r, n >= width<T>);
        return r;
    }
};

struct Pdep {
    template <class T> static T apply(T v, T mask, u16&) {
        T r;
        asm("pdep %2, %1, %0" : "=r"(r) : "r"(v), "r"(mask));
        return r;
    }
};

struct Pext {
    template <class T> static T apply(T v, T mask, u16&) {
        T r;
        asm("pext %2, %1, %0" : "=r"(r) : "r"(v), "r"(mask));
        return r;
    }
};

struct Sarx {
    template <class T> static T apply(T v, T n, u16&) {
        return static_cast<T>(static_cast<std::make_signed_t<T>>(v) >> (n & (width<T> - 1)));
    }
};

struct Shlx {
    template <class T> static T apply(T v, T n, u16&) { return v << (n & (width<T> - 1)); }
};

struct Shrx {
    template <class T> static T apply(T v, T n, u16&) { return v >> (n & (width<T> - 1)); }
};

struct Rorx {
    template <class T> static T apply(T v, T n, u16&) { return std::rotr(v, static_cast<int>(n & (width<T> - 1))); }
};

// ---- CRC32 (SSE4.2): the Castagnoli polynomial, reflected -------------------------------------------------------------

template <class T> inline u32 crc32c(u32 crc, T data) {
    if constexpr (sizeof(T) == 8) {
        u64 wide = crc;
        asm("crc32q %1, %0" : "+r"(wide) : "r"(data));
        return static_cast<u32>(wide);
    } else {
        if constexpr (sizeof(T) == 1)
            asm("crc32b %1, %0" : "+r"(crc) : "r"(data));
        else if constexpr (sizeof(T) == 2)
            asm("crc32w %1, %0" : "+r"(crc) : "r"(data));
        else
            asm("crc32l %1, %0" : "+r"(crc) : "r"(data));
        return crc;
    }
}

} // namespace vitrine::ops
