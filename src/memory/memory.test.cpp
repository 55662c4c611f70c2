// SPDX-License-Identifier: Apache-2.0
// Tests of the physical space: RAM around the hole, device dispatch, rejected accesses, dirty and code pages.
#include "memory/space.h"

#include <gtest/gtest.h>

#include <array>

using namespace vitrine;

namespace {

struct Echo : Device {
    std::string_view name() const override { return "echo"; }
    void reset(Reset) override {}
    void access(Region&, Access& a) override {
        ++accesses;
        if (a.write)
            last = a.value;
        else
            a.value = a.offset;
    }
    void state(Visitor&) override {}
    u64 last = 0;
    unsigned accesses = 0;
};

constexpr Requester cpu0 = Requester::from_cpu(0);

} // namespace

TEST(Space, RamAroundTheHole) {
    Glass glass;
    auto space = Space::create(Space::low_end + 16_MiB, glass).value()->ram_size();
    EXPECT_EQ(space, Space::low_end + 16_MiB);
    auto made = Space::create(Space::low_end + 16_MiB, glass);
    Space& s = *made.value();
    s.write<u32>(Physical{Space::high_start + 4}, 0x11223344, cpu0);
    EXPECT_EQ(s.read<u32>(Physical{Space::high_start + 4}, cpu0), 0x11223344u);
    EXPECT_EQ(s.read<u32>(Physical{Space::low_end}, cpu0), 0xffffffffu);
    EXPECT_EQ(s.host(Physical{Space::high_start + 16_MiB}), nullptr);
    EXPECT_EQ(s.collect_dirty(), std::vector<u64>{Space::low_end / page_size});
    EXPECT_TRUE(s.collect_dirty().empty());
}

TEST(Space, DevicesSeeCheckedAccesses) {
    Glass glass;
    auto made = Space::create(1_MiB, glass);
    Space& s = *made.value();
    Echo echo;
    Region region{.device = &echo, .name = "echo", .size = 0x100, .max_size = 4};
    s.mmio().map(region, 0xfed00000);
    EXPECT_EQ(s.read<u32>(Physical{0xfed00010}, cpu0), 0x10u);
    EXPECT_EQ(s.read<u64>(Physical{0xfed00010}, cpu0), ~0ull); // 8 bytes are not taken
    s.write<u16>(Physical{0xfed00020}, 0xabcd, cpu0);
    EXPECT_EQ(echo.last, 0xabcdu);
    EXPECT_EQ(glass.counter("mmio.size"), 1u);
    s.mmio().unmap(region);
    EXPECT_EQ(s.read<u8>(Physical{0xfed00010}, cpu0), 0xffu);
}

TEST(Space, WritersOfCodePagesAreTold) {
    Glass glass;
    auto made = Space::create(1_MiB, glass);
    Space& s = *made.value();
    u64 told = 0, dropped = ~0ull;
    s.set_code_written([&](Physical p, u64 n) { told = p.value + n; });
    s.set_write_rights_dropped([&](u64 page) { dropped = page; });
    s.write<u8>(Physical{0x3000}, 1, cpu0);
    EXPECT_TRUE(s.direct_write(Physical{0x3000}));
    s.flags(3) |= page_writer;
    s.set_code_page(3, true);
    EXPECT_EQ(dropped, 3u);
    EXPECT_FALSE(s.direct_write(Physical{0x3000}));
    const std::array<u8, 8> data{};
    s.write(Physical{0x2ffc}, data, cpu0);
    EXPECT_EQ(told, 0x3004u);
}
