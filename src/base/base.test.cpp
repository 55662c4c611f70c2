// SPDX-License-Identifier: Apache-2.0
// Tests of the base: clock order, register masks.
#include "base/clock.h"
#include "base/registers.h"

#include <gtest/gtest.h>

using namespace vitrine;

namespace {

struct FaultStatus {
    static constexpr Register reg{0x34, 4, 0x100, "FSTS", "Fault Status"};
    Field pfo{0, rw1c, "PFO", "primary fault overflow"};
    Field ppf{1, ro, "PPF", "primary pending fault"};
    Field fri{15, 8, rw, "FRI", "fault record index"};
} constexpr fsts;

} // namespace

TEST(Clock, FiresInOrderOfTimeThenOfCreation) {
    Clock clock;
    std::string order;
    Timer a(clock, "a", [&] { order += 'a'; });
    Timer b(clock, "b", [&] { order += 'b'; });
    Timer c(clock, "c", [&] { order += 'c'; });
    c.arm(5);
    b.arm(10);
    a.arm(10);
    EXPECT_EQ(clock.next_due(), 5u);
    clock.advance_to(10);
    clock.fire();
    EXPECT_EQ(order, "cab");
    EXPECT_EQ(clock.next_due(), never);
}

TEST(RegisterFile, MasksFollowFromTheFields) {
    Glass glass;
    RegisterFile file(Topic::vtd, "vtd");
    u64 effect = 0;
    file.add(fsts, [&](u64 written, u64) { effect = written; });
    file.add(Register{0x38, 8, 0, "X", "x"}, 0xffff'0000'0000'00ffull);
    file.value(0x34) = 0x103;
    file.write(0x34, 4, 0xffff'ffff, glass);
    EXPECT_EQ(file.read(0x34, 4, glass), 0xff02u);
    EXPECT_EQ(effect, 0xffff'ffffu);
    file.write(0x35, 1, 0x12, glass);
    EXPECT_EQ(file.read(0x35, 1, glass), 0x12u);
    file.write(0x38, 8, ~0ull, glass);
    EXPECT_EQ(file.read(0x38, 8, glass), 0xffff'0000'0000'00ffull);
    EXPECT_EQ(file.read(0x100, 2, glass), 0xffffu);
    EXPECT_EQ(glass.counter("vtd.read-unknown-register"), 2u);
}
