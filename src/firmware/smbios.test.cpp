// SPDX-License-Identifier: Apache-2.0
// Tests of the SMBIOS tables: the structures parse, types are complete, strings and sizes are right.
#include "firmware/smbios.h"

#include "firmware/reader.h"

#include <gtest/gtest.h>

#include <map>

using namespace vitrine;
using namespace vitrine::firmware;

namespace {

struct Parsed {
    u64 offset;
    u8 length;
    std::vector<std::string> strings;
};

/// Walks the table as software does, by lengths and string ends; fails on anything left over.
std::multimap<u8, Parsed> parse(const Bytes& table) {
    const Reader r(table.span());
    std::multimap<u8, Parsed> found;
    u64 at = 0;
    while (r.has(at, 4)) {
        const u8 type = r.peek<u8>(at);
        Parsed p{at, r.peek<u8>(at + 1), {}};
        u64 end = at + p.length;
        if (r.peek<u16>(end) == 0)
            ++end;
        while (r.peek<u8>(end)) {
            std::string s;
            while (const u8 c = r.peek<u8>(end++))
                s += static_cast<char>(c);
            p.strings.push_back(s);
        }
        at = end + 1;
        found.emplace(type, p);
        if (type == 127)
            break;
    }
    EXPECT_EQ(at, table.size());
    return found;
}

} // namespace

TEST(Smbios, AllTypesAreThere) {
    Board board;
    board.apic_ids = {0, 1};
    board.processor.brand = "A Processor";
    Smbios s = smbios(board, {2_GiB, 1_GiB});
    const Reader r(s.tables.span());
    const auto found = parse(s.tables);
    std::vector<u8> types;
    for (const auto& [type, p] : found)
        types.push_back(type);
    EXPECT_EQ(types, (std::vector<u8>{0, 1, 3, 4, 16, 17, 19, 19, 32, 127}));
    EXPECT_EQ(found.find(0)->second.strings.at(0), "Vitrine");
    EXPECT_EQ(found.find(1)->second.strings.at(0), "Vitrine");
    const auto& cpu = found.find(4)->second;
    EXPECT_EQ(cpu.strings.at(r.peek<u8>(cpu.offset + 0x10) - 1u), "A Processor");
    EXPECT_EQ(r.peek<u8>(cpu.offset + 0x23), 2);
    const auto& array = found.find(16)->second;
    EXPECT_EQ(r.peek<u32>(array.offset + 7), 3u << 20); // KiB
    const auto& device = found.find(17)->second;
    EXPECT_EQ(r.peek<u16>(device.offset + 0xc), 3072);
    auto range = found.lower_bound(19);
    EXPECT_EQ(r.peek<u32>(range->second.offset + 8), (2u << 20) - 1);
    ++range;
    EXPECT_EQ(r.peek<u32>(range->second.offset + 4), 4u << 20);
    EXPECT_EQ(r.peek<u32>(range->second.offset + 8), (5u << 20) - 1);

    s.link(0xf0080);
    u8 sum = 0;
    for (const u8 b : s.anchor.span())
        sum = static_cast<u8>(sum + b);
    EXPECT_EQ(sum, 0);
    EXPECT_EQ(Reader(s.anchor.span()).peek<u32>(12), s.tables.size());
}

TEST(Smbios, MuchMemoryUsesTheExtendedFields) {
    const Smbios s = smbios(Board{}, {2_GiB, 8192_GiB});
    const Reader r(s.tables.span());
    const auto found = parse(s.tables);
    const u64 total = 8194_GiB;
    const auto& array = found.find(16)->second;
    EXPECT_EQ(r.peek<u32>(array.offset + 7), 0x8000'0000u);
    EXPECT_EQ(r.peek<u64>(array.offset + 15), total);
    const auto& device = found.find(17)->second;
    EXPECT_EQ(r.peek<u16>(device.offset + 0xc), 0x7fff);
    EXPECT_EQ(r.peek<u32>(device.offset + 0x1c), total >> 20);
    const auto& high = std::next(found.lower_bound(19))->second;
    EXPECT_EQ(r.peek<u32>(high.offset + 4), 0xffff'ffffu);
    EXPECT_EQ(r.peek<u64>(high.offset + 15), 4_GiB);
    EXPECT_EQ(r.peek<u64>(high.offset + 23), 4_GiB + 8192_GiB - 1);
}

TEST(Smbios, ManyProcessorsFitBeforeTheEndOfTheSegment) {
    Board board;
    board.apic_ids.resize(1024);
    const Smbios s = smbios(board, {2_GiB, 0});
    EXPECT_LT(s.tables.size(), 0x1'0000u - 0x80);
    const auto found = parse(s.tables);
    const Reader r(s.tables.span());
    EXPECT_EQ(r.peek<u8>(found.find(4)->second.offset + 0x23), 255);
    EXPECT_EQ(r.peek<u16>(found.find(4)->second.offset + 0x2a), 1024);
}
