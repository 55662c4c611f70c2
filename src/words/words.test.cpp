// SPDX-License-Identifier: Apache-2.0
// Tests of the vocabulary: bits, fields, addresses and results.
#include "words/addresses.h"
#include "words/bits.h"
#include "words/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

using namespace vitrine;

namespace {

struct Reason {
    std::string text;
};

Result<int, Reason> half(int n) {
    if (n % 2)
        return Reason{"odd"};
    return n / 2;
}

Result<int, Reason> quarter(int n) {
    const int h = TRY(half(n));
    return half(h);
}

Result<std::unique_ptr<int>, Reason> owned(bool good) {
    if (!good)
        return Reason{"none"};
    return std::make_unique<int>(7);
}

} // namespace

TEST(Bits, MasksAndFields) {
    EXPECT_EQ(low_mask(0), 0u);
    EXPECT_EQ(low_mask(64), ~0ull);
    EXPECT_EQ(bits(0xabcd, 15, 8), 0xabu);
    EXPECT_EQ(sign_extend(0x80, 8), ~0x7full);
    constexpr Field fri{15, 8, ro, "FRI", "fault record index"};
    EXPECT_EQ(fri.mask(), 0xff00u);
    EXPECT_EQ(fri(0x1234), 0x12u);
    EXPECT_EQ(fri.with(0xffff, 0), 0x00ffu);
}

TEST(Result, TryPassesTheReasonOn) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().text, "odd");
    EXPECT_EQ(quarter(3).error().text, "odd");
}

TEST(Result, HoldsWhatCanOnlyMove) {
    auto r = owned(true);
    ASSERT_TRUE(r.ok());
    EXPECT_EQ(*std::move(r).value(), 7);
    EXPECT_EQ(owned(false).error().text, "none");
}

TEST(Addresses, StayInTheirKind) {
    const Linear a{0x1fff};
    EXPECT_EQ((a + 1).page(), Linear{0x2000});
    EXPECT_EQ(a.page_offset(), 0xfffu);
    EXPECT_FALSE((std::is_convertible_v<Linear, Physical>));
}
