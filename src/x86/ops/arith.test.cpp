// SPDX-License-Identifier: Apache-2.0
// The pure functions against formulas that share nothing with them: wide integers for sums, one-bit steps for shifts, loops for bits.
#include "x86/ops/arith.h"

#include "x86/ops/bit_arith.h"
#include "x86/ops/decimal.h"
#include "x86/ops/multiply.h"
#include "x86/ops/shifts.h"
#include "x86/ops/undefined_flags.h"

#include <gtest/gtest.h>

#include <random>

namespace vitrine::ops {
namespace {

/// Random operands with many edges among them.
struct Operands {
    std::mt19937_64 random{20240607};

    template <class T> T next() {
        const u64 v = random();
        switch (random() % 6) {
        case 0: return static_cast<T>(v % 20);
        case 1: return static_cast<T>(1ull << (v % 64));
        case 2: return static_cast<T>(~0ull << (v % 64));
        case 3: return static_cast<T>(T{1} << (width<T> - 1)) - static_cast<T>(v % 3);
        default: return static_cast<T>(v);
        }
    }
    u16 status() { return static_cast<u16>((random() & status::all) | status::one); }
};

template <class T> class Width : public testing::Test {};
using Widths = testing::Types<u8, u16, u32, u64>;
TYPED_TEST_SUITE(Width, Widths);

template <class T> i128 as_signed(T v) { return static_cast<std::make_signed_t<T>>(v); }

/// Status of `r` with carry, overflow and adjust given: everything by definition.
template <class T> u16 expected(T r, bool carry, bool adjust, bool overflow) {
    return computed_of_result(r) | bit_if(carry, status::cf) | bit_if(adjust, status::af) | bit_if(overflow, status::of);
}

TYPED_TEST(Width, SumsAndDifferences) {
    using T = TypeParam;
    Operands o;
    for (int n = 0; n < 50000; ++n) {
        const T a = o.next<T>(), b = o.next<T>();
        const u16 before = o.status();
        const unsigned carry = before & status::cf ? 1 : 0;
        const auto sum = [&](unsigned c) {
            const u128 wide = u128{a} + b + c;
            const T r = static_cast<T>(wide);
            return expected<T>(r, wide >> width<T> & 1, (a & 15) + (b & 15) + c > 15, as_signed(a) + as_signed(b) + c != as_signed(r));
        };
        const auto difference = [&](unsigned c) {
            const T r = static_cast<T>(a - b - c);
            return expected<T>(r, u128{a} < u128{b} + c, (a & 15u) < (b & 15u) + c, as_signed(a) - as_signed(b) - c != as_signed(r));
        };
        u16 s = before;
        EXPECT_EQ(Add::apply(a, b, s), static_cast<T>(a + b));
        EXPECT_EQ(s, sum(0));
        s = before;
        EXPECT_EQ(Adc::apply(a, b, s), static_cast<T>(a + b + carry));
        EXPECT_EQ(s, sum(carry));
        s = before;
        EXPECT_EQ(Sub::apply(a, b, s), static_cast<T>(a - b));
        EXPECT_EQ(s, difference(0));
        s = before;
        Cmp::apply(a, b, s);
        EXPECT_EQ(s, difference(0));
        s = before;
        EXPECT_EQ(Sbb::apply(a, b, s), static_cast<T>(a - b - carry));
        EXPECT_EQ(s, difference(carry));
        s = before;
        EXPECT_EQ(Neg::apply(b, s), static_cast<T>(0 - b));
        EXPECT_EQ(s, expected<T>(static_cast<T>(0 - b), b != 0, (b & 15) != 0, as_signed(b) != 0 && static_cast<T>(0 - b) == b));
        s = before;
        const T up = Inc::apply(a, s);
        EXPECT_EQ(up, static_cast<T>(a + 1));
        EXPECT_EQ(s, expected<T>(up, carry, (a & 15) == 15, as_signed(a) + 1 != as_signed(up)));
        s = before;
        const T down = Dec::apply(a, s);
        EXPECT_EQ(down, static_cast<T>(a - 1));
        EXPECT_EQ(s, expected<T>(down, carry, (a & 15) == 0, as_signed(a) - 1 != as_signed(down)));
        if constexpr (sizeof(T) >= 4) {
            s = before;
            EXPECT_EQ(Adcx::apply(a, b, s), static_cast<T>(a + b + carry));
            EXPECT_EQ(s, (before & ~status::cf) | bit_if((u128{a} + b + carry) >> width<T> & 1, status::cf));
            s = before;
            const unsigned overflow = before & status::of;
            EXPECT_EQ(Adox::apply(a, b, s), static_cast<T>(a + b + overflow));
            EXPECT_EQ(s, (before & ~status::of) | bit_if((u128{a} + b + overflow) >> width<T> & 1, status::of));
        }
        if (testing::Test::HasFailure())
            FAIL() << "a " << u64{a} << " b " << u64{b} << " status " << before;
    }
}

TYPED_TEST(Width, Logic) {
    using T = TypeParam;
    Operands o;
    for (int n = 0; n < 20000; ++n) {
        const T a = o.next<T>(), b = o.next<T>();
        u16 s = o.status();
        const auto is = [&](T r, T wanted) {
            EXPECT_EQ(r, wanted);
            EXPECT_EQ(s, computed_of_result(wanted));
        };
        is(And::apply(a, b, s), a & b);
        is(Or::apply(a, b, s), a | b);
        is(Xor::apply(a, b, s), a ^ b);
        Test::apply(a, b, s);
        EXPECT_EQ(s, computed_of_result(static_cast<T>(a & b)));
        const u16 before = s = o.status();
        EXPECT_EQ(Not::apply(a, s), static_cast<T>(~a));
        EXPECT_EQ(s, before);
    }
}

// ---- shifts: the definition is n steps of one bit; OF comes from the first -------------------------------------------

struct OneBit {
    u64 value;
    bool carry;
    bool overflow = false;
};

enum class Kind { shl, shr, sar, rol, ror, rcl, rcr };

template <class T> OneBit one_bit(Kind kind, u64 v, bool carry) {
    const unsigned w = width<T>;
    const u64 top = v >> (w - 1) & 1, low = v & 1, mask = w == 64 ? ~0ull : (1ull << w) - 1;
    OneBit r{};
    switch (kind) {
    case Kind::shl: r = {v << 1, top != 0}; break;
    case Kind::shr: r = {v >> 1, low != 0}; break;
    case Kind::sar: r = {v >> 1 | top << (w - 1), low != 0}; break;
    case Kind::rol: r = {v << 1 | top, top != 0}; break;
    case Kind::ror: r = {v >> 1 | low << (w - 1), low != 0}; break;
    case Kind::rcl: r = {v << 1 | u64{carry}, top != 0}; break;
    case Kind::rcr: r = {v >> 1 | u64{carry} << (w - 1), low != 0}; break;
    }
    r.value &= mask;
    r.overflow = (v ^ r.value) >> (w - 1) & 1; // the sign changed
    return r;
}

template <class T, class Op> void shifts(Kind kind, bool sets_result_flags) {
    Operands o;
    for (int n = 0; n < 30000; ++n) {
        const T a = o.next<T>();
        const unsigned count = 1 + static_cast<unsigned>(o.random() % (sizeof(T) == 8 ? 63 : 31));
        const u16 before = o.status();
        OneBit v{a, (before & status::cf) != 0};
        bool overflow = false;
        const bool whole_turn = (kind == Kind::rcl || kind == Kind::rcr) && count % (width<T> + 1) == 0;
        for (unsigned k = 0; k < count; ++k) {
            v = one_bit<T>(kind, v.value, v.carry);
            if (k == 0)
                overflow = v.overflow;
        }
        if (whole_turn)
            overflow = before & status::of;
        u16 wanted = sets_result_flags ? computed_of_result(static_cast<T>(v.value)) : before;
        wanted = static_cast<u16>((wanted & ~(status::cf | status::of)) | bit_if(v.carry, status::cf) | bit_if(overflow, status::of));
        u16 s = before;
        ASSERT_EQ(Op::apply(a, count, s), static_cast<T>(v.value)) << u64{a} << " by " << count;
        ASSERT_EQ(s, wanted) << u64{a} << " by " << count;
    }
}

TYPED_TEST(Width, Shifts) {
    shifts<TypeParam, Shl>(Kind::shl, true);
    shifts<TypeParam, Shr>(Kind::shr, true);
    shifts<TypeParam, Sar>(Kind::sar, true);
}

TYPED_TEST(Width, Rotates) {
    shifts<TypeParam, Rol<false>>(Kind::rol, false);
    shifts<TypeParam, Ror<false>>(Kind::ror, false);
    shifts<TypeParam, Rcl>(Kind::rcl, false);
    shifts<TypeParam, Rcr>(Kind::rcr, false);
}

TYPED_TEST(Width, RotatesByImmediatesAboveOneKeepOverflow) {
    using T = TypeParam;
    for (const u16 before : {u16{status::one}, u16{status::one | status::of}}) {
        u16 s = before;
        Rol<true>::apply(static_cast<T>(T{1} << (width<T> - 2)), 2, s);
        EXPECT_EQ(s, before | status::cf);
        s = before;
        Ror<true>::apply(T{2}, 2, s);
        EXPECT_EQ(s, before | status::cf);
        s = before;
        Rol<true>::apply(static_cast<T>(T{1} << (width<T> - 2)), 1, s);
        EXPECT_EQ(s, status::one | status::of);
    }
}

TYPED_TEST(Width, DoubleShifts) {
    using T = TypeParam;
    if constexpr (sizeof(T) > 1) {
        Operands o;
        for (int n = 0; n < 30000; ++n) {
            const T a = o.next<T>(), b = o.next<T>();
            const unsigned count = 1 + static_cast<unsigned>(o.random() % (sizeof(T) == 8 ? 63 : 31));
            // Bit by bit; what comes in from the other operand begins anew with the first one after a word's 16 bits.
            T left = a, right = a;
            bool left_carry = false, right_carry = false;
            for (unsigned k = 0; k < count; ++k) {
                const T source = k < width<T> ? b : a;
                const unsigned bit = k % width<T>;
                left_carry = sign(left);
                left = static_cast<T>(left << 1 | (source >> (width<T> - 1 - bit) & 1));
                right_carry = right & 1;
                right = static_cast<T>(right >> 1 | static_cast<T>(static_cast<T>(source >> bit & 1) << (width<T> - 1)));
            }
            u16 s = o.status();
            ASSERT_EQ(Shld::apply(a, b, count, s), left);
            ASSERT_EQ(s, computed_of_result(left) | bit_if(left_carry, status::cf) | bit_if(sign(a) != sign(static_cast<T>(a << 1)), status::of));
            ASSERT_EQ(Shrd::apply(a, b, count, s), right);
            ASSERT_EQ(s, computed_of_result(right) | bit_if(right_carry, status::cf) | bit_if(sign(a) != (b & 1), status::of));
        }
    }
}

// ---- multiplication and division ------------------------------------------------------------------------------------

TYPED_TEST(Width, Products) {
    using T = TypeParam;
    Operands o;
    for (int n = 0; n < 30000; ++n) {
        const T a = o.next<T>(), b = o.next<T>();
        u16 s = o.status();
        const u128 product = u128{a} * b;
        EXPECT_TRUE(Mul::apply(a, b, s) == static_cast<Double<T>>(product));
        const auto flags = [](T low, bool overflow) {
            return static_cast<u16>((computed_of_result(low) & ~status::zf) | bit_if(overflow, status::cf | status::of));
        };
        EXPECT_EQ(s, flags(static_cast<T>(product), product >> width<T> != 0));
        const i128 signed_product = as_signed(a) * as_signed(b);
        EXPECT_TRUE(Imul::apply(a, b, s) == static_cast<Double<T>>(signed_product));
        const T low = static_cast<T>(signed_product);
        EXPECT_EQ(s, flags(low, as_signed(low) != signed_product));
    }
}

/// Long division, bit by bit, of magnitudes.
template <class T> bool divide_slowly(u128 dividend, T divisor, u128& quotient, u128& remainder) {
    if (divisor == 0)
        return false;
    quotient = remainder = 0;
    for (int bit = 127; bit >= 0; --bit) {
        remainder = remainder << 1 | (dividend >> bit & 1);
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    return true;
}

TYPED_TEST(Width, Quotients) {
    using T = TypeParam;
    using S = std::make_signed_t<T>;
    Operands o;
    int good = 0, bad = 0;
    for (int n = 0; n < 40000; ++n) {
        const T low = o.next<T>(), d = o.next<T>();
        T high = o.next<T>();
        if (n % 2 == 0)
            high = n % 4 ? static_cast<T>(static_cast<S>(low) >> (width<T> - 1)) : static_cast<T>(high % (d ? d : 1));
        T q = 0, r = 0;
        u128 slow_q = 0, slow_r = 0;
        const u128 dividend = u128{high} << width<T> | low;
        bool fits = divide_slowly<T>(dividend, d, slow_q, slow_r) && slow_q >> width<T> == 0;
        ASSERT_EQ((Div::apply(low, high, d, q, r)), fits);
        if (fits) {
            ASSERT_EQ(q, static_cast<T>(slow_q));
            ASSERT_EQ(r, static_cast<T>(slow_r));
        }
        const bool negative = sign(high), divisor_negative = sign(d);
        const u128 all = sizeof(T) == 8 ? ~u128{0} : (u128{1} << (2 * width<T>)) - 1;
        const u128 magnitude = negative ? (0 - dividend) & all : dividend;
        fits = divide_slowly<T>(magnitude, divisor_negative ? static_cast<T>(0 - d) : d, slow_q, slow_r);
        const u128 limit = (u128{1} << (width<T> - 1)) - (negative != divisor_negative ? 0 : 1);
        fits = fits && slow_q <= limit;
        ASSERT_EQ((Idiv::apply(low, high, d, q, r)), fits) << u64{low} << " " << u64{high} << " " << u64{d};
        if (fits) {
            ASSERT_EQ(q, static_cast<T>(negative != divisor_negative ? 0 - slow_q : slow_q));
            ASSERT_EQ(r, static_cast<T>(negative ? 0 - slow_r : slow_r));
        }
        ++(fits ? good : bad);
    }
    EXPECT_GT(good, 1000);
    EXPECT_GT(bad, 1000);
}

// ---- bits -----------------------------------------------------------------------------------------------------------

TYPED_TEST(Width, Bits) {
    using T = TypeParam;
    Operands o;
    for (int n = 0; n < 20000; ++n) {
        const T v = o.next<T>(), m = o.next<T>();
        unsigned ones = 0, leading = width<T>, trailing = width<T>;
        T deposited = 0, extracted = 0;
        unsigned taken = 0;
        for (unsigned k = 0; k < width<T>; ++k) {
            if (v >> k & 1) {
                ++ones;
                leading = width<T> - 1 - k;
                if (trailing == width<T>)
                    trailing = k;
            }
            if (m >> k & 1) {
                deposited |= static_cast<T>(static_cast<T>(v >> taken & 1) << k);
                extracted |= static_cast<T>(static_cast<T>(v >> k & 1) << taken);
                ++taken;
            }
        }
        u16 s = o.status();
        const auto counted = [&](bool carry, bool zero) {
            EXPECT_EQ(s, status::one | bit_if(carry, status::cf) | bit_if(zero, status::zf));
        };
        EXPECT_EQ(Popcnt::apply(v, s), ones);
        counted(false, v == 0);
        EXPECT_EQ(Lzcnt::apply(v, s), leading);
        counted(v == 0, leading == 0);
        EXPECT_EQ(Tzcnt::apply(v, s), trailing);
        counted(v == 0, trailing == 0);
        if (v != 0) {
            EXPECT_EQ(Bsf::index(v), trailing);
            EXPECT_EQ(Bsr::index(v), width<T> - 1 - leading);
        }
        if constexpr (sizeof(T) >= 4) {
            EXPECT_EQ(Pdep::apply(v, m, s), deposited);
            EXPECT_EQ(Pext::apply(v, m, s), extracted);
        }
        if (testing::Test::HasFailure())
            FAIL() << u64{v} << " " << u64{m};
    }
}

TEST(BitArith, Crc32IsTheCastagnoliPolynomial) {
    u32 crc = ~0u;
    for (const char c : {'1', '2', '3', '4', '5', '6', '7', '8', '9'})
        crc = crc32c<u8>(crc, static_cast<u8>(c));
    EXPECT_EQ(~crc, 0xe3069283u);
    const u64 data = 0x0123456789abcdef;
    u32 bytes = 0x1234, words = 0x1234;
    for (unsigned k = 0; k < 8; ++k)
        bytes = crc32c<u8>(bytes, static_cast<u8>(data >> (8 * k)));
    for (unsigned k = 0; k < 4; ++k)
        words = crc32c<u16>(words, static_cast<u16>(data >> (16 * k)));
    EXPECT_EQ(words, bytes);
    EXPECT_EQ(crc32c<u32>(crc32c<u32>(0x1234, static_cast<u32>(data)), static_cast<u32>(data >> 32)), bytes);
    EXPECT_EQ(crc32c<u64>(0x1234, data), bytes);
}

TEST(Conditions, FollowTheirDefinitions) {
    for (unsigned n = 0; n < 64; ++n) {
        const bool cf = n & 1, zf = n & 2, sf = n & 4, of = n & 8, pf = n & 16;
        const u16 s = status::one | bit_if(cf, status::cf) | bit_if(zf, status::zf) | bit_if(sf, status::sf) |
                      bit_if(of, status::of) | bit_if(pf, status::pf) | bit_if(n & 32, status::af);
        EXPECT_EQ(holds<0>(s), of);
        EXPECT_EQ(holds<2>(s), cf);
        EXPECT_EQ(holds<4>(s), zf);
        EXPECT_EQ(holds<6>(s), cf || zf);
        EXPECT_EQ(holds<8>(s), sf);
        EXPECT_EQ(holds<10>(s), pf);
        EXPECT_EQ(holds<12>(s), sf != of);
        EXPECT_EQ(holds<14>(s), zf || sf != of);
        EXPECT_EQ(holds<1>(s), !of);
        EXPECT_EQ(holds<3>(s), !cf);
        EXPECT_EQ(holds<5>(s), !zf);
        EXPECT_EQ(holds<7>(s), !(cf || zf));
        EXPECT_EQ(holds<9>(s), !sf);
        EXPECT_EQ(holds<11>(s), !pf);
        EXPECT_EQ(holds<13>(s), sf == of);
        EXPECT_EQ(holds<15>(s), !zf && sf == of);
    }
}

// ---- decimal: what the instructions are for -------------------------------------------------------------------------

TEST(Decimal, PackedSumsAndDifferences) {
    const auto packed = [](unsigned n) { return static_cast<u8>(n / 10 % 10 << 4 | n % 10); };
    for (unsigned a = 0; a < 100; ++a)
        for (unsigned b = 0; b < 100; ++b)
            for (const unsigned c : {0u, 1u}) {
                u16 s = status::one | bit_if(c, status::cf);
                const u8 sum = adjust_packed<false>(Adc::apply(packed(a), packed(b), s), s);
                ASSERT_EQ(sum, packed(a + b + c));
                ASSERT_EQ((s & status::cf) != 0, a + b + c > 99);
                s = status::one | bit_if(c, status::cf);
                const u8 difference = adjust_packed<true>(Sbb::apply(packed(a), packed(b), s), s);
                ASSERT_EQ(difference, packed(a + 100 - b - c));
                ASSERT_EQ((s & status::cf) != 0, a < b + c);
            }
}

TEST(Decimal, UnpackedDigits) {
    for (unsigned a = 0; a < 10; ++a)
        for (unsigned b = 0; b < 10; ++b) {
            u16 s = status::one;
            u8 al = Add::apply(static_cast<u8>(a), static_cast<u8>(b), s);
            ASSERT_EQ(adjust_unpacked<false>(static_cast<u16>(0x0300 | al), s), 0x0300 + (a + b) / 10 * 0x100 + (a + b) % 10);
            ASSERT_EQ((s & status::cf) != 0, a + b > 9);
            al = Sub::apply(static_cast<u8>(a), static_cast<u8>(b), s);
            ASSERT_EQ(adjust_unpacked<true>(static_cast<u16>(0x0300 | al), s), 0x0300 - (a < b) * 0x100 + (a + 10 - b) % 10);
            ASSERT_EQ((s & status::cf) != 0, a < b);
            ASSERT_EQ(split_digits(static_cast<u8>(10 * a + b), 10, s), a << 8 | b);
            ASSERT_EQ(join_digits(static_cast<u16>(a << 8 | b), 10, s), 10 * a + b);
        }
}

TEST(UndefinedFlags, RowsApplyByCount) {
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_SHL, 32, 0), 0);
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_SHL, 32, 1), rflags::af);
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_SHL, 32, 2), rflags::af | rflags::of);
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_SHL, 8, 8), rflags::af | rflags::of | rflags::cf);
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_ADD, 32), 0);
    EXPECT_EQ(undefined_flags(ZYDIS_MNEMONIC_DIV, 64), rflags::status);
    EXPECT_TRUE(undefined_result(ZYDIS_MNEMONIC_BSF, 32, 1, 0xffffffff00000000));
    EXPECT_FALSE(undefined_result(ZYDIS_MNEMONIC_BSF, 64, 1, 0xffffffff00000000));
    for (const UndefinedFlags& row : undefined_flag_rows()) {
        EXPECT_EQ(row.flags & ~rflags::status, 0);
        EXPECT_STRNE(row.rule, "");
    }
}

} // namespace
} // namespace vitrine::ops
