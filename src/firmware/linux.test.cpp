// SPDX-License-Identifier: Apache-2.0
// Tests of bzImage loading with hand-made images: where things go, what the zero page says, what is refused.
#include "firmware/linux.h"

#include "firmware/modes.h"
#include "firmware/testing.h"

using namespace vitrine;
using namespace vitrine::firmware;
using namespace vitrine::firmware::testing;

namespace {

/// The E820 table of a zero page.
std::vector<MapEntry> e820(Machine& m, u64 zero_page) {
    std::vector<MapEntry> map;
    for (u64 i = 0; i < m.at<u8>(zero_page + 0x1e8); ++i) {
        const u64 at = zero_page + 0x2d0 + 20 * i;
        map.push_back({m.at<u64>(at), m.at<u64>(at + 8), static_cast<MemoryType>(m.at<u32>(at + 16))});
    }
    return map;
}

} // namespace

TEST(Linux, SixtyFourBitEntry) {
    Machine m;
    m.request.append = "console=ttyS0 root=/dev/ram";
    const auto initrd = std::vector<u8>(5000, 0xab);
    m.request.initrd = file_of(initrd, "--initrd", "initrd");
    m.request.setup_data = {{9, {1, 2, 3}}, {1, {4}}};
    const auto kernel = BzImage{}.make();
    const auto state = m.boot(kernel);
    ASSERT_TRUE(state.ok()) << state.error().message;
    const BootState& s = state.value();
    EXPECT_EQ(s.protocol, "Linux");
    EXPECT_EQ(s.rip, 16_MiB + 0x200);
    EXPECT_EQ(m.bytes(16_MiB, 0x1000), std::vector<u8>(kernel.begin() + 0x800, kernel.end()));

    const u64 zero_page = s.general[firmware::rsi];
    EXPECT_EQ(m.bytes(zero_page + 0x202, 14), std::vector<u8>(kernel.begin() + 0x202, kernel.begin() + 0x210));
    EXPECT_EQ(m.at<u8>(zero_page + 0x210), 0xff);
    EXPECT_EQ(m.at<u32>(zero_page + 0x214), 16_MiB);
    EXPECT_EQ(m.text(m.at<u32>(zero_page + 0x228)), m.request.append);
    const u64 ramdisk = m.at<u32>(zero_page + 0x218);
    EXPECT_EQ(m.at<u32>(zero_page + 0x21c), initrd.size());
    EXPECT_EQ(ramdisk % page_size, 0u);
    EXPECT_EQ(m.bytes(ramdisk, initrd.size()), initrd);
    EXPECT_EQ(m.text(m.at<u64>(zero_page + 0x70)).substr(0, 8), "RSD PTR ");

    const u64 first = m.at<u64>(zero_page + 0x250), second = m.at<u64>(first);
    EXPECT_EQ(m.at<u32>(first + 8), 9u);
    EXPECT_EQ(m.at<u32>(first + 12), 3u);
    EXPECT_EQ(m.bytes(first + 16, 3), (std::vector<u8>{1, 2, 3}));
    EXPECT_EQ(m.at<u32>(second + 8), 1u);
    EXPECT_EQ(m.at<u64>(second), 0u);

    const auto map = e820(m, zero_page);
    ASSERT_GE(map.size(), 6u);
    EXPECT_EQ(map[0], (MapEntry{0, 0x9fc00, MemoryType::ram}));
    EXPECT_EQ(map[2].base, 1_MiB);
    EXPECT_EQ(map[2].type, MemoryType::ram);
    EXPECT_LE(ramdisk + initrd.size(), map[2].end());
}

TEST(Linux, LongModeState) {
    Machine m;
    const auto state = m.boot(BzImage{}.make());
    ASSERT_TRUE(state.ok());
    const BootState& s = state.value();
    EXPECT_EQ(s.cr0, 0x8000'0011u);
    EXPECT_EQ(s.cr4, 0x20u);
    EXPECT_EQ(s.efer, 0x500u);
    EXPECT_EQ(s.rflags, 2u);
    EXPECT_EQ(s.cs.selector, 0x10);
    EXPECT_EQ(s.ds.selector, 0x18);
    EXPECT_EQ(s.cs.access_rights, 0xa09bu);
    // The selectors lead to the same segments in the GDT.
    EXPECT_EQ(m.at<u64>(s.gdtr.base + 0x10), 0x00af'9b00'0000'ffffu);
    EXPECT_EQ(m.at<u64>(s.gdtr.base + 0x18), 0x00cf'9300'0000'ffffu);
    EXPECT_EQ(s.gdtr.limit, 6 * 8 - 1);
    // Walk the tables: all of the first 4 GiB is mapped to itself, nothing else.
    for (const u64 linear : {u64{0}, s.rip, u64{0x7fe0'1234}, u64{0xffff'ffff}}) {
        const u64 pml4e = m.at<u64>(s.cr3), pdpte = m.at<u64>((pml4e & ~0xfffull) + 8 * (linear >> 30));
        const u64 pde = m.at<u64>((pdpte & ~0xfffull) + 8 * (linear >> 21 & 511));
        EXPECT_EQ(pde, (linear & ~0x1f'ffffull) | 0x83);
    }
    EXPECT_EQ(m.at<u64>(s.cr3 + 8), 0u);
    EXPECT_EQ(m.at<u64>((m.at<u64>(s.cr3) & ~0xfffull) + 8 * 4), 0u);
}

TEST(Linux, ThirtyTwoBitEntryWithoutTheFlag) {
    Machine m;
    const auto state = m.boot(BzImage{.xloadflags = 0}.make());
    ASSERT_TRUE(state.ok());
    const BootState& s = state.value();
    EXPECT_EQ(s.rip, 16_MiB);
    EXPECT_EQ(s.cr0, 0x11u);
    EXPECT_EQ(s.cs.access_rights, 0xc09bu);
    EXPECT_EQ(s.cs.limit, 0xffff'ffffu);
    EXPECT_EQ(s.efer, 0u);
    EXPECT_EQ(s.cr3, 0u);
}

TEST(Linux, OldProtocolsLoadAtOneMiB) {
    Machine m;
    const auto state = m.boot(BzImage{.protocol = 0x206, .relocatable = 0}.make());
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(state.value().rip, 1_MiB); // no preferred address, no 64-bit entry in that protocol
    EXPECT_EQ(m.at<u64>(state.value().general[firmware::rsi] + 0x70), 0u);
}

TEST(Linux, MovesWhereThePreferredPlaceIsTooSmall) {
    Machine m(16_MiB);
    const auto state = m.boot(BzImage{.preferred = 32_MiB}.make());
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(state.value().rip, 2_MiB + 0x200);
}

TEST(Linux, InitrdStaysBelowWhatTheKernelReaches) {
    Machine m;
    const auto initrd = std::vector<u8>(1_MiB, 0xcd);
    m.request.initrd = file_of(initrd, "--initrd", "initrd");
    const auto state = m.boot(BzImage{.initrd_addr_max = 0x27f'ffff}.make());
    ASSERT_TRUE(state.ok());
    EXPECT_EQ(m.at<u32>(state.value().general[firmware::rsi] + 0x218), 0x280'0000u - 1_MiB);
}

TEST(Linux, NothingOverlaps) {
    Machine m(8_MiB);
    const auto initrd = std::vector<u8>(3_MiB, 0xee);
    m.request.initrd = file_of(initrd, "--initrd", "initrd");
    m.request.append = std::string(2000, 'x');
    const auto state = m.boot(BzImage{.kernel_alignment = 0x1000, .preferred = 1_MiB, .init_size = 3_MiB}.make());
    ASSERT_TRUE(state.ok()) << state.error().message;
    const u64 zero_page = state.value().general[firmware::rsi];
    const u64 ramdisk = m.at<u32>(zero_page + 0x218);
    EXPECT_GE(ramdisk, 4_MiB);
    EXPECT_EQ(m.bytes(ramdisk, initrd.size()), initrd);
    EXPECT_EQ(m.text(m.at<u32>(zero_page + 0x228)), m.request.append);
    EXPECT_EQ(m.at<u8>(1_MiB), 1);
}

TEST(Linux, SecondBootClearsWhatTheFirstLeft) {
    Machine m;
    const auto kernel = BzImage{}.make();
    ASSERT_TRUE(m.boot(kernel).ok());
    const auto first = m.bytes(0, 32_MiB);
    m.space->write<u64>(Physical{16_MiB + 0x8'0000}, 0x1234, Requester::from_cpu(0)); // inside init_size
    m.space->write<u64>(Physical{0xf0800}, 0x1234, Requester::from_cpu(0));
    ASSERT_TRUE(m.boot(kernel).ok());
    EXPECT_EQ(m.bytes(0, 32_MiB), first);
}

TEST(Linux, Refusals) {
    const auto kernel = BzImage{}.make();
    Machine m;
    EXPECT_TRUE(says(m.refused({kernel.begin(), kernel.begin() + 0x1000}), {"--kernel kernel:", "truncated", "6144"}));
    EXPECT_TRUE(says(m.refused({kernel.begin(), kernel.begin() + 0x300}), {"truncated"}));
    EXPECT_TRUE(says(m.refused(BzImage{.protocol = 0x205}.make()), {"2.05", "2.06"}));
    EXPECT_TRUE(says(m.refused(BzImage{.loadflags = 0}.make()), {"zImage", "bzImage"}));
    EXPECT_TRUE(says(m.refused(BzImage{.kernel_alignment = 0x300}.make()), {"kernel_alignment", "0x300"}));
    EXPECT_TRUE(says(m.refused(BzImage{.kernel_alignment = 0}.make()), {"kernel_alignment"}));
    EXPECT_TRUE(says(m.refused(BzImage{.init_size = 100_MiB}.make()), {"101 MiB", "--memory", "64 MiB"}));
    EXPECT_TRUE(says(m.refused(BzImage{.relocatable = 0, .preferred = ~0ull - 0xfff}.make()), {"--memory"}));
    m.request.append = std::string(2048, 'x');
    EXPECT_TRUE(says(m.refused(kernel), {"--append", "2048", "2047"}));
    m.request.append.clear();
    const std::vector<u8> big(64_MiB);
    m.request.initrd = file_of(big, "--initrd", "big");
    EXPECT_TRUE(says(m.refused(kernel), {"--initrd big:", "65536 KiB", "--memory"}));
    m.request.initrd.reset();
    m.request.modules = {{file_of(kernel, "--module", "mod"), "mod"}};
    EXPECT_TRUE(says(m.refused(kernel), {"--module mod:", "--initrd"}));
}
