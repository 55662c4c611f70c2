// SPDX-License-Identifier: Apache-2.0
// Tests of Multiboot 1 with hand-made kernels: ELF, address fields, modules, the information structure, refusals.
#include "firmware/multiboot.h"

#include "firmware/testing.h"

#include <zlib.h>

using namespace vitrine;
using namespace vitrine::firmware;
using namespace vitrine::firmware::testing;

namespace {

/// Header, then some code.
std::vector<u8> text_with_header(u32 flags = 0) {
    auto text = multiboot_header(flags);
    for (unsigned i = 0; i < 100; ++i)
        text.push_back(static_cast<u8>(i + 1));
    return text;
}

Elf kernel_elf(u32 flags = 0) {
    return {.entry = 4_MiB + 12, .segments = {{4_MiB, 4_MiB, text_with_header(flags), 0x3000}}};
}

std::vector<u8> gzip(std::span<const u8> data) {
    z_stream z{};
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    std::vector<u8> out(deflateBound(&z, data.size()) + 64);
    z.next_in = const_cast<u8*>(data.data());
    z.avail_in = static_cast<uInt>(data.size());
    z.next_out = out.data();
    z.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

} // namespace

TEST(Multiboot, ElfWithCommandLineModulesAndMap) {
    Machine m(Space::low_end + 1_GiB);
    m.request.append = "a b";
    const std::vector<u8> environment{'E', '=', '1', '\n'}, other(5000, 7);
    m.request.initrd = file_of(environment, "--initrd", "env");
    m.request.modules = {{file_of(other, "--module", "other"), "other one two"}};
    const auto kernel = kernel_elf().make();
    m.space->write<u64>(Physical{4_MiB + 0x2000}, ~0ull, Requester::from_cpu(0)); // must be cleared: bss
    const auto state = m.boot(kernel);
    ASSERT_TRUE(state.ok()) << state.error().message;
    const BootState& s = state.value();
    EXPECT_EQ(s.protocol, "Multiboot");
    EXPECT_EQ(s.rip, 4_MiB + 12);
    EXPECT_EQ(s.general[firmware::rax], 0x2bad'b002u);
    EXPECT_EQ(s.cr0, 0x11u);
    EXPECT_EQ(m.bytes(4_MiB, 112), text_with_header());
    EXPECT_EQ(m.at<u64>(4_MiB + 0x2000), 0u);

    const u64 info = s.general[firmware::rbx];
    EXPECT_EQ(m.at<u32>(info), 0x24du); // memory, command line, modules, map, loader name; no boot device: no BIOS disk
    EXPECT_EQ(m.at<u32>(info + 4), 639u);
    const u64 upper = m.at<u32>(info + 8);
    EXPECT_GT(upper, Space::low_end / 1024 - 1024 - 256);
    EXPECT_LT(upper, Space::low_end / 1024 - 1024);
    EXPECT_EQ(m.text(m.at<u32>(info + 16)), "kernel a b");
    EXPECT_EQ(m.text(m.at<u32>(info + 64)), "Vitrine");

    ASSERT_EQ(m.at<u32>(info + 20), 2u);
    const u64 mods = m.at<u32>(info + 24);
    const u64 start = m.at<u32>(mods), second = m.at<u32>(mods + 16);
    EXPECT_EQ(start, 4_MiB + 0x3000);
    EXPECT_EQ(m.at<u32>(mods + 4), start + 4);
    EXPECT_EQ(m.text(start), "E=1\n");
    EXPECT_EQ(m.text(m.at<u32>(mods + 8)), "env");
    EXPECT_EQ(second, start + page_size);
    EXPECT_EQ(m.at<u32>(mods + 20), second + 5000);
    EXPECT_EQ(m.text(m.at<u32>(mods + 24)), "other one two");
    EXPECT_EQ(m.at<u32>(mods + 12), 0u);

    const u64 map = m.at<u32>(info + 48), length = m.at<u32>(info + 44);
    u64 ram = 0, above = 0;
    for (u64 at = map; at < map + length; at += m.at<u32>(at) + 4) {
        EXPECT_EQ(m.at<u32>(at), 20u);
        if (m.at<u32>(at + 20) == 1)
            ram += m.at<u64>(at + 12);
        if (m.at<u64>(at + 4) == 4_GiB)
            above = m.at<u64>(at + 12);
    }
    EXPECT_EQ(above, 1_GiB);
    EXPECT_EQ(ram, 639_KiB + (upper << 10) + 1_GiB);
}

TEST(Multiboot, CommandLineWithoutArgumentsIsTheProgram) {
    Machine m;
    const auto state = m.boot(kernel_elf().make());
    ASSERT_TRUE(state.ok());
    const u64 info = state.value().general[firmware::rbx];
    EXPECT_EQ(m.text(m.at<u32>(info + 16)), "kernel");
    EXPECT_EQ(m.at<u32>(info + 20), 0u);
}

TEST(Multiboot, ElfOf64BitsAndVirtualEntry) {
    Machine m;
    Elf elf = kernel_elf();
    elf.is_64 = true;
    elf.machine = 62;
    elf.segments[0].virtual_address = 0xffff'ffff'8040'0000;
    elf.entry = 0xffff'ffff'8040'0010;
    const auto state = m.boot(elf.make());
    ASSERT_TRUE(state.ok()) << state.error().message;
    EXPECT_EQ(state.value().rip, 4_MiB + 0x10);
}

TEST(Multiboot, SegmentsMayTouchOrOverlap) {
    Machine m;
    Elf elf = kernel_elf();
    elf.segments.push_back({4_MiB + 0x3000, 4_MiB + 0x3000, {9}, 0x1000});
    elf.segments.push_back({4_MiB + 0x3800, 4_MiB + 0x3800, {8}, 0x1000});
    ASSERT_TRUE(m.boot(elf.make()).ok());
    EXPECT_EQ(m.at<u8>(4_MiB + 0x3800), 8);
}

TEST(Multiboot, CompressedKernelAndModules) {
    Machine m;
    const std::vector<u8> module(3000, 5), packed = gzip(module);
    m.request.modules = {{file_of(packed, "--module", "packed"), "packed"}};
    const auto state = m.boot(gzip(kernel_elf().make()));
    ASSERT_TRUE(state.ok()) << state.error().message;
    const u64 mods = m.at<u32>(state.value().general[firmware::rbx] + 24);
    EXPECT_EQ(m.at<u32>(mods + 4) - m.at<u32>(mods), module.size());
    EXPECT_EQ(m.bytes(m.at<u32>(mods), module.size()), module);

    auto cut = packed;
    cut.resize(cut.size() - 9);
    m.request.modules[0].file.data = cut;
    EXPECT_TRUE(says(m.refused(kernel_elf().make()), {"--module packed:", "truncated"}));
}

TEST(Multiboot, AddressFields) {
    Machine m;
    // 16 bytes before the header are not loaded; text of 0x40 bytes from the header on; bss to +0x100.
    const u32 load = 0x20'0000;
    std::vector<u8> image(16, 0xee);
    const auto header = multiboot_header(1 << 16, {load, load, load + 0x40, load + 0x100, load + 0x30});
    image.insert(image.end(), header.begin(), header.end());
    image.resize(16 + 0x60, 0x90);
    m.space->write<u32>(Physical{load + 0x40}, 0x55, Requester::from_cpu(0));
    const auto state = m.boot(image);
    ASSERT_TRUE(state.ok()) << state.error().message;
    EXPECT_EQ(state.value().rip, load + 0x30);
    EXPECT_EQ(m.at<u32>(load), 0x1bad'b002u);
    EXPECT_EQ(m.at<u8>(load + 0x3f), 0x90);
    EXPECT_EQ(m.at<u32>(load + 0x40), 0u);

    // load_end_addr 0: the whole file; bss_end_addr 0: none.
    const auto whole = multiboot_header(1 << 16, {load, load, 0, 0, load});
    ASSERT_TRUE(m.boot(whole).ok());
}

TEST(Multiboot, BadAddressFields) {
    Machine m;
    const u32 load = 0x20'0000;
    EXPECT_TRUE(
        says(m.refused(multiboot_header(1 << 16, {load, load + 4, 0, 0, load})), {"load_addr", "above header_addr"}));
    EXPECT_TRUE(
        says(m.refused(multiboot_header(1 << 16, {load, load - 4, 0, 0, load})), {"load_addr", "before the start"}));
    EXPECT_TRUE(says(m.refused(multiboot_header(1 << 16, {load, load, load - 1, 0, load})), {"load_end_addr"}));
    EXPECT_TRUE(says(m.refused(multiboot_header(1 << 16, {load, load, load + 0x1000, 0, load})), {"truncated"}));
    EXPECT_TRUE(says(m.refused(multiboot_header(1 << 16, {load, load, 0, load + 4, load})), {"bss_end_addr"}));
    EXPECT_TRUE(says(m.refused(multiboot_header(1 << 16, {load, load, 0, 0xffff'f000, load})), {"--memory"}));
    EXPECT_TRUE(says(m.refused(multiboot_header(1 << 16, {0x9f000, 0x9f000, 0, 0xa0000, 0x9f000})), {"no free RAM"}));
    auto cut = multiboot_header(1 << 16, {load, load, 0, 0});
    EXPECT_TRUE(says(m.refused(cut), {"Multiboot header is cut off"}));
}

TEST(Multiboot, Refusals) {
    Machine m;
    EXPECT_TRUE(says(m.refused(kernel_elf(4).make()), {"video mode", "no display"}));
    EXPECT_TRUE(says(m.refused(kernel_elf(8).make()), {"flags 0x8"}));
    EXPECT_TRUE(m.boot(kernel_elf(3).make()).ok());
    EXPECT_TRUE(m.boot(kernel_elf(1u << 20).make()).ok()); // bits above 16 may be ignored
    EXPECT_TRUE(says(m.refused(text_with_header()), {"no ELF file", "flag 16"}));

    Elf elf = kernel_elf();
    elf.segments[0].physical_address = 1_GiB;
    EXPECT_TRUE(says(m.refused(elf.make()), {"0x40000000", "--memory", "64 MiB"}));
    elf = kernel_elf();
    elf.machine = 183;
    EXPECT_TRUE(says(m.refused(elf.make()), {"AArch64", "x86-64"}));
    elf = kernel_elf();
    auto bytes = elf.make();
    bytes.resize(bytes.size() - 1);
    EXPECT_TRUE(says(m.refused(bytes), {"truncated"}));

    const std::vector<u8> big(65_MiB, 1);
    m.request.modules = {{file_of(big, "--module", "big"), ""}};
    EXPECT_TRUE(says(m.refused(kernel_elf().make()), {"--module big:", "--memory"}));
}

TEST(Multiboot, HeaderIsSearchedInTheFirst8KiB) {
    std::vector<u8> data(8192 - 12);
    const auto header = multiboot_header(0);
    data.insert(data.end(), header.begin(), header.end());
    EXPECT_EQ(find_multiboot_header(data), 8192u - 12);
    data.insert(data.begin(), 4, 0);
    EXPECT_FALSE(find_multiboot_header(data));
    data.erase(data.begin(), data.begin() + 6); // not aligned
    EXPECT_FALSE(find_multiboot_header(data));
    auto wrong = header;
    wrong[8] ^= 1;
    EXPECT_FALSE(find_multiboot_header(wrong));
}
