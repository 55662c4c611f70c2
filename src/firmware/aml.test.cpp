// SPDX-License-Identifier: Apache-2.0
// Tests of AML encodings against the bytes that the ACPI specification's grammar gives.
#include "firmware/aml.h"

#include "firmware/resources.h"

#include <gtest/gtest.h>

using namespace vitrine;
using namespace vitrine::firmware::aml;

namespace {

using V = std::vector<u8>;

} // namespace

TEST(Aml, Integers) {
    EXPECT_EQ(integer(0).bytes(), V{0x00});
    EXPECT_EQ(integer(1).bytes(), V{0x01});
    EXPECT_EQ(integer(2).bytes(), (V{0x0a, 2}));
    EXPECT_EQ(integer(0xff).bytes(), (V{0x0a, 0xff}));
    EXPECT_EQ(integer(0x100).bytes(), (V{0x0b, 0, 1}));
    EXPECT_EQ(integer(0xffff).bytes(), (V{0x0b, 0xff, 0xff}));
    EXPECT_EQ(integer(0x1'0000).bytes(), (V{0x0c, 0, 0, 1, 0}));
    EXPECT_EQ(integer(0x1'0000'0000).bytes(), (V{0x0e, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Aml, Paths) {
    EXPECT_EQ(path("_HID").bytes(), (V{'_', 'H', 'I', 'D'}));
    EXPECT_EQ(path("PIC").bytes(), (V{'P', 'I', 'C', '_'}));
    EXPECT_EQ(path("\\_S5").bytes(), (V{'\\', '_', 'S', '5', '_'}));
    EXPECT_EQ(path("^^A.B1").bytes(), (V{'^', '^', 0x2e, 'A', '_', '_', '_', 'B', '1', '_', '_'}));
    EXPECT_EQ(path("\\A.B.C").bytes(), (V{'\\', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'}));
    EXPECT_EQ(path("\\").bytes(), (V{'\\', 0}));
}

TEST(AmlDeathTest, NamesThatAcpiForbids) {
    EXPECT_EXIT(path("abc"), ::testing::ExitedWithCode(70), "bug of ours");
    EXPECT_EXIT(path("TOOLONG"), ::testing::ExitedWithCode(70), "bug of ours");
    EXPECT_EXIT(path("1AB"), ::testing::ExitedWithCode(70), "bug of ours");
}

TEST(Aml, PackageLengthsCountThemselves) {
    // Scope: 10h, length, a name of 4 bytes, contents.
    const auto scope_of = [](std::size_t n) { return scope("ABCD", Code(V(n, 0xa3))).bytes(); };
    EXPECT_EQ(scope_of(0)[1], 5);
    EXPECT_EQ(scope_of(58)[1], 63); // the longest in one byte
    const auto two = scope_of(59);  // 4 + 59 + 2 = 65
    EXPECT_EQ(two[1], 0x40 | 1);
    EXPECT_EQ(two[2], 65 >> 4);
    EXPECT_EQ(two.size(), 1u + 65);
    const auto longest_two = scope_of(4095 - 6);
    EXPECT_EQ(longest_two[1], 0x4f);
    EXPECT_EQ(longest_two[2], 0xff);
    const auto three = scope_of(4096 - 6); // does not fit in 12 bits: one byte more
    EXPECT_EQ(three[1], 0x81);
    EXPECT_EQ(three[2] << 4 | three[3] << 12 | (three[1] & 0xf), 4097);
    const auto four = scope_of(0x10'0000);
    EXPECT_EQ(four[1] >> 6, 3);
    EXPECT_EQ(four.size() - 1, static_cast<u64>(four[4]) << 20 | four[3] << 12 | four[2] << 4 | (four[1] & 0xf));
}

TEST(Aml, NamesOfHardware) {
    EXPECT_EQ(eisa_id("PNP0A08").bytes(), (V{0x0c, 0x41, 0xd0, 0x0a, 0x08}));
    EXPECT_EQ(eisa_id("PNP0000").bytes(), (V{0x0b, 0x41, 0xd0}));
    EXPECT_EQ(uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766").bytes(),
              (V{0x11, 0x13, 0x0a, 0x10, 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f,
                 0x1c, 0x40, 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66}));
}

TEST(Aml, Terms) {
    EXPECT_EQ(name("_UID", integer(3)).bytes(), (V{0x08, '_', 'U', 'I', 'D', 0x0a, 3}));
    EXPECT_EQ(package({integer(0), integer(5)}).bytes(), (V{0x12, 5, 2, 0x00, 0x0a, 5}));
    EXPECT_EQ(string("ab").bytes(), (V{0x0d, 'a', 'b', 0}));
    EXPECT_EQ(device("CPU", Code()).bytes(), (V{0x5b, 0x82, 5, 'C', 'P', 'U', '_'}));
    EXPECT_EQ(method("_PIC", 1, Serialized::no, store(arg(0), path("PICM"))).bytes(),
              (V{0x14, 12, '_', 'P', 'I', 'C', 1, 0x70, 0x68, 'P', 'I', 'C', 'M'}));
    EXPECT_EQ(method("_OSC", 4, Serialized::yes, Code()).bytes(), (V{0x14, 6, '_', 'O', 'S', 'C', 0x0c}));
    EXPECT_EQ((if_(l_not(l_equal(arg(1), integer(1))), return_(local(2))) + else_(return_(integer(0)))).bytes(),
              (V{0xa0, 7, 0x92, 0x93, 0x69, 0x01, 0xa4, 0x62, 0xa1, 3, 0xa4, 0x00}));
    EXPECT_EQ(create_dword_field(arg(3), 8, "CDW3").bytes(), (V{0x8a, 0x6b, 0x0a, 8, 'C', 'D', 'W', '3'}));
    EXPECT_EQ(byte_field("REGN", {"PRQA", "", "PRQB"}).bytes(),
              (V{0x5b, 0x81, 0x12, 'R', 'E', 'G', 'N', 1, 'P', 'R', 'Q', 'A', 8, 0, 8, 'P', 'R', 'Q', 'B', 8}));
    EXPECT_EQ(operation_region("REGN", RegionSpace::pci_config, 0x60, 12).bytes(),
              (V{0x5b, 0x80, 'R', 'E', 'G', 'N', 2, 0x0a, 0x60, 0x0a, 12}));
}

TEST(Aml, Resources) {
    EXPECT_EQ(Resources().code().bytes(), (V{0x11, 5, 0x0a, 2, 0x79, 0}));
    EXPECT_EQ(Resources().io(0x3f8, 8).irq(4).code().bytes(),
              (V{0x11, 0x10, 0x0a, 13, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0}));
    EXPECT_EQ(Resources().memory32_fixed(0xfed0'0000, 0x400, false).code().bytes(),
              (V{0x11, 0x11, 0x0a, 14, 0x86, 9, 0, 0, 0, 0, 0xd0, 0xfe, 0, 4, 0, 0, 0x79, 0}));
    const auto bus = Resources().bus_numbers(0, 255).code().bytes();
    EXPECT_EQ(V(bus.begin() + 4, bus.end()), (V{0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1, 0x79, 0}));
    const auto high = Resources().memory_window_64(0x80'0000'0000, 0xff'ffff'ffff).code().bytes();
    EXPECT_EQ(high[4], 0x8a);
    EXPECT_EQ(high[5], 43);
    EXPECT_EQ(high[7], 0);
    EXPECT_EQ(high[9], 1);
}
