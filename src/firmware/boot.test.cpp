// SPDX-License-Identifier: Apache-2.0
// Tests of what is common to all boots: files that are no kernels, tables in memory, BIOS data, memory types, gzip.
#include "firmware/boot.h"

#include "firmware/gzip.h"
#include "firmware/memory_map.h"
#include "firmware/testing.h"

#include <zlib.h>

using namespace vitrine;
using namespace vitrine::firmware;
using namespace vitrine::firmware::testing;

namespace {

std::vector<u8> with_magic(u64 offset, std::string_view magic) {
    std::vector<u8> data(0x9000);
    std::copy(magic.begin(), magic.end(), data.begin() + static_cast<i64>(offset));
    return data;
}

u8 sum(const std::vector<u8>& bytes) {
    u8 s = 0;
    for (const u8 b : bytes)
        s = static_cast<u8>(s + b);
    return s;
}

std::vector<u8> pack(std::string_view text) {
    std::vector<u8> out(1000);
    z_stream z{};
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = reinterpret_cast<u8*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = out.data();
    z.avail_out = 1000;
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

} // namespace

TEST(Boot, FilesThatAreNoKernelAreNamed) {
    Machine m;
    EXPECT_TRUE(says(m.refused({}), {"--kernel kernel:", "empty"}));
    EXPECT_TRUE(says(m.refused({'h', 'i'}), {"no kernel", "bzImage"}));
    EXPECT_TRUE(says(m.refused(with_magic(0x38, "ARM\x64")), {"AArch64"}));
    EXPECT_TRUE(says(m.refused(with_magic(0x24, "\x18\x28\x6f\x01")), {"32-bit ARM"}));
    EXPECT_TRUE(says(m.refused(with_magic(0x38, "RSC\x05")), {"RISC-V"}));
    EXPECT_TRUE(says(m.refused(with_magic(4, "zimg")), {"another architecture"}));
    EXPECT_TRUE(says(m.refused(with_magic(0, "\xfd"
                                             "7zXZ")),
                     {"xz", "decompress"}));
    EXPECT_TRUE(says(m.refused(with_magic(0, "070701")), {"cpio", "--initrd"}));
    EXPECT_TRUE(says(m.refused(with_magic(0x8001, "CD001")), {"CD image"}));
    EXPECT_TRUE(says(m.refused(with_magic(0x1fe, "\x55\xaa")), {"boot sector"}));
    EXPECT_TRUE(says(m.refused(with_magic(0, "MZ")), {"MS-DOS"}));
    auto pe = with_magic(0, "MZ");
    pe[0x3c] = 0x40;
    pe[0x40] = 'P';
    pe[0x41] = 'E';
    pe[0x44] = 0x64;
    pe[0x45] = 0xaa;
    EXPECT_TRUE(says(m.refused(pe), {"PE/COFF", "AArch64"}));
    Bytes mb2(0x9000);
    mb2.put(0x100, 0xe852'50d6);
    mb2.put(0x108, 16u);
    mb2.put(0x10c, static_cast<u32>(-(0xe852'50d6 + 16)));
    EXPECT_TRUE(says(m.refused(mb2.take()), {"Multiboot 2"}));
}

TEST(Boot, TooLittleMemory) {
    Machine m(1_MiB);
    EXPECT_TRUE(says(m.refused(BzImage{}.make()), {"--memory", "1024 KiB", "4M"}));
    Machine enough(4_MiB);
    EXPECT_TRUE(enough.boot(BzImage{.kernel_alignment = 0x1000, .preferred = 1_MiB}.make()).ok());
}

TEST(Boot, TablesAreFoundAndTheirChecksumsHold) {
    Machine m;
    m.board.apic_ids = {0, 1, 2};
    ASSERT_TRUE(m.boot(BzImage{}.make()).ok());
    // As an operating system searches: the RSDP on a 16-byte grid, then RSDT and XSDT.
    u64 rsdp = 0;
    for (u64 at = 0xe0000; at < 0x100000 && !rsdp; at += 16)
        if (m.text(at).substr(0, 8) == "RSD PTR ")
            rsdp = at;
    ASSERT_NE(rsdp, 0u);
    EXPECT_EQ(sum(m.bytes(rsdp, 20)), 0);
    EXPECT_EQ(sum(m.bytes(rsdp, 36)), 0);
    EXPECT_EQ(m.at<u8>(rsdp + 15), 2);
    const u64 rsdt = m.at<u32>(rsdp + 16), xsdt = m.at<u64>(rsdp + 24);
    const u64 count = (m.at<u32>(xsdt + 4) - 36) / 8;
    EXPECT_EQ((m.at<u32>(rsdt + 4) - 36) / 4, count);
    std::string signatures;
    for (u64 i = 0; i < count; ++i) {
        const u64 table = m.at<u64>(xsdt + 36 + 8 * i);
        EXPECT_EQ(table, m.at<u32>(rsdt + 36 + 4 * i));
        EXPECT_EQ(sum(m.bytes(table, m.at<u32>(table + 4))), 0);
        signatures += m.text(table).substr(0, 4) + " ";
        if (m.text(table).substr(0, 4) == "FACP") {
            const u64 dsdt = m.at<u64>(table + 140), facs = m.at<u32>(table + 36);
            EXPECT_EQ(dsdt, m.at<u32>(table + 40));
            EXPECT_EQ(m.text(dsdt).substr(0, 4), "DSDT");
            EXPECT_EQ(sum(m.bytes(dsdt, m.at<u32>(dsdt + 4))), 0);
            EXPECT_EQ(m.text(facs).substr(0, 4), "FACS");
            EXPECT_EQ(facs % 64, 0u);
        }
    }
    EXPECT_EQ(signatures, "FACP APIC MCFG HPET SPCR WAET ");
    EXPECT_EQ(sum(m.bytes(rsdt, m.at<u32>(rsdt + 4))), 0);
    EXPECT_EQ(sum(m.bytes(xsdt, m.at<u32>(xsdt + 4))), 0);

    const u64 anchor = 0xf0040;
    EXPECT_EQ(m.text(anchor).substr(0, 5), "_SM3_");
    EXPECT_EQ(sum(m.bytes(anchor, 24)), 0);
    EXPECT_EQ(m.at<u64>(anchor + 16), 0xf0080u);
    EXPECT_EQ(m.at<u16>(0x40e), 0x9fc0);
    EXPECT_EQ(m.at<u16>(0x413), 639);
    EXPECT_EQ(m.at<u16>(0x400), 0x3f8);
}

TEST(Boot, MemoryTypes) {
    Machine m;
    m.board.mmio64 = {3_GiB << 4, 3_GiB};
    const auto state = m.boot(BzImage{}.make());
    ASSERT_TRUE(state.ok());
    const auto value = [&](u32 msr) -> u64 {
        for (const MsrValue& v : state.value().every_processor)
            if (v.index == msr)
                return v.value;
        return ~0ull;
    };
    EXPECT_EQ(value(0x2ff), 0xc06u);
    EXPECT_EQ(value(0x250), 0x0606'0606'0606'0606u);
    EXPECT_EQ(value(0x259), 0u);
    EXPECT_EQ(value(0x26f), 0x0505'0505'0505'0505u);
    EXPECT_EQ(value(0x200), 0xb000'0000u);
    EXPECT_EQ(value(0x201), 0x3fff'f000'0800u); // 256 MiB,
    EXPECT_EQ(value(0x202), 0xc000'0000u);
    EXPECT_EQ(value(0x203), 0x3fff'c000'0800u); // and 1 GiB
    EXPECT_EQ(value(0x204), 48_GiB);
    EXPECT_EQ(value(0x205), 0x3fff'8000'0800u); // 2 GiB,
    EXPECT_EQ(value(0x206), 50_GiB);
    EXPECT_EQ(value(0x207), 0x3fff'c000'0800u); // and 1 GiB
    EXPECT_EQ(value(0x208), ~0ull);
}

TEST(MemoryMap, LaterRangesTakeFromEarlierOnes) {
    MemoryMap map;
    map.set(0, 0x1000, MemoryType::ram);
    map.set(0x400, 0x100, MemoryType::reserved);
    map.set(0x480, 0x100, MemoryType::acpi_nvs);
    map.set(0x2000, 0x10, MemoryType::reserved);
    map.set(0x3000, 0, MemoryType::ram);
    EXPECT_EQ(map.entries(), (std::vector<MapEntry>{{0, 0x400, MemoryType::ram},
                                                    {0x400, 0x80, MemoryType::reserved},
                                                    {0x480, 0x100, MemoryType::acpi_nvs},
                                                    {0x580, 0xa80, MemoryType::ram},
                                                    {0x2000, 0x10, MemoryType::reserved}}));
    map.set(0, 0x3000, MemoryType::ram);
    EXPECT_EQ(map.entries(), (std::vector<MapEntry>{{0, 0x3000, MemoryType::ram}}));
}

TEST(MemoryMap, NeverOverlapsAndKnowsTheBoard) {
    for (const u64 ram : {4_MiB, 512_MiB, 2_GiB, 3_GiB, 64_GiB}) {
        Board board;
        board.fixed_mmio = {{"DMA remapping", {0xfed9'0000, 0x1000}}, {"test", {0xff00'0000, 0x10000}}};
        const u64 low = std::min(ram, Space::low_end);
        const MemoryMap map = memory_map(board, {low, ram - low}, {low - 0x3000, 0x2000}, {low - 0x1000, 0x1000});
        u64 last = 0, usable = 0;
        for (const MapEntry& e : map.entries()) {
            EXPECT_GE(e.base, last);
            EXPECT_GT(e.size, 0u);
            last = e.end();
            if (e.type == MemoryType::ram)
                usable += e.size;
        }
        EXPECT_EQ(usable, ram - 0x3000 - (0x100000 - 0x9fc00));
        const auto type_at = [&](u64 address) {
            for (const MapEntry& e : map.entries())
                if (address >= e.base && address < e.end())
                    return static_cast<u32>(e.type);
            return 0u;
        };
        EXPECT_EQ(type_at(low - 0x3000), 3u);
        EXPECT_EQ(type_at(low - 1), 4u);
        for (const u64 reserved : {0x9fc00ull, 0xf0000ull, 0xb000'0000ull, 0xbfff'ffffull, 0xfec0'0000ull,
                                   0xfed0'0000ull, 0xfed9'0000ull, 0xfee0'0000ull, 0xff00'0000ull})
            EXPECT_EQ(type_at(reserved), 2u) << reserved;
        EXPECT_EQ(map.kib_low(), 639u);
        EXPECT_EQ(map.kib_above_1m(), (low - 0x3000 - 1_MiB) >> 10);
    }
}

TEST(Gzip, MembersPaddingAndDamage) {
    auto data = pack("hello ");
    EXPECT_TRUE(is_gzip(data));
    const auto second = pack("world");
    data.insert(data.end(), second.begin(), second.end());
    data.insert(data.end(), 100, 0);
    const auto out = gunzip(file_of(data), 1_MiB);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(std::string(out.value().begin(), out.value().end()), "hello world");
    EXPECT_TRUE(says(gunzip(file_of(data), 8).error().message, {"more than"}));

    auto cut = data;
    cut.resize(data.size() - 103);
    EXPECT_TRUE(says(gunzip(file_of(cut), 1_MiB).error().message, {"truncated"}));
    auto damaged = data;
    damaged[12] ^= 0x55;
    EXPECT_FALSE(gunzip(file_of(damaged), 1_MiB).ok());
    data.push_back('x');
    EXPECT_TRUE(says(gunzip(file_of(data), 1_MiB).error().message, {"101 bytes after"}));
}
